"""JSON lines to a topic: checked, keyed, framed, with headers, by an idempotent producer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from schemas.envelope import Event
from schemas.errors import SchemaError
from schemas.headers import to_headers
from schemas.jsonform import check, from_line
from schemas.validate import validate
from schemas.wire import Codec
from streams.client.compose import Composed
from streams.client.sending import Sender
from streams.topics import Topic

PRODUCER = "streams produce"
TIMEOUT_SECONDS = 30


class Refused(NamedTuple):
    """A line that is not an event of its topic."""

    number: int
    """Line number, from 1."""
    cause: str
    remedy: str


class Record(NamedTuple):
    """A line, ready to be sent."""

    number: int
    content: Composed


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
        content = Composed(topic, event.id, event.key.encode(), value, to_headers(event))
        return Record(number, content)
    except SchemaError as error:
        remedy = getattr(error, "remedy", "correct the line")
        return Refused(number, str(error), remedy)


def _encode(event: Event, topic: Topic, codec: Codec) -> bytes:
    if topic.source:
        check(event, topic.type)
        validate(event.value, event.key, topic.key_of)
    return codec.encode(event.type, event.value)


def open_sender(bootstrap: str, topic: Topic, kafka: Mapping[str, Any] | None = None) -> Sender:
    """A sender that says nothing of its own; raises NoTopic when the topic is not there."""
    quiet = {**(kafka or {}), "log_level": 0, "error_cb": lambda error: None}
    sender = Sender(bootstrap, quiet, TIMEOUT_SECONDS, None)
    sender.partitions(topic.name)
    return sender


class Produced(msgspec.Struct):
    """What became of the lines so far."""

    produced: int = 0
    skipped: int = 0
    refused: Refused | None = None
    """The line at which it ended."""


def produce(
    found: Iterable[Record | Refused],
    sender: Sender,
    skip: Callable[[Refused], None] | None = None,
    tell: Callable[[int], None] = lambda number: None,
) -> Produced:
    """Send records, up to the first refused one; with ``skip``, tell it of those and go on.

    Raises NotDelivered when the broker does not take all of them.
    """
    result = Produced()
    try:
        for record in found:
            if isinstance(record, Record):
                sender.send(record.content)
                result.produced += 1
            elif skip is None:
                result.refused = record
                break
            else:
                skip(record)
                result.skipped += 1
            tell(record.number)
    finally:
        sender.flush()
    return result
