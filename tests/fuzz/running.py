"""Running a decoder or a guard over many mutations: no crash, no hang, memory bounded, balanced."""

from __future__ import annotations

import faulthandler
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from streams.engine.guard import Counts, is_control
from streams.testing import TopologyDriver
from streams.topics import Topic, dead_letters
from tests.fuzz.decoders import DECODERS
from tests.fuzz.material import DEMO, Decoder, records
from tests.fuzz.mutate import Mutator
from tests.playing import story_topology

SLOW_SECONDS = 2.0
"""Of CPU, for one record: longer is a hang."""
HANG_SECONDS = 300.0
"""For one chunk, which takes seconds: whoever is still at it will never come back to be judged."""
MEMORY_MB = 256
"""What decoding small records may add to the peak of the process."""
CHUNK = 2500
"""Records that are taken together: one driver keeps all that was written."""


class Outcome(NamedTuple):
    """What became of the mutations."""

    taken: int
    refused: int


def decode_many(name: str, count: int, seed: int) -> Outcome:
    """Mutations into one decoder; raises what it may not raise, with the number of the mutation."""
    decoder = DECODERS[name]()
    mutator, refused, before = Mutator(seed, decoder.corpus), 0, peak_mb()
    for start in range(0, count, CHUNK):
        with no_hang():
            for number in range(start, min(start + CHUNK, count)):
                refused += _refuses(decoder, mutator, f"{name}, seed {seed}, mutation {number}")
    assert peak_mb() - before < MEMORY_MB, f"{name}: {peak_mb() - before} MB more"
    return Outcome(count - refused, refused)


def _refuses(decoder: Decoder, mutator: Mutator, which: str) -> bool:
    """Whether the next mutation is refused."""
    refused, began = False, time.process_time()
    try:
        decoder.call(mutator)
    except decoder.raises:
        refused = True
    except Exception as error:
        raise AssertionError(f"{which}: {error!r}") from error
    took = time.process_time() - began
    assert took < SLOW_SECONDS, f"{which}: {took:.1f} s"
    return refused


@contextmanager
def no_hang() -> Iterator[None]:
    """End the process with a traceback where this never ends: also in C code, which no signal ends.

    The same seed comes to the same place again.
    """
    faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def guard_many(topic: Topic, count: int, seed: int) -> Counts:
    """Mutations of a topic's records through the main job; raises when counts do not balance."""
    total, before = Counts(), peak_mb()
    for start in range(0, count, CHUNK):
        with no_hang():
            total += _guard(topic, min(CHUNK, count - start), seed * 1_000_003 + start)
    assert peak_mb() - before < 2 * MEMORY_MB, f"{topic.name}: {peak_mb() - before} MB more"
    return total


def _guard(topic: Topic, count: int, seed: int) -> Counts:
    real = [r for r in records()[topic.name] if r.raw_value is not None]
    mutator = Mutator(seed, [r.raw_value for r in real if r.raw_value])
    driver = TopologyDriver(story_topology(DEMO), partitions=1, dead_letters="keep")
    driver.now_ts = max(record.append_ts for record in real)
    for number in range(count):
        if number == count // 2:
            _declare(driver, topic, max(record.append_ts for record in real))
        record, way = mutator.dice.choice(real), mutator.dice.randrange(4)
        key, value, headers = record.raw_key, record.raw_value, record.raw_headers
        if way in (0, 3):
            value = mutator.bytes() if mutator.dice.random() < 0.95 else None
        if way in (1, 3):
            headers = mutator.headers(headers)
        if way == 2 and mutator.dice.random() < 0.5:
            key = mutator.dice.choice((None, b"", b"\xff\xfe", b"k" * 70_000, b"somebody"))
        driver.produce_raw(topic, key, value, list(headers), run=False)
    began = time.process_time()
    driver.run()
    _declare(driver, topic, driver.now_ts + 100_000_000)
    driver.run()
    assert time.process_time() - began < max(SLOW_SECONDS * 10, count * 0.02)
    driver.checkpoint()
    return _balanced(driver, topic)


def _declare(driver: TopologyDriver, topic: Topic, ts: int) -> None:
    """Let time go on in the task that reads a topic: some is late now, and its timers fire."""
    sub = driver.topology.reader(topic.name)
    for read in () if sub is None else sub.inputs:
        writers = [writer.name for writer in driver.topology.writers(read.name)]
        for writer in writers or ["source"]:
            driver.declare(read, ts, writer, run=False)


def _balanced(driver: TopologyDriver, topic: Topic) -> Counts:
    """The counts of the task that read the topic, after a look at all of them."""
    found = Counts()
    for task in driver.tasks.values():
        for name, counts in task.counts.items():
            assert counts.balanced, f"{name}: {counts}"
        if topic.name in task.counts:
            found = task.counts[topic.name]
            log = driver.log[topic.name, 0][: task.position[topic.name]]
            read = sum(not is_control(record) for record in log)
            assert read <= found.read <= len(log), f"{topic.name}: {found}, {read} records"
    dead = sum(c.dead_letters for t in driver.tasks.values() for c in t.counts.values())
    assert dead == len(driver.letters()), f"{dead} counted, {len(driver.letters())} letters"
    assert all(letter.cause for letter in driver.letters())
    return found


def inputs() -> list[Topic]:
    """The topics that the main job reads from Kafka, and of which there are real records."""
    found = {t.name: t for t in story_topology(DEMO).inputs if t.event_type is not None}
    found.pop(dead_letters.name, None)
    real = {n for n, log in records().items() if any(r.raw_value for r in log)}
    return [found[name] for name in sorted(found.keys() & real)]


def peak_mb() -> int:
    """The greatest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
