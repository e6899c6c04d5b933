"""Raw records of partitions: assigned by us, or by a consumer group; positions and ends."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.client.errors import NotCommitted, NoTopic
from streams.client.librdkafka import REFUSED, client_of, explained, passes, patiently
from streams.client.options import LOG
from streams.client.reader import OPTIONS
from streams.client.start import Place
from streams.wire.errors import groupless

DEFAULTS: dict[str, Any] = {
    **OPTIONS,
    "queued.max.messages.kbytes": 16384,
    "auto.offset.reset": "earliest",
    "partition.assignment.strategy": "range,roundrobin",
}


class Fetch:
    """A librdkafka consumer that hands over record by record, and knows where it stands.

    ``next`` is, for each partition that is ours, the position behind everything that was handed
    over, markers of transactions included.
    """

    def __init__(self, bootstrap: str, kafka: Mapping[str, Any], group: str | None, timeout: float):
        self.bootstrap, self.timeout, self.kafka = bootstrap, timeout, kafka
        config = {**DEFAULTS, "bootstrap.servers": bootstrap, **kafka}
        if group is not None:
            config["group.id"] = group
        self._alone = group is None and config["group.id"] == OPTIONS["group.id"]
        self._uncommitted = {**config, "group.id": "streams-reader"}
        self._uncommitted["isolation.level"] = "read_uncommitted"
        self.consumer: Consumer = client_of(Consumer, config)
        self.next: dict[Place, int] = {}
        self.ends: dict[Place, int] = {}
        self.moved_at = time.monotonic()
        """When a position last moved (monotonic seconds)."""

    # What there is --------------------------------------------------------------------------------

    def partitions(self, topic: str) -> int:
        """Partition count; raises NoTopic or Unavailable."""
        ask = partial(self.consumer.list_topics, topic)
        found = patiently(ask, self.bootstrap, self.timeout, self.kafka).topics[topic]
        if found.error is not None and found.error.code() in REFUSED:
            raise explained(KafkaException(found.error), self.bootstrap)
        if found.error is not None:
            raise NoTopic(
                f"the broker at {self.bootstrap} has no topic {topic}",
                "create the topics with `streams topics apply`, or check the name",
            )
        return len(found.partitions)

    def measure_ends(self, places: Iterable[Place]) -> None:
        """Note the present ends of the log, unfinished transactions included: nothing behind them
        is handed over.
        """
        asker: Consumer = client_of(Consumer, self._uncommitted)
        try:
            for place in places:
                ask = partial(asker.get_watermark_offsets, TopicPartition(*place))
                self.ends[place] = patiently(ask, self.bootstrap, self.timeout, self.kafka)[1]
        finally:
            asker.close()

    @property
    def at_end(self) -> bool:
        """Whether all partitions, at least one, are read to the measured ends."""
        return bool(self.next) and not self.behind()

    def behind(self) -> list[str]:
        """Partitions that are not, in words."""
        return [
            f"{topic}/{partition} stands at {position} of {self.ends.get((topic, partition))}"
            for (topic, partition), position in self.next.items()
            if position < self.ends.get((topic, partition), 0)
        ]

    # Reading --------------------------------------------------------------------------------------

    def assign(self, offsets: dict[Place, int]) -> None:
        """Read these partitions, and no others, from these offsets on."""
        self.next = dict(offsets)
        self.moved_at = time.monotonic()
        self.consumer.assign([TopicPartition(t, p, o) for (t, p), o in offsets.items()])

    def poll(self, seconds: float) -> Message | None:
        """The next record, None when there is none yet; raises Unavailable."""
        message = self.consumer.poll(seconds)
        if message is None:
            return None
        place = (message.topic() or "", message.partition() or 0)
        error = message.error()
        if error is not None:
            self._error(error, place, message.offset())
            return None
        if place not in self.next:  # it was taken from us
            return None
        if place in self.ends and (message.offset() or 0) >= self.ends[place]:
            self._move(place, self.ends[place])
            return None
        self._move(place, (message.offset() or 0) + 1)
        return message

    def _error(self, error: KafkaError, place: Place, offset: int | None) -> None:
        if error.code() == KafkaError._PARTITION_EOF:
            if place in self.next and offset is not None:
                self._move(place, min(offset, self.ends.get(place, offset)))
        elif self._alone and groupless(error):
            return
        elif passes(error):
            LOG.warning("Kafka, will be tried again: %s", error.str())
        else:
            raise explained(KafkaException(error), self.bootstrap)

    def _move(self, place: Place, position: int) -> None:
        if position > self.next[place]:
            self.next[place] = position
            self.moved_at = time.monotonic()

    # The group ------------------------------------------------------------------------------------

    def committed(self, places: Iterable[Place]) -> dict[Place, int]:
        """The group's positions, of those partitions where it has one."""
        asked = [TopicPartition(*place) for place in places]
        ask = partial(self.consumer.committed, asked)
        found = patiently(ask, self.bootstrap, self.timeout, self.kafka)
        return {(p.topic, p.partition): p.offset for p in found if p.offset >= 0}

    def commit(self, positions: Mapping[Place, int]) -> None:
        """Store positions of the group; raises NotCommitted."""
        offsets = [TopicPartition(t, p, o) for (t, p), o in positions.items()]
        if not offsets:
            return
        try:
            self.consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            raise NotCommitted(
                f"the positions of the group were not stored ({error.args[0].str()})",
                "go on: what was processed since the last commit will come again; if the group took"
                " the partitions away, process faster or raise max.poll.interval.ms",
            ) from error

    def close(self) -> None:
        """Leave the group and the broker."""
        self.consumer.close()
