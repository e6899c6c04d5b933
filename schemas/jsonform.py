"""One event as one line of JSON, for files, pipes and people.

``{id, type, timestamp, producer, version, payload, metadata}``; ``metadata`` holds key, op,
correction, anchor, ingest_ts, correlation_id, causation_id, priority, retry_count. Of a user only
``payload`` is required. Bytes are base64, times are ms since 1970; RFC 3339 text is read too.
JSON has no NaN and no infinity: they are written as the texts "nan", "inf" and "-inf".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec

from schemas.catalog import EventType
from schemas.envelope import Anchor, Event, Op
from schemas.errors import BadHeaders, SchemaError
from schemas.headers import time_ts
from schemas.ids import digest_id

_DIGITS = 10**18 - 1
_Int = Annotated[int, msgspec.Meta(ge=-_DIGITS, le=_DIGITS)]
"""What a header may hold: 18 digits."""


class Metadata(msgspec.Struct, forbid_unknown_fields=True):
    """How the event came to be, and what it is joined by."""

    key: str | None = None
    op: Op = "assert"
    correction: bool = False
    anchor: str | None = None
    """``network/height/block hash``"""
    ingest_ts: _Int | str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    priority: _Int = 0
    retry_count: _Int = 0


class Line(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A line as it is read: what was left out is None."""

    id: str | None = None
    type: str | None = None
    timestamp: _Int | str | None = None
    producer: str | None = None
    version: _Int = 0
    payload: msgspec.Raw
    metadata: Metadata = msgspec.field(default_factory=Metadata)


class BadLine(SchemaError):
    """A line is not an event of its topic; ``remedy`` says what to write instead."""

    cause = "bad_line"

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


_lines = msgspec.json.Decoder(Line)


def to_line(event: Event) -> bytes:
    """The event as JSON without a line end; ``from_line`` gives an equal event back."""
    metadata = Metadata(
        key=event.key,
        op=event.op,
        correction=event.correction,
        anchor=None if event.anchor is None else str(event.anchor),
        ingest_ts=event.ingest_ts,
        correlation_id=event.correlation_id,
        causation_id=event.causation_id,
        priority=event.priority,
        retry_count=event.retry_count,
    )
    return msgspec.json.encode(
        {
            "id": event.id,
            "type": event.type,
            "timestamp": event.ts,
            "producer": event.producer,
            "version": event.version,
            "payload": payload(event.value),
            "metadata": metadata,
        }
    )


def payload(value: Any) -> Any:
    """A value as plain data that JSON can hold."""
    return _finite(msgspec.to_builtins(value))


def _finite(plain: Any) -> Any:
    """The same data with floats that JSON cannot hold as text."""
    if isinstance(plain, float):
        return plain if math.isfinite(plain) else str(plain)
    if isinstance(plain, dict):
        return {name: _finite(content) for name, content in plain.items()}
    if isinstance(plain, list):
        return [_finite(content) for content in plain]
    return plain


def from_line(data: bytes, event_type: EventType, producer: str, now_ts: int) -> Event:
    """The event of a line; what the line leaves out is derived, or taken from the arguments.

    ``now_ts`` (ms) is the ingest time, and the event time of a value that holds none of its own.
    Raises BadLine.
    """
    line = _parse(data)
    if line.type not in (None, event_type.name):
        raise BadLine(
            f"type is {line.type[:80]!r}, this topic carries {event_type.name}",
            "write the line to the topic of its type, or leave `type` out",
        )
    value = _value(line.payload, event_type)
    meta = line.metadata
    key = event_type.key(value) if meta.key is None else meta.key
    ts = _ts(line.timestamp, "timestamp")
    if ts is None:
        ts = getattr(value, "message_ts", now_ts)
    ingest = _ts(meta.ingest_ts, "metadata.ingest_ts")
    return Event(
        line.id or event_type.event_id(value) or digest_id(event_type.family, key, ts),
        key,
        ts,
        meta.op,
        value,
        correction=meta.correction,
        type=event_type.name,
        anchor=_anchor(meta.anchor),
        ingest_ts=now_ts if ingest is None else ingest,
        producer=producer if line.producer is None else line.producer,
        correlation_id=meta.correlation_id,
        causation_id=meta.causation_id,
        priority=meta.priority,
        retry_count=meta.retry_count,
        version=line.version,
    )


def _parse(data: bytes) -> Line:
    try:
        return _lines.decode(data)
    except msgspec.ValidationError as error:
        words = str(error)
        remedy = "a line is {id, type, timestamp, producer, version, payload, metadata}"
        if "missing required field `payload`" in words:
            remedy = 'put the value under "payload": {"payload": {...}}'
        raise BadLine(words, remedy) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadLine(f"not JSON: {error}", "write one JSON object a line, in UTF-8") from error


def _value(raw: msgspec.Raw, event_type: EventType) -> Any:
    remedy = f"`streams schemas list` names the file that describes {event_type.name}"
    try:
        value = msgspec.json.decode(raw, type=event_type.cls, strict=False)
        plain = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadLine(f"payload is not a {event_type.name}: {error}", remedy) from error
    stray = next(_strays(plain, value, ""), None)
    if stray is not None:
        raise BadLine(f"{event_type.name} has no field {stray!r}", remedy)
    return value


def _strays(plain: Any, value: Any, place: str) -> Iterator[str]:
    """Fields that were written but do not exist: a misspelt optional field must not vanish."""
    if isinstance(value, msgspec.Struct):
        known = value.__struct_fields__
        yield from (place + name for name in plain if name not in known)
        for name in known:
            if name in plain:
                yield from _strays(plain[name], getattr(value, name), f"{place}{name}.")
    elif isinstance(value, list):
        for one, content in zip(plain, value, strict=True):
            yield from _strays(one, content, place)


def _ts(found: int | str | None, name: str) -> int | None:
    if isinstance(found, str):
        try:
            return time_ts(found)
        except BadHeaders as error:
            remedy = "write 2026-01-31T12:00:00Z, or milliseconds since 1970"
            raise BadLine(f"{name}: {error}", remedy) from error
    return found


def _anchor(text: str | None) -> Anchor | None:
    if text is None:
        return None
    try:
        return Anchor.parse(text)
    except ValueError as error:
        remedy = "write network/height/block hash"
        raise BadLine(f"metadata.anchor is {text[:80]!r}", remedy) from error


def check(event: Event, event_type: EventType) -> None:
    """Raise BadLine unless the event has the id that every producer gives its value."""
    own = event_type.event_id(event.value)
    if own is not None and event.id != own:
        raise BadLine(
            f"id is {event.id[:80]!r}, the id of this value is {own}",
            "leave `id` out: it is derived from the payload",
        )
