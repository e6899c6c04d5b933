"""Partitions of topics, read from given offsets on: decoded, committed only, without a group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from schemas.wire import Codec
from streams.client.decode import LETTERS, Read, is_control, read_message
from streams.client.librdkafka import passes
from streams.wire.errors import groupless, no_right

OPTIONS: dict[str, Any] = {
    "group.id": "streams-reader",
    "enable.auto.commit": False,
    "isolation.level": "read_committed",
    "auto.offset.reset": "earliest",
    "enable.partition.eof": True,
    "fetch.wait.max.ms": 50,
    "fetch.queue.backoff.ms": 5,
    "fetch.message.max.bytes": 2 << 20,
    "receive.message.max.bytes": 80 << 20,
}


class Reader:
    """Reads partitions of topics from given offsets on; no consumer group is involved."""

    def __init__(self, bootstrap: str, codec: Codec, kafka: dict[str, Any] | None = None) -> None:
        self.codec = codec
        options = {**OPTIONS, "bootstrap.servers": bootstrap, **(kafka or {})}
        self.consumer = Consumer(options)
        self._options = {**options, "isolation.level": "read_uncommitted"}
        self._ends: Consumer | None = None
        self._alone = options["group.id"] == OPTIONS["group.id"]
        """Whether no group is involved."""
        self._open: set[tuple[str, int]] = set()
        self._next: dict[tuple[str, int], int] = {}

    def partitions(self, topic: str) -> int:
        """Partition count of a topic; 0 when there is none. Raises KafkaException, or NoRight."""
        found = self.consumer.list_topics(topic, timeout=15).topics.get(topic)
        refused = no_right(found.error if found is not None else None, f"see topic {topic}")
        if refused is not None:
            raise refused
        return len(found.partitions) if found is not None and found.error is None else 0

    def start(self, offsets: dict[tuple[str, int], int]) -> None:
        """Read these partitions from these offsets on."""
        self._open = set(offsets)
        self._next = dict(offsets)
        self.consumer.assign([TopicPartition(t, p, o) for (t, p), o in offsets.items()])

    @property
    def at_end(self) -> bool:
        """Whether every partition has been read to the end that it had when it was reached."""
        return not self._open

    def has_all(self) -> bool:
        """Whether everything was read that the broker has at this moment.

        A commit is answered before its markers are in the partitions, so the end that counts is
        that of the log, not the one that readers of committed records see.
        """
        return all(position >= self.span(*place)[1] for place, position in list(self._next.items()))

    def span(self, topic: str, partition: int) -> tuple[int, int]:
        """The first offset of a partition and its end, open transactions included.

        Raises KafkaException.
        """
        if self._ends is None:
            self._ends = Consumer(self._options)
        place = TopicPartition(topic, partition)
        first, end = self._ends.get_watermark_offsets(place, timeout=15)
        return int(first), int(end)

    def poll(self, seconds: float = 0.1, most: int = 1000) -> list[Read]:
        """The next records; control records are left out."""
        found = []
        for message in self.consumer.consume(most, seconds):
            error = message.error()
            place = (message.topic() or "", message.partition() or 0)
            if error is None:
                self._open.add(place)
                self._next[place] = (message.offset() or 0) + 1
                if place[0] in LETTERS or not is_control(message):
                    found.append(read_message(message, self.codec))
            elif error.code() == KafkaError._PARTITION_EOF:
                self._next[place] = message.offset() or 0  # behind markers of transactions
                self._open.discard(place)
            elif not (passes(error) or (self._alone and groupless(error))):
                raise KafkaException(error)
        return found

    def until_end(self) -> Iterator[Read]:
        """All records up to the present end."""
        while self._open:
            yield from self.poll(0.1)

    def close(self) -> None:
        """Leave the broker."""
        self.consumer.close()
        if self._ends is not None:
            self._ends.close()


def read_topics(bootstrap: str, names: Iterable[str], codec: Codec) -> dict[str, list[Read]]:
    """Every committed record of several topics, up to their present ends."""
    reader = Reader(bootstrap, codec)
    found: dict[str, list[Read]] = {name: [] for name in names}
    try:
        reader.start({(name, p): 0 for name in found for p in range(reader.partitions(name))})
        for read in reader.until_end():
            found[read.topic].append(read)
    finally:
        reader.close()
    return found


def read_all(bootstrap: str, topic: str, codec: Codec) -> list[Read]:
    """Every committed record of a topic, up to its present end."""
    return read_topics(bootstrap, [topic], codec)[topic]
