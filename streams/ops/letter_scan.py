"""Reading many records once, as they are: committed ones, up to the end that was there at first."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from streams.client.librdkafka import passes, patiently
from streams.engine.rights import Right, require
from streams.ops.admin import OpsError
from streams.wire.errors import groupless

MOST = 10_000
POLL_SECONDS = 0.2
TIMEOUT_SECONDS = 15
OPTIONS: dict[str, Any] = {
    "group.id": "streams-letters",
    "enable.auto.commit": False,
    "isolation.level": "read_committed",
    "auto.offset.reset": "earliest",
    "enable.partition.eof": True,
    "queued.max.messages.kbytes": 32 << 10,
    "fetch.queue.backoff.ms": 10,
    "receive.message.max.bytes": 80 << 20,
    "log_level": 0,
}
Spans = dict[int, tuple[int, int]]
"""Partition to the first offset that is meant, and the one behind the last."""


class Scanner:
    """Reads partitions of topics from offset to offset; no consumer group is involved."""

    def __init__(self, bootstrap: str, kafka: dict[str, Any] | None = None) -> None:
        self.bootstrap = bootstrap
        self.options = {**OPTIONS, "bootstrap.servers": bootstrap, **(kafka or {})}
        self.consumer = Consumer(self.options)
        self._admin: AdminClient | None = None

    @property
    def admin(self) -> AdminClient:
        """The same broker's administration."""
        if self._admin is None:
            own = {n: v for n, v in self.options.items() if n not in OPTIONS}
            self._admin = AdminClient({**own, "log_level": 0})
        return self._admin

    def counts(self) -> dict[str, int]:
        """Every topic's partition count; raises ClientError."""
        found = patiently(
            lambda timeout: self.consumer.list_topics(timeout=timeout),
            self.bootstrap,
            TIMEOUT_SECONDS,
            self.options,
        )
        return {name: len(topic.partitions) for name, topic in found.topics.items()}

    def spans(self, topic: str, since: int | None = None) -> Spans:
        """What is kept of a topic now, from a time of arrival (ms) on; raises OpsError."""
        count = self.counts().get(topic, 0)
        if not count:
            self.require(Right("topic", topic, "READ"))
            raise OpsError(
                f"the broker has no topic {topic}", "create the topics with `streams topics apply`"
            )
        return {number: self._span(TopicPartition(topic, number), since) for number in range(count)}

    def require(self, right: Right) -> None:
        """Raise NoRight where we lack it."""
        require(self.admin, self.options, [right])

    def _span(self, place: TopicPartition, since: int | None) -> tuple[int, int]:
        ends = partial(self.consumer.get_watermark_offsets, place)
        low, high = patiently(
            lambda timeout: ends(timeout=timeout), self.bootstrap, TIMEOUT_SECONDS, self.options
        )
        if since is None:
            return low, high
        asked = TopicPartition(place.topic, place.partition, since)
        [found] = self.consumer.offsets_for_times([asked], TIMEOUT_SECONDS)
        return (high if found.offset < 0 else max(low, found.offset)), high

    def read(self, topic: str, spans: Spans, most: int = MOST) -> Iterator[list[Message]]:
        """The records of these spans, in the order of each partition; raises KafkaException."""
        left = {number: end for number, (first, end) in spans.items() if first < end}
        self.consumer.assign([TopicPartition(topic, n, spans[n][0]) for n in left])
        while left:
            found = []
            for message in self.consumer.consume(most, POLL_SECONDS):
                if self._counts(message, left):
                    found.append(message)
            if found:
                yield found
        self.consumer.unassign()

    def _counts(self, message: Message, left: dict[int, int]) -> bool:
        """Whether a message is a record of the spans; notes which partitions are done."""
        error, number = message.error(), message.partition() or 0
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:  # behind the last record may be markers
                left.pop(number, None)
            elif not (passes(error) or groupless(error)):
                raise KafkaException(error)
            return False
        offset, end = message.offset() or 0, left.get(number, 0)
        if offset >= end - 1:
            left.pop(number, None)
        return offset < end

    def one(self, topic: str, partition: int, offset: int) -> Message | None:
        """The record at a place, if it is kept; raises KafkaException."""
        place = TopicPartition(topic, partition)
        low, high = patiently(
            lambda timeout: self.consumer.get_watermark_offsets(place, timeout=timeout),
            self.bootstrap,
            TIMEOUT_SECONDS,
            self.options,
        )
        if not low <= offset < high:
            return None
        for found in self.read(topic, {partition: (offset, offset + 1)}, 1):
            return found[0]
        return None

    def close(self) -> None:
        """Leave the broker."""
        self.consumer.close()
