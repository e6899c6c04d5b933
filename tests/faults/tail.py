"""Watches the outputs as they become visible: how many there are, and when each task spoke last."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

from confluent_kafka import Consumer, Message, TopicPartition

OUTPUTS = ("fault.tallies", "fault.met", "fault.shop_tallies", "fault.shop_windows")
ASIDE = ("dead_letters", "late_records")
WRITER = "streams-writer"
SIGNS = {b"assert": 1, b"retract": -1}


class Tail(threading.Thread):
    """A read_committed consumer of every output."""

    def __init__(self, bootstrap: str, partitions: int) -> None:
        super().__init__(name="tail", daemon=True)
        own = {"group.id": "tail", "enable.auto.commit": False, "log_level": 0}
        quick = {
            "fetch.wait.max.ms": 20,
            "fetch.queue.backoff.ms": 2,
            "reconnect.backoff.max.ms": 500,
        }
        self._consumer = Consumer(
            {
                **own,
                **quick,
                "bootstrap.servers": bootstrap,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
            }
        )
        self._places = [
            TopicPartition(topic, partition, 0)
            for topic in (*OUTPUTS, *ASIDE)
            for partition in range(partitions)
        ]
        self.net: Counter[str] = Counter()
        """By topic, asserts less retracts; of what was put aside, all."""
        self.read = 0
        self.changed = time.monotonic()
        """When anything was last read (monotonic seconds)."""
        self.seen: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        """By task, moments (ms) at which records were read, with when the last was appended."""
        self._ending = threading.Event()

    def run(self) -> None:
        self._consumer.assign(self._places)
        while not self._ending.is_set():
            messages = self._consumer.consume(2000, 0.05)
            if messages:
                self._take(messages)
        self._consumer.close()

    def _take(self, messages: list[Message]) -> None:
        now, said = time.time_ns() // 1_000_000, dict[str, int]()
        for message in messages:
            if message.error() is None:
                self._count(message, said)
        for task, appended in said.items():
            moments = self.seen[task]
            if not moments or now > moments[-1][0]:
                moments.append((now, appended))

    def _count(self, message: Any, said: dict[str, int]) -> None:
        headers, topic = dict(message.headers() or ()), message.topic()
        writer = headers.get(WRITER)
        if writer is not None and message.value() is not None:
            said[writer.decode()] = message.timestamp()[1]
        if topic in ASIDE:
            self.net[topic] += 1
        elif message.value() is not None:
            self.net[topic] += SIGNS[headers["ce_op"]]
        else:
            return
        self.read += 1
        self.changed = time.monotonic()

    def recovery_ms(self, fault_ms: int) -> int:
        """From a moment to the first output written after it, of the task that took longest."""
        waits = [
            next((now - fault_ms for now, appended in moments if appended > fault_ms), None)
            for moments in list(self.seen.values())
            if moments[0][0] < fault_ms
        ]
        return max((wait for wait in waits if wait is not None), default=-1)

    def silence_ms(self, until_ms: int) -> int:
        """The longest time before a moment in which a task that had begun gave nothing."""
        gaps = [0]
        for moments in list(self.seen.values()):
            reads = [now for now, _ in moments if now <= until_ms]
            gaps += [later - sooner for sooner, later in pairwise([*reads, until_ms])]
        return max(gaps)

    def stop(self) -> None:
        """End it."""
        self._ending.set()
        self.join(20)
