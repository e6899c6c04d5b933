"""Sends single records and notes when the result of each can be read."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from itertools import count

from confluent_kafka import Message, Producer, TopicPartition

from bench.harness.errors import BenchError
from bench.harness.pace import Listener

EVERY_SECONDS = 0.02
WAIT_SECONDS = 300
_SEND = {"enable.idempotence": True, "linger.ms": 1, "log_level": 2}


def _key(message: Message) -> bytes:
    return message.key() or b""


class Results(Listener):
    """The first result of each key that comes from now on, read committed."""

    def __init__(self, bootstrap: str, topic: str, partitions: int) -> None:
        super().__init__(bootstrap, topic, partitions, _key)
        places = [TopicPartition(topic, p) for p in range(partitions)]
        ends = [self.consumer.get_watermark_offsets(place, timeout=10)[1] for place in places]
        self.consumer.assign([TopicPartition(topic, p, end) for p, end in enumerate(ends)])


class Probes:
    """Records of ``keys`` keys that take turns, from ``k<first>`` on.

    The key ``k<n>`` belongs to partition ``n % partitions``.
    """

    def __init__(
        self, bootstrap: str, topic: str, partitions: int, keys: int, first: int = 0
    ) -> None:
        self._producer = Producer({**_SEND, "bootstrap.servers": bootstrap})
        self.topic, self.partitions = topic, partitions
        self._keys, self._first = keys, first
        self._round = count()
        self.sent: dict[bytes, tuple[int, float]] = {}
        """By key: partition, and when it was sent last."""

    def one_each(self) -> list[bytes]:
        """Send one record to each partition; returns their keys, in the order of partitions."""
        start = self._first + next(self._round) * self.partitions % self._keys
        keys = [b"k%d" % (start + p) for p in range(self.partitions)]
        for partition, key in enumerate(keys):
            self.sent[key] = partition, time.perf_counter()
            self._producer.produce(self.topic, b"probe", key, partition)
        self._producer.poll(0)
        return keys

    def flush(self) -> None:
        """Wait until all are stored."""
        if self._producer.flush(WAIT_SECONDS):
            raise BenchError("not all probes were stored", "look at the broker's log")

    def since(self, moment: float, arrived: Iterable[tuple[bytes, float]]) -> dict[int, float]:
        """By partition, when the first result came of a record that was sent after a moment."""
        found: dict[int, float] = {}
        for key, at in list(arrived):
            partition, sent = self.sent.get(key, (0, 0.0))
            if sent > moment and at < found.get(partition, at + 1):
                found[partition] = at
        return found


class Trickle(threading.Thread):
    """One record to each partition now and then, for as long as the ``with`` block lasts."""

    def __init__(self, probes: Probes) -> None:
        super().__init__(name="trickle", daemon=True)
        self._probes, self._over = probes, threading.Event()

    def __enter__(self) -> Trickle:
        self.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._over.set()
        self.join()
        self._probes.flush()

    def run(self) -> None:
        while not self._over.wait(EVERY_SECONDS):
            self._probes.one_each()


def answered(
    probes: Probes, results: Results, since: float, check: Callable[[], None]
) -> list[float]:
    """Wait until each partition has a result of a record sent after a moment; when each came.

    ``check`` raises when the contender has ended. Raises BenchError when results do not come.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while len(found := probes.since(since, list(results.arrived.items()))) < probes.partitions:
        check()
        results.require()
        if time.monotonic() > deadline:
            silent = sorted(set(range(probes.partitions)) - found.keys())
            raise BenchError(
                f"no result came from partitions {silent} within {WAIT_SECONDS} s",
                "see the contender's log",
            )
        time.sleep(0.01)
    return sorted(found.values())
