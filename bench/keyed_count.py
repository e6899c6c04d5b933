"""Count events by key, durably: the smallest job with state.

Input: 300-byte values with key ``k<n>`` in partition ``n % 4``; the keys are drawn with a fixed
seed, so that keys have counts of their own. A case's name is its number of keys. Slow contenders
get the first events only, enough for ten seconds.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence

from bench.harness import load, oracle
from bench.harness.ground import PARTITIONS, Ground
from bench.harness.load import Record
from bench.harness.rounds import Figures, figures_of

VALUE_BYTES = 300
SEED = 7
EVENTS = 5_000_000
OTHERS = {"stock_faust": 25_000, "quix": 500_000, "bytewax": 2_000_000, "pathway": 2_000_000}
"""Others get as many as ten seconds need, and pathway more, as its first ones are not measured."""
QUICK = {"stock_faust": 1_000, "pathway": 500_000}
QUICK_EVENTS = 20_000
CHECKPOINT_MS = 300
TIMEOUT_SECONDS = 300


class KeyedCount:
    """The bench; see the module."""

    name = "keyed_count"
    about = "count by key with durable state: 300-byte values, 1,000 and 100,000 keys"
    cases: Sequence[str] = ("1000", "100000")
    contenders: Sequence[str] = (
        "ours", "stock_faust", "quix", "bytewax", "pathway", "bare_aiokafka", "bare_confluent",
    )  # fmt: skip
    baselines: Mapping[str, float] = {
        "stock_faust": 100,
        "quix": 3,
        "bytewax": 3,
        "bare_confluent/1000": 0.65,
        "bare_confluent/100000": 0.5,
    }

    def __init__(self, ground: Ground, quick: bool = False) -> None:
        self.ground, self.quick = ground, quick
        self._truth: dict[str, dict[str, int]] = {}

    def events(self, contender: str) -> int:
        """How many events a contender gets."""
        if self.quick:
            return QUICK.get(contender, QUICK_EVENTS)
        return OTHERS.get(contender, EVENTS)

    def topic(self, case: str, contender: str) -> str:
        """The topic that a contender reads: contenders with as many events share it."""
        return f"bench.events.{case}.{self.events(contender)}"

    def prepare(self, case: str, contenders: Sequence[str]) -> None:
        """Fill the topics of a case and count what they hold."""
        where, wanted = self.ground.bootstrap, {self.topic(case, c): c for c in contenders}
        for topic, contender in wanted.items():
            load.create(where, topic, PARTITIONS)
            load.fill(where, topic, records(self.events(contender), int(case)))
            self._truth[topic] = load.count_keys(where, topic, PARTITIONS)

    def run(self, case: str, contender: str) -> Figures:
        """Let a contender count everything once; its counts must be right to the key."""
        topic = self.topic(case, contender)
        settings = {
            "topic": topic,
            "events": self.events(contender),
            "checkpoint_ms": CHECKPOINT_MS,
        }
        with self.ground.start(contender, self.name, settings) as running:
            outcome = running.outcome(TIMEOUT_SECONDS)
        found = oracle.read_counts(outcome.folder / "counts")
        oracle.require_equal(contender, self._truth[topic], found)
        return figures_of(outcome)


def records(events: int, keys: int) -> Iterator[Record]:
    """The first ``events`` records of the input."""
    draw, padding = random.Random(SEED).randrange, b"x" * (VALUE_BYTES - 20)
    for number in range(events):
        key = draw(keys)
        yield b"k%d" % key, b"%019d," % number + padding, key % PARTITIONS
