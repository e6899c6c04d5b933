"""Produces at a fixed rate and notes when each result can be read: latency by transaction."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

from bench.harness.errors import BenchError
from schemas.headers import Headers

WAIT_SECONDS = 60
PROBE_SECONDS = 0.2
DRAIN_SECONDS = 180
FEED: dict[str, Any] = {
    "enable.idempotence": True,
    "linger.ms": 1,
    "partitioner": "murmur2_random",
    "log_level": 2,
    "queue.buffering.max.messages": 500_000,
}
LISTEN: dict[str, Any] = {
    "group.id": "bench-listener",
    "enable.auto.commit": False,
    "auto.offset.reset": "earliest",
    "isolation.level": "read_committed",
    "fetch.wait.max.ms": 20,
    "fetch.queue.backoff.ms": 2,
    "log_level": 2,
}


class Item(NamedTuple):
    """One record to produce."""

    key: bytes
    value: bytes
    headers: Headers


class Listener(threading.Thread):
    """A read_committed consumer that notes when the first result of each transaction arrived."""

    def __init__(
        self, bootstrap: str, topic: str, partitions: int, name: Callable[[Message], bytes]
    ) -> None:
        super().__init__(name="listener", daemon=True)
        self.consumer = Consumer({**LISTEN, "bootstrap.servers": bootstrap})
        self.consumer.assign([TopicPartition(topic, p, 0) for p in range(partitions)])
        self.name_of, self.arrived, self.stopped = name, dict[bytes, float](), False
        self.error: KafkaException | None = None

    def run(self) -> None:
        while not self.stopped:
            message = self.consumer.poll(0.05)
            if message is None:
                continue
            if message.error():
                self.error = KafkaException(message.error())
                return
            if message.value() is not None:
                self.arrived.setdefault(self.name_of(message), time.perf_counter())

    def require(self) -> None:
        """Raise what ended the thread."""
        if self.error is not None:
            raise self.error

    def stop(self) -> None:
        """End the thread and leave the broker."""
        self.stopped = True
        self.join()
        self.consumer.close()


class Feeder:
    """Produces records, each at its time."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.producer = Producer({**FEED, "bootstrap.servers": bootstrap})
        self.topic, self.sent = topic, dict[bytes, float]()

    def send(self, item: Item) -> None:
        """Produce a record now."""
        self.sent[item.key] = time.perf_counter()
        self.producer.produce(self.topic, item.value, item.key, headers=list(item.headers))

    def pace(self, items: Iterable[Item], rate: float) -> None:
        """Produce records at ``rate`` a second; a late one is sent at once, and counts as late."""
        start = time.perf_counter()
        for number, item in enumerate(items):
            due = start + number / rate
            while (early := due - time.perf_counter()) > 0:
                self.producer.poll(0)
                time.sleep(min(early, 0.001))
            self.send(item)
            self.sent[item.key] = due  # what it waited for us is latency too
        if self.producer.flush(WAIT_SECONDS):
            raise BenchError("not all records were stored", "look at the broker's log")


def probe(
    feeder: Feeder, listener: Listener, items: Sequence[Item], check: Callable[[], None]
) -> int:
    """Send one record now and then until one has come out; returns how many were sent.

    ``check`` raises when the contender has ended.
    """
    for number, item in enumerate(items, 1):
        feeder.send(item)
        feeder.producer.flush(WAIT_SECONDS)
        time.sleep(PROBE_SECONDS)
        check()
        if listener.arrived:
            return number
    raise BenchError("nothing came out", "see the contender's log")


def await_all(listener: Listener, wanted: Iterable[bytes], check: Callable[[], None]) -> None:
    """Wait until each of these has arrived; raises BenchError when they do not."""
    missing, deadline = set(wanted), time.monotonic() + DRAIN_SECONDS
    while missing := {key for key in missing if key not in listener.arrived}:
        check()
        listener.require()
        if time.monotonic() > deadline:
            raise BenchError(
                f"{len(missing)} results were not there {DRAIN_SECONDS} s after the last input",
                "the rate is more than this machine can do: choose a lower one with --case",
            )
        time.sleep(0.05)
