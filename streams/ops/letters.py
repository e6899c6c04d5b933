"""Letters: records that could not be processed, or came too late, with the reason in headers.

Whoever wrote them may be a stranger: a header may be missing, or hold anything.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import msgspec

from schemas.headers import REPLAYS, Headers
from streams import topics
from streams.engine.guard import OWN, UNREADABLE, Message, as_bytes, headers_of
from streams.ops.admin import OpsError
from streams.topics import Topic

DIGITS = 18
"""More of them are no number of ours."""


class NoRecord(OpsError):
    """There is no record at a place, or of an id."""


class Kind(NamedTuple):
    """One sort of letters."""

    topic: Topic
    prefix: str
    """What the headers begin with that say why a record is here."""
    command: str
    partition: int
    """Of the ledger: nobody else writes there."""

    @property
    def transactional_id(self) -> str:
        """Of whoever writes these letters back: one at a time."""
        return f"streams-redrive-{self.topic.name}"


DEAD = Kind(topics.dead_letters, "dl.", "dlq", 0)
LATE = Kind(topics.late_records, "late.", "late", 1)
KINDS = (DEAD, LATE)


class Origin(NamedTuple):
    """Where a record came from."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}:{self.partition}:{self.offset}"


class Letter(msgspec.Struct, frozen=True):
    """One letter: its place, the record's own parts, and why it is here."""

    topic: str
    partition: int
    offset: int
    append_ts: int
    key: bytes | None
    value: bytes | None
    own: Headers
    """The record's own headers, as they were."""
    why: dict[str, bytes]
    """The reason's headers by name, without their prefix."""

    @property
    def address(self) -> str:
        """Where it is, as the commands take it."""
        return f"{self.topic}:{self.partition}:{self.offset}"

    @property
    def replays(self) -> int | None:
        """How often the record had been written back before; None: nobody can read it."""
        return replays_of(self.own)

    @property
    def origin(self) -> Origin | None:
        """Where the record came from; None where the letter does not say."""
        partition, offset = self.number("partition"), self.number("offset")
        topic = self.text("topic")
        if not topic or partition is None or offset is None:
            return None
        return Origin(topic, partition, offset)

    @property
    def complete(self) -> bool:
        """Whether key, value and headers are the record's own, with nothing left out."""
        return "sha256" not in self.why and "headers_left_out" not in self.why

    @property
    def readable(self) -> bool:
        """Whether the record's own headers could be read when the letter was written."""
        return all(name != UNREADABLE for name, _ in self.own)

    def text(self, name: str) -> str:
        """The text of a header of the reason; empty without it."""
        return as_text(self.why.get(name, b""))

    def number(self, name: str) -> int | None:
        """The number in a header of the reason."""
        return as_number(self.why.get(name))


def as_text(raw: bytes | None) -> str:
    """Bytes as text; those that are not UTF-8 are written as escapes."""
    return (raw or b"").decode(errors="backslashreplace")


def as_number(raw: bytes | None) -> int | None:
    """The number that these digits are, if they are one."""
    return int(raw) if raw and raw.isdigit() and len(raw) <= DIGITS else None


def replays_of(own: Headers) -> int | None:
    """How often a record with these headers was written back."""
    found = [raw for name, raw in own if name == REPLAYS]
    return as_number(found[-1]) if found else 0


def reason_of(why: dict[str, bytes]) -> bytes:
    """One word: the cause of a dead letter; whether lateness or idleness made a record late."""
    if "cause" in why or "by" not in why:
        return why.get("cause", b"")
    return b"idle" if why.get("idle") == b"true" else b"late"


def parted(message: Message, prefix: str) -> tuple[dict[str, bytes], Headers]:
    """The headers of a letter: those of the reason, and the record's own."""
    why: dict[str, bytes] = {}
    own: Headers = []
    for name, raw in headers_of(message):
        reason, short = _named(name, prefix)
        if reason:
            why.setdefault(short, raw or b"")
        else:
            own.append((short, raw))
    return why, own


@lru_cache(4096)
def _named(name: str, prefix: str) -> tuple[bool, str]:
    """Whether a header is one of the reason, and its name without what it begins with."""
    if name.startswith(OWN):
        return False, name[len(OWN) :]
    if name.startswith(prefix):
        return True, name[len(prefix) :]
    return False, name


def letter_of(message: Message, kind: Kind) -> Letter:
    """The letter that a record of ``kind``'s topic is."""
    why, own = parted(message, kind.prefix)
    return Letter(
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        message.timestamp()[1],
        as_bytes(message.key()),
        as_bytes(message.value()),
        own,
        why,
    )


class Selection(msgspec.Struct, frozen=True):
    """Which letters are meant; what is None does not matter."""

    topic: str | None = None
    """Where the record came from."""
    step: str | None = None
    reason: str | None = None
    since: int | None = None
    """When the letter was written (ms), inclusive."""
    until: int | None = None
    """Exclusive."""
    places: frozenset[tuple[int, int]] | None = None
    """Partitions and offsets of the letters."""

    @property
    def everything(self) -> bool:
        """Whether it leaves out nothing."""
        return all(getattr(self, name) is None for name in self.__struct_fields__)

    def has(self, place: tuple[int, int], append_ts: int, why: dict[str, bytes]) -> bool:
        """Whether a letter is one of them."""
        if self.since is not None and append_ts < self.since:
            return False
        if self.until is not None and append_ts >= self.until:
            return False
        if self.places is not None and place not in self.places:
            return False
        return (
            self._is(self.topic, why.get("topic"))
            and self._is(self.step, why.get("step"))
            and (self.reason is None or self._is(self.reason, reason_of(why)))
        )

    @staticmethod
    def _is(wanted: str | None, raw: bytes | None) -> bool:
        return wanted is None or wanted == as_text(raw)
