"""The guard around every step: decode, check, isolate poison, count. The only broad handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hashlib import blake2b, sha256
from typing import Any, Protocol

import msgspec

from schemas.envelope import Event
from schemas.errors import BadHeaders, SchemaError, WrongSchema
from schemas.headers import WATERMARK, WRITER, Headers, from_headers, texts
from schemas.ids import digest_id
from schemas.validate import validate
from schemas.wire import Codec
from streams.topics import LETTER_BYTES, Topic

LETTER_ROOM = 64 * 1024
"""What key and headers of a dead letter may take of the topic's largest message."""


class Message(Protocol):
    """A Kafka record as librdkafka hands it over."""

    def topic(self) -> str | None: ...
    def partition(self) -> int | None: ...
    def offset(self) -> int | None: ...
    def key(self) -> Any: ...
    def value(self) -> Any: ...
    def headers(self) -> Any: ...
    def timestamp(self) -> tuple[int, int]: ...


def is_control(message: Message) -> bool:
    """Whether a record only declares a watermark: neither key nor value, and the header."""
    if message.value() is not None or message.key() is not None:
        return False
    return any(name == WATERMARK for name, _ in message.headers() or ())


class Letter(msgspec.Struct, frozen=True):
    """A record that goes to the dead letters or late records: original bytes, why in headers."""

    key: bytes | None
    value: bytes | None
    headers: Headers


class Counts(msgspec.Struct):
    """What became of the records of one input, since its first checkpoint (SEMANTICS 7)."""

    read: int = 0
    used: int = 0
    duplicates: int = 0
    late: int = 0
    dead_letters: int = 0
    filtered: int = 0

    def __add__(self, other: Counts) -> Counts:
        """What both counted together."""
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
        return Counts(*(one + another for one, another in pairs))

    @property
    def balanced(self) -> bool:
        """Every record read has exactly one disposition."""
        parts = self.used + self.duplicates + self.late + self.dead_letters + self.filtered
        return parts == self.read


class Decoded(msgspec.Struct, frozen=True, gc=False):
    """An event of an input with what the task needs to know of its record."""

    event: Event
    message: Message
    digest: bytes
    """Of the value, where its topic is de-duplicated."""
    carries_writer: bool


def _bytes(raw: Any) -> bytes | None:
    """A key or value as librdkafka gives it: bytes, or nothing."""
    return raw.encode() if isinstance(raw, str) else raw


def decode(message: Message, topic: Topic, codec: Codec) -> Decoded:
    """The event of a record; raises SchemaError with the cause and nothing else."""
    try:
        return _decode(message, topic, codec)
    except SchemaError:
        raise
    except Exception as error:  # a decoder that fails in a new way must not stop the stream
        raise WrongSchema(f"{type(error).__name__}: {error}") from error


def _decode(message: Message, topic: Topic, codec: Codec) -> Decoded:
    raw = _bytes(message.value())
    event_type, value = codec.decode(raw, topic.event_type)
    if event_type.name != topic.event_type:
        raise WrongSchema(f"{topic.name} carries {topic.event_type}, not {event_type.name}")
    try:
        key = (_bytes(message.key()) or b"").decode()
    except UnicodeDecodeError as error:
        raise BadHeaders(f"the key is not UTF-8: {error}") from error
    found = texts(message.headers())
    append_ts = message.timestamp()[1]
    own = event_type.event_id(value) if topic.source or "ce_id" not in found else None
    if own is None and "ce_id" not in found:
        own = digest_id(topic.name, message.partition(), message.offset())
    event = from_headers(found, key, own or "", append_ts, event_type.name)
    event.value = value
    if event.ingest_ts is None:
        event.ingest_ts = append_ts
    if topic.source:
        validate(value, key, event_type.key)
        if own is not None and event.id != own:
            raise BadHeaders(f"event id {event.id[:80]!r} is not the id of this {event_type.name}")
    digest = blake2b(raw or b"", digest_size=16).digest() if topic.source else b""
    return Decoded(event, message, digest, WRITER in found)


def attempt(action: Callable[[], None]) -> Exception | None:
    """Run a step's code; what it raises is returned, so that the caller can isolate the record."""
    try:
        action()
    except Exception as error:
        return error
    return None


async def attempt_async(action: Awaitable[None]) -> Exception | None:
    """The same for what is awaited."""
    try:
        await action
    except Exception as error:
        return error
    return None


def origin_headers(prefix: str, message: Message) -> Headers:
    """Where the record came from."""
    return [
        (f"{prefix}.topic", (message.topic() or "").encode()),
        (f"{prefix}.partition", b"%d" % (message.partition() or 0)),
        (f"{prefix}.offset", b"%d" % (message.offset() or 0)),
    ]


def dead_letter(message: Message, step: str, cause: str, detail: str) -> Letter:
    """The dead letter of a record: key and value byte-identical, the cause in ``dl.`` headers."""
    why: Headers = [
        ("dl.cause", cause.encode()),
        ("dl.step", step.encode()),
        ("dl.detail", detail[:1000].encode(errors="replace")),
        *origin_headers("dl", message),
    ]
    key, value = _bytes(message.key()), _bytes(message.value())
    return letter(key, value, list(message.headers() or []), why)


def oversized(topic: str, partition: int, event: Event, value: bytes) -> Headers:
    """Why a result is a dead letter instead: its topic could not take it, and never would.

    Assert and retract carry the same value, so the one is left out whenever the other is.
    """
    return [
        ("dl.cause", b"too_large"),
        ("dl.step", event.producer.encode()),
        ("dl.detail", f"{event.op} of {event.id}: the result is too large for {topic}".encode()),
        ("dl.topic", topic.encode()),
        ("dl.partition", b"%d" % partition),
        ("dl.offset", b"0"),
        ("dl.sha256", sha256(value).hexdigest().encode()),
        ("dl.bytes", b"%d" % len(value)),
    ]


def letter(key: bytes | None, value: bytes | None, own: Headers, why: Headers) -> Letter:
    """Put the reason in front of a record's own headers.

    A value too large for the topic is replaced by nothing but its SHA-256 and length in headers:
    the origin says where the bytes are. Own headers that do not fit are left out, and counted.
    """
    if value is not None and len(value) + len(key or b"") > LETTER_BYTES - LETTER_ROOM:
        digest = sha256(value).hexdigest().encode()
        why = [*why, ("dl.sha256", digest), ("dl.bytes", b"%d" % len(value))]
        value = None
    kept = [(n, v) for n, v in own if not n.startswith(("dl.", "late."))]
    if sum(len(n) + len(v or b"") for n, v in kept) > LETTER_ROOM // 2:
        why, kept = [*why, ("dl.headers_left_out", b"%d" % len(kept))], []
    return Letter(key, value, [*why, *kept])
