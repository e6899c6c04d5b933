"""What a join of ours keeps, and what a hot key costs: a task as a worker has it, without a broker.

All that a task does with a record is done: decode, take in, join, encode results and changelog. So
many live events of as many keys are taken in, then memory of the process and bytes of the changelog
are counted by event; some more are the cold ones. In a task of its own, as many live events of one
key are taken in, then the hot ones: some more of that key, each with about one partner, as those of
the many keys have.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import join_values as v
from stamps import SETTINGS, Stamps

import joins
from joins import Matched, Unmatched
from schemas.headers import to_headers
from schemas.wire import Codec
from streams import Topic
from streams.engine.delivery import Delivery
from streams.engine.emit import Encoder
from streams.engine.joining import join_step
from streams.engine.own_types import teach
from streams.engine.settings import EngineSettings
from streams.engine.task import Task
from streams.engine.topology import build
from streams.testing import Record

START, SIZE = 1_700_000_000_000, 10_000
KEPT = 10**11
"""Longer than the input, and than any reach: what a join needs beside it follows from this."""
CASE, LIVE, MORE, CHUNK = SETTINGS["case"], SETTINGS["live"], SETTINGS["more"], 2_000
LEFT = Topic("bench.left", "any", "left", v.FACT.name, source=True, declared=False)
RIGHT = Topic("bench.right", "any", "right", v.FACT.name, source=True, declared=False)
OUT = Topic("bench.out", "any", "out", v.PAIR.name)
COMMON: dict[str, Any] = {"name": "join", "lateness": 2_000}


def made() -> joins.Join:
    """The join of the case; nothing that it has taken in is forgotten during the run."""
    if CASE == "interval":
        return joins.IntervalJoin(before=SIZE, after=SIZE, **COMMON)
    if CASE == "asof":
        return joins.AsOfJoin(tolerance=SIZE, **COMMON)
    if CASE == "lookup":
        return joins.LookupJoin(horizon=KEPT, emit="eager", **COMMON)
    windows, aggregates = joins.Tumbling(size=SIZE), {"n": joins.Count(), "s": joins.Sum("n")}
    return joins.WindowAggregate(windows=windows, aggregates=aggregates, **COMMON)


def say(result: Matched | Unmatched) -> v.Pair:
    """A value of the size that results have."""
    return v.Pair(result.key, 1, 2)


class Run:
    """A task that is fed."""

    def __init__(self) -> None:
        self.topics = (LEFT,) if CASE == "window" else (LEFT, RIGHT)
        sides = dict(zip(("left", "right"), self.topics, strict=False))
        topology = build((join_step(made(), sides, OUT, say),))
        settings = EngineSettings(
            lateness_ms=2_000, retract_grace_ms=KEPT, max_skew_ms=KEPT, partitions=1
        )
        self.codec = teach(Codec())
        self.task = Task(topology, topology.subs[0], 0, settings, self.codec)
        self.delivery = Delivery(Encoder("changelog", 0, 1, self.task.writer), (OUT,))
        self.position = {topic.name: 0 for topic in self.topics}
        self.number = self.changelog = 0

    def records(self, events: Iterable[tuple[str, int]]) -> Iterator[list[tuple[Topic, Record]]]:
        """Events (key, ts) in chunks, the sides in turn."""
        chunk: list[tuple[Topic, Record]] = []
        for key, ts in events:
            topic = self.topics[self.number % len(self.topics)]
            self.number += 1
            event = joins.Event(
                f"{self.number:016x}", key, ts, "assert", v.Fact(key, self.number),
                type=v.FACT.name, ingest_ts=ts,
            )  # fmt: skip
            value = self.codec.encode(event.type, event.value)
            offset = self.position[topic.name] + sum(t is topic for t, _ in chunk)
            place = (topic.name, 0, offset)
            chunk.append((topic, Record(place, key.encode(), value, to_headers(event), ts)))
            if len(chunk) == CHUNK:
                yield chunk
                chunk = []
        if chunk:
            yield chunk

    def feed(self, events: Iterable[tuple[str, int]]) -> float:
        """Take events in, a checkpoint a chunk; the CPU seconds that it took."""
        spent = 0.0
        for chunk in self.records(events):
            began = time.process_time()
            for topic in reversed(self.topics):  # a version is there before it is looked up
                records = [record for other, record in chunk if other is topic]
                at = self.position[topic.name]
                self.position[topic.name] = at + len(records)
                self.task.process(topic.name, records, at, at + len(records))
            for written in self.delivery.records(self.task.snapshot()):
                if written[0] == "changelog":
                    self.changelog += len(written[1] or b"") + len(written[2] or b"")
            spent += time.process_time() - began
        return spent


def events(hot: bool, start: int, count: int) -> Iterator[tuple[str, int]]:
    """Events (key, ts) in pairs of a key, one of each side; pairs of a hot key lie far apart."""
    together = CASE == "window"
    for number in range(start, start + count):
        pair = number // 2
        key = "hot" if hot else f"k{pair}"
        apart = 0 if together else 3 * SIZE * pair
        yield key, START + (apart if hot else number // 100) - number % 2


def resident() -> int:
    """Bytes of memory of this process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    stamps, run = Stamps(), Run()
    run.feed(events(False, 0, CHUNK))  # what is made once is made
    before, written = resident(), run.changelog
    stamps.begin()
    run.feed(events(False, CHUNK, LIVE))
    memory, changelog = resident() - before, run.changelog - written
    cold = run.feed(events(False, CHUNK + LIVE, MORE))
    run = Run()
    run.feed(events(True, 0, LIVE))
    hot = run.feed(events(True, LIVE, MORE))
    stamps.end()
    stamps.say(
        memory_bytes=memory / LIVE,
        changelog_bytes=changelog / LIVE,
        cold_us=cold / MORE * 1e6,
        hot_us=hot / MORE * 1e6,
    )


main()
