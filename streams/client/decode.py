"""From a Kafka record to its event: decoded, or with the reason why not."""

from __future__ import annotations

from typing import Any

import msgspec
from confluent_kafka import Message

from schemas.catalog import EventType
from schemas.envelope import Event
from schemas.errors import SchemaError, WrongSchema
from schemas.headers import WATERMARK, from_headers
from schemas.ids import digest_id
from schemas.wire import Codec
from streams.engine.guard import headers_of
from streams.topics import BY_TOPIC

LETTERS = ("dead_letters", "late_records")
"""Topics of other records' bytes: a broken control record may be among them."""


class Read(msgspec.Struct, frozen=True):
    """One record: where it was, its raw parts, and its event where it could be decoded."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    append_ts: int
    event: Event | None
    error: str | None = None


def is_control(message: Message) -> bool:
    """Whether a record only declares a watermark."""
    if message.value() is not None or message.key() is not None:
        return False
    return any(name == WATERMARK for name, _ in headers_of(message))


def read_message(message: Message, codec: Codec) -> Read:
    """The parts and the event of a record; what cannot be decoded says why."""
    topic: str = message.topic() or ""
    partition: int = message.partition() or 0
    offset: int = message.offset() or 0
    append_ts: int = message.timestamp()[1]
    key: Any = message.key()
    value: Any = message.value()
    headers = headers_of(message)
    event, error = None, None
    try:
        event_type, content = _decode(value, topic, codec)
        fallback = event_type.event_id(content) or digest_id(topic, partition, offset)
        text = (key or b"").decode(errors="replace")
        event = from_headers(dict(headers), text, fallback, append_ts, event_type.name)
        event.value = content
    except SchemaError as problem:
        error = f"{problem.cause}: {problem}"
    return Read(topic, partition, offset, key, value, headers, append_ts, event, error)


def _decode(value: bytes | None, topic: str, codec: Codec) -> tuple[EventType, Any]:
    """A value of the family that the topic carries: another one means that its id is not ours."""
    known = BY_TOPIC.get(topic)
    if known is None or known.event_type is None:
        return codec.decode(value)
    event_type, content = codec.decode(value, known.event_type)
    if event_type.family != known.type.family:
        raise WrongSchema(f"{topic} carries {known.event_type}, not {event_type.name}")
    return event_type, content
