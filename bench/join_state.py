"""What a join of ours keeps: memory and changelog by open entry, and what a hot key costs.

No broker: a task as a worker has it is fed with records, and does with them all that it does there
but for the network. ``hot`` are events of a key that has 100,000 live ones already, ``cold`` events
of keys that have none; both find about one partner. Nothing of the input is let go of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.harness.ground import Ground
from bench.harness.rounds import Figures

LIVE, MORE = 100_000, 20_000
QUICK_LIVE, QUICK_MORE = 10_000, 2_000
TIMEOUT_SECONDS = 300


class JoinState:
    """The bench; see the module."""

    name = "join_state"
    about = "memory and changelog by open entry, and the cost of a hot key"
    cases: Sequence[str] = ("interval", "asof", "lookup", "window")
    contenders: Sequence[str] = ("ours",)
    baselines: Mapping[str, float] = {}

    def __init__(self, ground: Ground, quick: bool = False) -> None:
        self.ground = ground
        self.live, self.more = (QUICK_LIVE, QUICK_MORE) if quick else (LIVE, MORE)

    def prepare(self, case: str, contenders: Sequence[str]) -> None:
        """The input is made where it is used."""

    def run(self, case: str, contender: str) -> Figures:
        """Feed a task; bytes by open entry, microseconds of CPU by event."""
        settings = {"case": case, "events": self.live, "live": self.live, "more": self.more}
        with self.ground.start(contender, self.name, settings) as running:
            told = running.outcome(TIMEOUT_SECONDS).more
        return {**told, "hot_by_cold": told["hot_us"] / told["cold_us"]}
