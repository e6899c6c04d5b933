"""A real block through the steps that are keyed by txid.

Input: mainnet block 866342 with its prevouts, as our archive source writes it; more transactions
are the same under fresh txids. Steps: decode, lifecycle fold, features, patterns, score, activity
fan-out, all outputs encoded and produced. The contender gets the block once where it is slow. Every
output topic must have the net set that the same steps give in memory. Beside it stands the rate of
ours with the whole main job in the same process: everything up to the entity join.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.harness import blocks, oracle
from bench.harness.ground import Ground
from bench.harness.mainjob import MainJob, Net, expected, selected
from bench.harness.rounds import Figures, figures_of
from schemas.envelope import Event
from streams import topics

STEP = "follow_lifecycle"
"""The steps keyed by txid are the sub-topology that has this one."""
COPIES = {"ours": 8}
"""The block so many times, each time under fresh txids; others get it once."""
WHOLE_COPIES = 2
QUICK_TRANSACTIONS = 300
TIMEOUT_SECONDS = 600


class TransactionPath:
    """The bench; see the module."""

    name = "transaction_path"
    about = "block 866342 through the steps keyed by txid"
    cases: Sequence[str] = (blocks.HEIGHT,)
    contenders: Sequence[str] = ("ours", "stock_faust")
    baselines: Mapping[str, float] = {"stock_faust": 5}

    def __init__(self, ground: Ground, quick: bool = False) -> None:
        self.job, self.quick = MainJob(ground), quick
        self.block: list[Event] = []
        self._truth: dict[tuple[str, int], dict[str, Net]] = {}

    def prepare(self, case: str, contenders: Sequence[str]) -> None:
        """Read the block."""
        found = blocks.transactions()
        self.block = found[:QUICK_TRANSACTIONS] if self.quick else found

    def run(self, case: str, contender: str) -> Figures:
        """Let a contender work the block off once; every output topic must be right."""
        figures = self._one(contender, [STEP], COPIES.get(contender, 1))
        if contender == "ours":
            beside = self._one(contender, [], WHOLE_COPIES)
            figures["rate_with_entity_join"] = beside["rate"]
        return figures

    def _one(self, contender: str, steps: list[str], copies: int) -> Figures:
        copies = 1 if self.quick else copies
        events = blocks.multiplied(self.block, len(self.block) * copies)
        truth = self._expected(events)
        self.job.fresh_topics()
        self.job.write(events)
        until = {topics.transactions.name: len(events)}
        if not steps:
            until[topics.activity.name] = len(truth[topics.activity.name])
        settings = {
            "steps": steps,
            "events": len(events),
            "until": until,
        }
        with self.job.ground.start(contender, self.name, settings) as running:
            outcome = running.outcome(TIMEOUT_SECONDS)
        self._check(contender, truth)
        return figures_of(outcome)

    def _expected(self, events: list[Event]) -> dict[str, Net]:
        place = (STEP, len(events))
        if place not in self._truth:
            self._truth[place] = expected(selected([STEP], "truth"), events)
        return self._truth[place]

    def _check(self, contender: str, truth: dict[str, Net]) -> None:
        for name, rows in truth.items():
            found = self.job.written(topics.BY_TOPIC[name])
            oracle.require_equal(f"{contender}, topic {name}", rows, found)
