"""Latency of one hop: how old a result is when a read_committed consumer can read it.

The job is the same for all: read a record, count it by key, durably, and write the key's new count.
Input: 300-byte values of 1,000 keys at a fixed rate a second, which is the case's name; four tasks.
A time is from when a record was due to be produced. A few seconds at 1,000 a second and some at the
rate itself come before and do not count. Every result must be there once and be the right one.
Where results come more slowly than records, the queue grows: the bench says so, waits no longer
than ``DRAIN_SECONDS``, and takes what has not come for as old as it is then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bench.contenders.ours.join_values import Count
from bench.harness import hops, java, load
from bench.harness.envs import home_of, variant_of
from bench.harness.feeds import Keys
from bench.harness.ground import PARTITIONS, Ground
from bench.harness.hops import Arrived, Sent, Tap
from bench.harness.progress import say
from bench.harness.rounds import Figures
from bench.keyed_count import COMMIT_MS
from schemas.wire import Codec
from streams.engine.own_types import teach

KEYS = 1000
WARM_RATE = 1000
WARM_SECONDS = (5, 10)
"""At ``WARM_RATE``, then at the rate itself: Java's compilers are at work for longer."""
SECONDS = 10
QUICK_SECONDS = 1
DRAIN_SECONDS = 5
LINGER_MS = 5
"""Of Kafka Streams."""
GUARANTEES = {"exactly_once": "exactly_once_v2", "at_least_once": "at_least_once"}


class Hop:
    """The bench; see the module."""

    name = "hop"
    about = "a record to its key's new count, read committed"
    cases: Sequence[str] = ("1000", "10000", "50000")
    contenders: Sequence[str] = (
        "ours", "ours:at_least_once", "stock_faust",
        *(f"kafka_streams:{guarantee}" for guarantee in GUARANTEES),
    )  # fmt: skip
    baselines: Mapping[str, float] = {}
    limits: Mapping[str, tuple[str, float]] = {
        "ours/1000": ("p99_ms", 80),
        "ours/10000": ("p99_ms", 110),
        "ours:at_least_once/1000": ("p99_ms", 50),
        "ours:at_least_once/10000": ("p99_ms", 50),
    }

    def __init__(self, ground: Ground, quick: bool = False) -> None:
        self.ground, self.keys = ground, Keys(KEYS, PARTITIONS)
        self.warm = (QUICK_SECONDS,) * 2 if quick else WARM_SECONDS
        self.seconds = QUICK_SECONDS if quick else SECONDS
        self.codec, self._runs = teach(Codec()), 0

    def prepare(self, case: str, contenders: Sequence[str]) -> None:
        """The input is made while it is sent."""

    def run(self, case: str, contender: str) -> Figures:
        """Measure one round."""
        self._runs += 1
        where = self.ground.bootstrap
        names = [f"bench.hop.{self._runs}.{side}" for side in ("in", "out")]
        for name in names[: 1 if home_of(contender) == "ours" else 2]:  # ours makes its own output
            load.create(where, name, PARTITIONS)
        with self.ground.start(contender, self.name, self._settings(contender, *names)) as running:
            tap = Tap(where, names[1], PARTITIONS)
            tap.start()
            try:
                found = self._measure(
                    case, contender, Sent(where, names[0], self.keys), tap, running.check
                )
            finally:
                tap.stop()
        for name in names:
            load.delete(where, name)
        return found

    def _settings(self, contender: str, topic: str, output: str) -> dict[str, Any]:
        told: dict[str, Any] = {
            "topic": topic,
            "output": output,
            "events": 0,
        }
        if home_of(contender) == "kafka_streams":
            told["guarantee"] = GUARANTEES[variant_of(contender)]
            told["commit_ms"], told["linger_ms"] = COMMIT_MS, LINGER_MS
            told["java"] = java.command(home_of(contender), "Hop")
        return told

    def _measure(
        self, case: str, contender: str, sent: Sent, tap: Tap, check: Callable[[], None]
    ) -> Figures:
        hops.probe(sent, tap, check)
        sent.pace(WARM_RATE, self.warm[0], check)
        sent.pace(int(case), self.warm[1], check)
        since = sent.pace(int(case), self.seconds, check)
        sent.flush()
        hops.drain(sent, tap, DRAIN_SECONDS, check)
        stop = time.perf_counter()
        tap.stop()
        pairs = hops.matched(contender, sent.due, self._counts(contender, tap.found))
        found = hops.figures(pairs, since, since + self.seconds, stop)
        if found["left"]:
            say(
                f"{self.name} {case}: {contender} cannot keep up, the queue grows: "
                f"{found['done_per_s']:.0f} results a second"
            )
        return found

    def _counts(self, contender: str, found: list[Arrived]) -> Iterator[tuple[float, bytes, int]]:
        """The results as numbers: ours are in Avro, the others' in digits."""
        ours = home_of(contender) == "ours"
        for at, key, value in found:
            yield at, key, self._decoded(value) if ours else int(value)

    def _decoded(self, value: bytes) -> int:
        count = self.codec.decode(value, None)[1]
        assert isinstance(count, Count)
        return count.count
