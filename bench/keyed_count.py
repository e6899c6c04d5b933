"""Count events by key, durably: the smallest job with state.

Input: 300-byte values with key ``k<n>`` in partition ``n % 4``; the keys are drawn with a fixed
seed, so that keys have counts of their own. A case's name is its number of keys. Slow contenders
get the first events only, enough for ten seconds. Kafka Streams is compiled while it runs, so it is
compared by the second half of its input, warm, with ours of the same half.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.harness import java, load, oracle
from bench.harness.envs import home_of
from bench.harness.ground import PARTITIONS, Ground
from bench.harness.load import Record
from bench.harness.process import Outcome
from bench.harness.rounds import WARM, Figures, figures_of

VALUE_BYTES = 300
SEED = 7
EVENTS = 3_000_000
OTHERS = {"stock_faust": 60_000, "quix": 900_000, "bytewax": 2_200_000, "pathway": 2_000_000}
"""Others get as many as ten seconds need, and pathway more, as its first ones are not measured."""
QUICK = {"stock_faust": 1_000, "pathway": 500_000}
QUICK_EVENTS = 20_000
COMMIT_MS = 100
"""Of Kafka Streams; its default for ``exactly_once_v2``."""
TIMEOUT_SECONDS = 300
STREAMS = {
    f"kafka_streams:{store}_{said}": (store, guarantee)
    for store in ("rocksdb", "memory")
    for said, guarantee in (
        ("exactly_once", "exactly_once_v2"),
        ("at_least_once", "at_least_once"),
    )
}
"""Variants of Kafka Streams: store and guarantee."""


class KeyedCount:
    """The bench; see the module."""

    name = "keyed_count"
    about = "count by key with durable state: 300-byte values, 1,000 and 100,000 keys"
    cases: Sequence[str] = ("1000", "100000")
    contenders: Sequence[str] = (
        "ours", "ours:at_least_once", "stock_faust", "quix", "quix:at_least_once", "bytewax",
        "pathway", *STREAMS, "bare_aiokafka", "bare_confluent",
    )  # fmt: skip
    baselines: Mapping[str, float] = {
        "stock_faust": 200,
        "quix": 4,
        "bytewax": 4,
        "pathway": 4,
        "kafka_streams:rocksdb_exactly_once": 1.8,
        "bare_confluent/1000": 0.8,
        "bare_confluent/100000": 0.6,
    }
    compared: Mapping[str, str] = dict.fromkeys(STREAMS, WARM)

    def __init__(self, ground: Ground, quick: bool = False) -> None:
        self.ground, self.quick = ground, quick
        self._truth: dict[str, dict[str, int]] = {}

    def events(self, contender: str) -> int:
        """How many events a contender gets."""
        home = home_of(contender)
        if self.quick:
            return QUICK.get(home, QUICK_EVENTS)
        return OTHERS.get(home, EVENTS)

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
        with self.ground.start(contender, self.name, self._settings(topic, contender)) as running:
            outcome = running.outcome(TIMEOUT_SECONDS)
        oracle.require_equal(contender, self._truth[topic], self._found(contender, outcome))
        return figures_of(outcome)

    def _settings(self, topic: str, contender: str) -> dict[str, Any]:
        told: dict[str, Any] = {
            "topic": topic,
            "events": self.events(contender),
        }
        if contender in STREAMS:
            told["store"], told["guarantee"] = STREAMS[contender]
            told["commit_ms"] = COMMIT_MS
            told["java"] = java.command(home_of(contender), "KeyedCount")
        return told

    def _found(self, contender: str, outcome: Outcome) -> dict[str, int]:
        """The counts that a contender tells; of Kafka Streams those on its changelog."""
        if contender not in STREAMS:
            return oracle.read_counts(outcome.folder / "counts")
        where, changelog = self.ground.bootstrap, f"{outcome.folder.name}-counts-changelog"
        found = {
            bytes(message.key() or b"").decode(): int.from_bytes(message.value() or b"", "big")
            for message in load.messages(where, changelog, PARTITIONS)
        }
        load.delete(where, changelog)  # it may be as large as the input
        return found


def records(events: int, keys: int) -> Iterator[Record]:
    """The first ``events`` records of the input."""
    draw, padding = random.Random(SEED).randrange, b"x" * (VALUE_BYTES - 20)
    for number in range(events):
        key = draw(keys)
        yield b"k%d" % key, b"%019d," % number + padding, key % PARTITIONS
