"""What a consumer group says of itself: who is in it, and who has what."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from enum import Enum
from typing import Any

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from bench.harness.errors import BenchError


class Isolation(Enum):
    """Which records count, the fewer first."""

    COMMITTED = IsolationLevel.READ_COMMITTED
    EVERY = IsolationLevel.READ_UNCOMMITTED


EVERY_SECONDS = 0.05
ASK_SECONDS = 10
WAIT_SECONDS = 180


class Group:
    """A consumer group, as its coordinator has it."""

    def __init__(self, bootstrap: str, name: str) -> None:
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 2})
        self.name = name

    def shares(self, topic: str) -> list[int]:
        """How many partitions of a topic each member has, the least first."""
        try:
            asked = self._admin.describe_consumer_groups([self.name], request_timeout=ASK_SECONDS)
            found = asked[self.name].result()
        except KafkaException:  # nobody has joined yet
            return []
        members = (member.assignment.topic_partitions for member in found.members)
        return sorted(sum(p.topic == topic for p in places) for places in members)

    def wait(self, topic: str, shares: list[int], check: Callable[[], None] = lambda: None) -> None:
        """Wait until the members have so many partitions; ``check`` raises when one has ended."""
        deadline = time.monotonic() + WAIT_SECONDS
        while (found := self.shares(topic)) != shares:
            check()
            if time.monotonic() > deadline:
                raise BenchError(
                    f"the group {self.name} has shared its partitions as {found}, not {shares}",
                    "see the logs of its members",
                )
            time.sleep(EVERY_SECONDS)

    def settled(self, *more: str) -> None:
        """Wait until no transaction is open on ``more`` and topics named after the group."""
        deadline = time.monotonic() + WAIT_SECONDS
        while open_ends := self._open(set(more)):
            if time.monotonic() > deadline:
                raise BenchError(f"{open_ends[0]} has an open transaction", "start again")
            time.sleep(10 * EVERY_SECONDS)

    def _open(self, more: set[str]) -> list[TopicPartition]:
        """Partitions of these topics whose committed end is not their end."""
        topics = self._admin.list_topics(timeout=10).topics
        places = [
            TopicPartition(name, partition)
            for name, found in topics.items()
            if name in more or name.startswith(self.name)
            for partition in found.partitions
        ]
        committed, every = (self._ends(places, level) for level in Isolation)
        return [place for place, end in every.items() if committed[place] < end]

    def _ends(self, places: list[TopicPartition], level: Isolation) -> dict[TopicPartition, int]:
        asked: Any = dict.fromkeys(places, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        found = self._admin.list_offsets(
            asked, isolation_level=level.value, request_timeout=ASK_SECONDS
        )
        return {place: future.result().offset for place, future in found.items()}


class Departure(threading.Thread):
    """Notes when a group has fewer members than there were."""

    def __init__(self, group: Group, topic: str) -> None:
        super().__init__(name="departure", daemon=True)
        self._group, self._topic = group, topic
        self._members = len(group.shares(topic))
        self.stopped, self.at = False, 0.0

    def run(self) -> None:
        while not self.stopped and not self.at:
            if len(self._group.shares(self._topic)) < self._members:
                self.at = time.perf_counter()
            time.sleep(EVERY_SECONDS)
