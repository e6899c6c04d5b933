"""JSON lines to a topic: checked, keyed, framed, with headers, by an idempotent producer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas.envelope import Event
from schemas.errors import SchemaError
from schemas.headers import to_headers
from schemas.jsonform import check, from_line
from schemas.validate import validate
from schemas.wire import Codec
from streams.ops.admin import OpsError
from streams.topics import Topic

OPTIONS: dict[str, Any] = {
    "enable.idempotence": True,
    "acks": "all",
    "partitioner": "murmur2_random",
    "compression.type": "lz4",
    "linger.ms": 5,
    "delivery.timeout.ms": 30_000,
    "log_level": 0,
}
PRODUCER = "streams produce"
TIMEOUT_SECONDS = 15
HEADER_ROOM = 64 * 1024


class Refused(NamedTuple):
    """A line that is not an event of its topic."""

    number: int
    """Line number, from 1."""
    cause: str
    remedy: str


class Record(NamedTuple):
    """A line, ready to be sent."""

    number: int
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


def records(
    lines: Iterable[bytes], topic: Topic, codec: Codec, now: Callable[[], int]
) -> Iterator[Record | Refused]:
    """Turn lines into records, in order; empty lines are passed over. ``now`` gives ms."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _record(number, line, topic, codec, now())


def _record(number: int, line: bytes, topic: Topic, codec: Codec, now_ts: int) -> Record | Refused:
    try:
        event = from_line(line, topic.type, PRODUCER, now_ts)
        value = _encode(event, topic, codec)
        return Record(number, event.key.encode(), value, to_headers(event))
    except SchemaError as error:
        remedy = getattr(error, "remedy", "correct the line")
        return Refused(number, str(error), remedy)


def _encode(event: Event, topic: Topic, codec: Codec) -> bytes:
    if topic.source:
        check(event, topic.type)
        validate(event.value, event.key, topic.key_of)
    return codec.encode(event.type, event.value)


class TopicProducer:
    """Writes records to one topic; every record of a broadcast topic goes to every partition.

    Raises OpsError when the topic is not there, KafkaException when a record cannot be delivered.
    """

    def __init__(self, bootstrap: str, topic: Topic, kafka: dict[str, Any] | None = None) -> None:
        self.topic = topic
        most = topic.max_message_bytes + HEADER_ROOM
        self.producer = Producer(
            {**OPTIONS, "bootstrap.servers": bootstrap, "message.max.bytes": most, **(kafka or {})}
        )
        count = self._partitions()
        self._to: tuple[int, ...] = tuple(range(count)) if topic.broadcast else (-1,)
        self._failed: KafkaError | None = None

    def _partitions(self) -> int:
        found = self.producer.list_topics(self.topic.name, timeout=TIMEOUT_SECONDS)
        topic = found.topics[self.topic.name]
        if topic.error is not None:
            raise OpsError(
                f"the broker has no topic {self.topic.name}",
                "create the topics with `streams topics apply`",
            )
        return len(topic.partitions)

    def send(self, record: Record) -> None:
        """Queue a record; raises KafkaException when an earlier one could not be delivered."""
        for partition in self._to:
            while not self._queued(record, partition):
                self.producer.poll(0.5)
        self.producer.poll(0)
        self._check()

    def _queued(self, record: Record, partition: int) -> bool:
        try:
            self.producer.produce(
                self.topic.name,
                record.value,
                record.key,
                partition,
                on_delivery=self._delivered,
                headers=record.headers,  # type: ignore[arg-type]
            )
        except BufferError:
            return False
        return True

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        self._failed = self._failed or error

    def flush(self) -> None:
        """Wait until the broker has everything; raises KafkaException when it has not."""
        while self.producer.flush(1.0):
            self._check()
        self._check()

    def _check(self) -> None:
        if self._failed is not None:
            raise KafkaException(self._failed)


class Produced(msgspec.Struct):
    """What became of the lines so far."""

    produced: int = 0
    skipped: int = 0
    refused: Refused | None = None
    """The line at which it ended."""


def produce(
    found: Iterable[Record | Refused],
    producer: TopicProducer,
    skip: Callable[[Refused], None] | None = None,
    tell: Callable[[int], None] = lambda number: None,
) -> Produced:
    """Send records, up to the first refused one; with ``skip``, tell it of those and go on."""
    result = Produced()
    try:
        for record in found:
            if isinstance(record, Record):
                producer.send(record)
                result.produced += 1
            elif skip is None:
                result.refused = record
                break
            else:
                skip(record)
                result.skipped += 1
            tell(record.number)
    finally:
        producer.flush()
    return result
