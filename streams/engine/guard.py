"""The guard around every step: decode, check, isolate poison, count. The only broad handler."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Any, Protocol

import msgspec

from joins.outcome import Late
from schemas.envelope import Event
from schemas.errors import SchemaError, WrongSchema
from schemas.headers import REPLAY_FOR, REPLAYS, WATERMARK, Headers
from streams.topics import LETTER_BYTES

LETTER_ROOM = 64 * 1024
"""What key and headers of a dead letter may take of the topic's largest message."""
UNREADABLE = "streams-unreadable-headers"
"""Stands for headers that nobody can read."""
OWN = "dl.own."
"""What the name of a record's own header begins with, in its letter, where it looks like ours."""


class Message(Protocol):
    """A Kafka record as librdkafka hands it over."""

    def topic(self) -> str | None: ...
    def partition(self) -> int | None: ...
    def offset(self) -> int | None: ...
    def key(self) -> Any: ...
    def value(self) -> Any: ...
    def headers(self) -> Any: ...
    def set_headers(self, value: Any) -> None: ...
    def timestamp(self) -> tuple[int, int]: ...


def is_control(message: Message) -> bool:
    """Whether a record only declares a watermark: neither key nor value, and the header."""
    if message.value() is not None or message.key() is not None:
        return False
    return any(name == WATERMARK for name, _ in headers_of(message))


def headers_of(message: Message) -> Headers:
    """The headers of a record; ``UNREADABLE`` alone where a name is not UTF-8.

    Kafka takes such a name from anybody. Who asks confluent-kafka for it gets a SystemError, and
    who asks a second time ends the process, so nobody may ask for headers in another way first.
    """
    try:
        return message.headers() or []
    except SystemError:
        return unreadable(message)


def unreadable(message: Message) -> Headers:
    """Let a record have headers that can be read, in place of those that cannot."""
    found: Headers = [(UNREADABLE, b"")]
    message.set_headers(found)
    return found


class Letter(msgspec.Struct, frozen=True):
    """A record that goes to the dead letters or late records: original bytes, why in headers."""

    key: bytes | None
    value: bytes | None
    headers: Headers


MOST_RULES = 50
OTHER_RULES = "others"
"""Where a step names its rules after what it reads, what is too much goes here."""


class Counts(msgspec.Struct):
    """What became of the records of one input, since its first checkpoint (SEMANTICS 7)."""

    read: int = 0
    used: int = 0
    duplicates: int = 0
    late: int = 0
    dead_letters: int = 0
    filtered: int = 0
    late_retracts: int = 0
    """How many of the late ones were retracts: what they would have withdrawn stands."""
    void_retracts: int = 0
    """How many of the duplicates were retracts: of an id that was not live."""
    rules: dict[str, int] = {}
    """The filtered ones by the rule, with the name of its step in front."""

    def __add__(self, other: Counts) -> Counts:
        """What both counted together."""
        own, others = msgspec.structs.asdict(self), msgspec.structs.asdict(other)
        rules = dict(Counter(own.pop("rules")) + Counter(others.pop("rules")))
        return Counts(**{name: own[name] + others[name] for name in own}, rules=rules)

    def leave_out(self, rules: Sequence[str]) -> None:
        """Count records that are filtered, by the rule of each."""
        if not rules:
            return
        self.filtered += len(rules)
        found = Counter(self.rules)
        for rule in rules:
            known = rule in found or len(found) < MOST_RULES
            found[rule if known else OTHER_RULES] += 1
        self.rules = dict(found)  # a copy: an undone batch has what was before

    @property
    def balanced(self) -> bool:
        """Every record read has exactly one disposition."""
        parts = self.used + self.duplicates + self.late + self.dead_letters + self.filtered
        return parts == self.read


def read_all(
    read: Callable[[Message], Event], messages: Sequence[Message]
) -> list[Event | SchemaError]:
    """The event of each record, or why it has none."""
    found: list[Event | SchemaError] = []
    for message in messages:
        try:
            found.append(read(message))
        except SchemaError as error:
            found.append(error)
        except Exception as error:  # a decoder that fails in a new way must not stop the stream
            found.append(WrongSchema(f"{type(error).__name__}: {error}"))
    return found


def as_bytes(raw: Any) -> bytes | None:
    """A key or value as librdkafka gives it: bytes, or nothing."""
    return raw.encode() if isinstance(raw, str) else raw


def attempt(action: Callable[[], None]) -> Exception | None:
    """Run a step's code; what it raises is returned, so that the caller can isolate the record."""
    try:
        action()
    except Exception as error:
        return error
    return None


def call_as(kind: type[BaseException], call: Callable[..., Any], *arguments: Any) -> Any:
    """Call a library that raises nothing better than Exception: raises ``kind`` instead."""
    try:
        return call(*arguments)
    except Exception as error:
        raise kind(f"{type(error).__name__}: {error}") from error


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
        (f"{prefix}.timestamp", b"%d" % message.timestamp()[1]),
    ]


def reader_headers(prefix: str, reader: str, version: int | None) -> Headers:
    """Who could not take the record, and the version of its step where it came to one."""
    found: Headers = [(f"{prefix}.reader", reader.encode())]
    return found if version is None else [*found, (f"{prefix}.version", b"%d" % version)]


def dead_letter(
    message: Message, step: str, cause: str, detail: str, reader: Sequence[tuple[str, bytes]] = ()
) -> Letter:
    """The dead letter of a record: key and value byte-identical, the cause in ``dl.`` headers."""
    why: Headers = [
        ("dl.cause", cause.encode()),
        ("dl.step", step.encode()),
        ("dl.detail", detail[:1000].encode(errors="replace")),
        *origin_headers("dl", message),
        *reader,
    ]
    key, value = as_bytes(message.key()), as_bytes(message.value())
    return letter(key, value, headers_of(message), why)


def late_letter(
    message: Message, step: str, late: Late, reader: Sequence[tuple[str, bytes]]
) -> Letter:
    """The letter of a late record: the same, with by how much in ``late.`` headers."""
    why: Headers = [
        ("late.step", step.encode()),
        ("late.watermark", b"%d" % late.watermark),
        ("late.by", b"%d" % late.by),
        ("late.idle", b"true" if late.idle else b"false"),
        *origin_headers("late", message),
        *reader,
    ]
    key, value = as_bytes(message.key()), as_bytes(message.value())
    return letter(key, value, headers_of(message), why)


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
    the origin says where the bytes are. Own headers that do not fit are left out, and counted, but
    for how often the record was written back. Own headers with our names are kept under ``OWN``.
    """
    if value is not None and len(value) + len(key or b"") > LETTER_BYTES - LETTER_ROOM:
        digest = sha256(value).hexdigest().encode()
        why = [*why, ("dl.sha256", digest), ("dl.bytes", b"%d" % len(value))]
        value = None
    kept = [(f"{OWN}{n}" if n.startswith(("dl.", "late.")) else n, v) for n, v in own]
    if sum(len(n) + len(v or b"") for n, v in kept) > LETTER_ROOM // 2:
        why = [*why, ("dl.headers_left_out", b"%d" % len(kept))]
        kept = [(n, v) for n, v in kept if n in (REPLAYS, REPLAY_FOR) and len(v or b"") < 256]
    return Letter(key, value, [*why, *kept])
