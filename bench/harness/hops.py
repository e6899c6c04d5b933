"""Sends records at a fixed rate and keeps what comes out, to tell how old each result is.

Every record of a key has one result, the key's new count: the n-th result belongs to the n-th
record. So wrong, lost and doubled results are seen, and none needs an id.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

from bench.harness.errors import BenchError, WrongResult
from bench.harness.feeds import Keys
from bench.harness.pace import FEED, LISTEN, PROBE_SECONDS, WAIT_SECONDS
from bench.harness.rounds import Figures
from bench.harness.stats import percentile

VALUE = b"x" * 300
SEED = 5
TICK_SECONDS = 0.001
FETCH = 1000
MOST_PROBES = 300


class Arrived(NamedTuple):
    """A result, and when it could be read (s)."""

    at: float
    key: bytes
    value: bytes


class Tap(threading.Thread):
    """A read_committed consumer of a topic that keeps all results in their order."""

    def __init__(self, bootstrap: str, topic: str, partitions: int) -> None:
        super().__init__(name="tap", daemon=True)
        self.consumer = Consumer({**LISTEN, "bootstrap.servers": bootstrap})
        self.consumer.assign([TopicPartition(topic, p, 0) for p in range(partitions)])
        self.found: list[Arrived] = []
        self.stopped = False
        self.error: KafkaException | None = None

    def run(self) -> None:
        while not self.stopped and self.error is None:
            first = self.consumer.poll(0.05)
            if first is not None:
                self._keep([first, *self.consumer.consume(FETCH, 0)])

    def _keep(self, messages: Sequence[Message]) -> None:
        at = time.perf_counter()
        for message in messages:
            key, value = message.key(), message.value()
            if message.error():
                self.error = KafkaException(message.error())
            elif isinstance(key, bytes) and value is not None:
                self.found.append(Arrived(at, key, value))

    def require(self) -> None:
        """Raise what ended the thread."""
        if self.error is not None:
            raise self.error

    def stop(self) -> None:
        """End the thread and leave the broker."""
        if not self.stopped:
            self.stopped = True
            self.join()
            self.consumer.close()


class Sent:
    """Produces records of keys drawn with a fixed seed; knows when each one was due."""

    def __init__(self, bootstrap: str, topic: str, keys: Keys) -> None:
        self.producer = Producer({**FEED, "bootstrap.servers": bootstrap})
        self.topic = topic
        self._places = [(k.encode(), p) for k, p in zip(keys.names, keys.partitions, strict=True)]
        self._draw = random.Random(SEED).choice
        self.due: dict[bytes, list[float]] = {}
        """By key, when its records were due, in their order (s)."""
        self.count = 0

    def one(self, due: float) -> None:
        """Produce the next record."""
        key, partition = self._draw(self._places)
        self.due.setdefault(key, []).append(due)
        self.count += 1
        while True:
            try:
                self.producer.produce(self.topic, VALUE, key, partition)
                return
            except BufferError:  # a broker that is too slow for us makes the next ones late
                self.producer.poll(TICK_SECONDS)

    def pace(self, rate: int, seconds: float, check: Callable[[], None]) -> float:
        """Produce ``rate`` records a second; returns when the first one was due (s)."""
        start, number, most = time.perf_counter(), 0, round(rate * seconds)
        while number < most:
            wanted = min(most, int((time.perf_counter() - start) * rate) + 1)
            for late in range(number, wanted):
                self.one(start + late / rate)
            number = wanted
            self.producer.poll(0)
            check()
            time.sleep(TICK_SECONDS)
        return start

    def flush(self) -> None:
        """Wait until all are stored; raises BenchError when they are not."""
        if self.producer.flush(WAIT_SECONDS):
            raise BenchError("not all records were stored", "look at the broker's log")


def probe(sent: Sent, tap: Tap, check: Callable[[], None]) -> None:
    """Send a record now and then until one has come out; ``check`` raises when nothing will."""
    for _ in range(MOST_PROBES):
        sent.one(time.perf_counter())
        sent.flush()
        time.sleep(PROBE_SECONDS)
        check()
        tap.require()
        if tap.found:
            return
    raise BenchError("nothing came out", "see the contender's log")


def drain(sent: Sent, tap: Tap, seconds: float, check: Callable[[], None]) -> None:
    """Wait until as much has come out as was sent, but not longer than this."""
    deadline = time.monotonic() + seconds
    while len(tap.found) < sent.count and time.monotonic() < deadline:
        check()
        tap.require()
        time.sleep(PROBE_SECONDS / 10)


def matched(
    contender: str, due: dict[bytes, list[float]], found: Iterable[tuple[float, bytes, int]]
) -> Iterator[tuple[float, float | None]]:
    """When each record was due and when its result could be read; None: it could not yet.

    ``found`` are results in their order: time, key, count. Raises WrongResult for the first one
    that is not the next of its key.
    """
    counts = dict.fromkeys(due, 0)
    for at, key, count in found:
        if key not in due or count != counts[key] + 1 or count > len(due[key]):
            raise WrongResult(
                f"{contender}: {key.decode()} has the count {count} after {counts.get(key)}, "
                f"and {len(due.get(key, ()))} records were sent",
                "its latency would mean nothing; look at its log, or leave it out with --only",
            )
        counts[key] = count
        yield due[key][count - 1], at
    for key, count in counts.items():
        yield from ((when, None) for when in due[key][count:])


def figures(
    pairs: Iterable[tuple[float, float | None]], since: float, until: float, stop: float
) -> Figures:
    """Percentiles (ms) of what was due since then; what had not come at ``stop`` is so old.

    ``left`` is how many had not, ``done_per_s`` how many results came from ``since`` to ``until``.
    """
    all_ = list(pairs)
    counted = [(due, at) for due, at in all_ if due >= since]
    ages = [((stop if at is None else at) - due) * 1000 for due, at in counted]
    came = sum(at is not None and since <= at < until for _, at in all_)
    return {
        **{f"p{p}_ms": percentile(ages, p) for p in (50, 95, 99)},
        "left": sum(at is None for _, at in counted),
        "done_per_s": came / (until - since),
    }
