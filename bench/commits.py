"""How long a Kafka transaction takes, by how many partitions it writes to: the floor of latency.

A bare transactional producer commits every 30 ms, as a task of ours does under ``latency``, and
does nothing else. A case's name is its number of partitions; two records go to each. Every record
must be there. The first commits do not count: the broker has just started.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.harness import load, oracle
from bench.harness.ground import Ground
from bench.harness.rounds import Figures
from bench.harness.stats import percentile

INTERVAL_MS = 30
COMMITS, WARM = 1500, 300
QUICK_COMMITS, QUICK_WARM = 20, 5
TIMEOUT_SECONDS = 120


class Commits:
    """The bench; see the module."""

    name = "commits"
    about = "how long a transaction takes, by the partitions it writes to"
    cases: Sequence[str] = ("1", "7", "16")
    contenders: Sequence[str] = ("bare_confluent",)
    baselines: Mapping[str, float] = {}

    def __init__(self, ground: Ground, quick: bool = False) -> None:
        self.ground = ground
        self.commits, self.warm = (QUICK_COMMITS, QUICK_WARM) if quick else (COMMITS, WARM)
        self.rounds = 0

    def prepare(self, case: str, contenders: Sequence[str]) -> None:
        """There is no input."""

    def run(self, case: str, contender: str) -> Figures:
        """Let it commit; the times of the commits after the first ones, in ms."""
        self.rounds += 1
        topic = f"bench.commits.{case}.{self.rounds}"
        load.create(self.ground.bootstrap, topic, int(case))
        settings = {
            "topic": topic,
            "events": self.commits,
            "to_partitions": int(case),
            "interval_ms": INTERVAL_MS,
        }
        with self.ground.start(contender, self.name, settings) as running:
            outcome = running.outcome(TIMEOUT_SECONDS)
        told = oracle.read_counts(outcome.folder / "counts")
        truth = {f"{number:05d}": 2 * int(case) for number in range(self.commits)}
        found = load.count_keys(self.ground.bootstrap, topic, int(case))
        oracle.require_equal(contender, truth, found)
        times = [told[name] / 1000 for name in sorted(told)][self.warm :]
        figures: Figures = {f"p{p}_ms": percentile(times, p) for p in (50, 95, 99)}
        return figures | {"max_ms": max(times)}
