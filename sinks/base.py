"""What a sink is: where the results of a topic go, and the errors that it may answer with.

A sink is at least once (SEMANTICS 7): after a crash the driver hands over records that the sink
already holds, cut into other batches. A sink makes that harmless: a record's **version** is its
offset in its partition, and a sink ignores what is not above the version of the row that it has.
So what is read from a sink is the net set of its topics.

The driver's side of the contract: an id stays in one partition (offsets of two partitions cannot be
compared), an offset is one record for ever, and offsets are committed after ``flush``. Batches may
repeat, overlap and come in any order. A topic that was deleted and made anew needs a new place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from schemas.envelope import Event

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")

Positions = Mapping[tuple[str, int], int]
"""The next offset that a sink wants, by (topic, partition)."""


class SinkRecord(msgspec.Struct, frozen=True):
    """An event and the place in Kafka that it was read from."""

    topic: str
    partition: int
    offset: int
    """The version of this change: what is not above the row's version is ignored."""
    event: Event


class SinkError(Exception):
    """A sink could not do its work; the message names the cause and the remedy."""

    def __init__(self, cause: str, remedy: str, record: SinkRecord | None = None) -> None:
        super().__init__(f"{cause}; {remedy}")
        self.cause = cause
        self.remedy = remedy
        self.record = record
        """The one record that cannot be stored, where it is known: it is a dead letter."""


class Retryable(SinkError):
    """The same write may succeed later without any change. Nothing was lost."""


class Permanent(SinkError):
    """The same write fails until data, settings or installation change."""


class MissingDriver(Permanent):
    """The library that speaks to the target is not installed."""


class Sink(Protocol):
    """Where the results of topics go. Not thread-safe: one caller at a time."""

    def write(self, records: Sequence[SinkRecord]) -> None:
        """Take a batch; a batch that raises may be written again, whole or in parts."""

    def flush(self) -> None:
        """Return when all that was written is durable."""

    def close(self) -> None:
        """Flush and let go of every resource; a second call does nothing."""

    def positions(self) -> Positions:
        """Where to resume: the next offset for each partition of which something is durable.

        A sink that cannot store positions returns {} and the consumer group's offsets count.
        """


def check_topic(topic: str) -> str:
    """Return ``topic`` if Kafka allows it as a name (it becomes a file or a table); else raise.

    >>> check_topic("bitcoin.transactions")
    'bitcoin.transactions'
    """
    if topic in (".", "..") or not _TOPIC.fullmatch(topic):
        raise Permanent(
            f"{topic!r} is not a topic's name",
            "a topic has 1 to 249 characters out of a-z, A-Z, 0-9, '.', '_' and '-'",
        )
    return topic


def locate(record: SinkRecord) -> str:
    """Name a record's place for messages, as ``topic[partition]@offset``."""
    return f"{record.topic}[{record.partition}]@{record.offset}"


def by_topic(records: Sequence[SinkRecord]) -> dict[str, list[SinkRecord]]:
    """Split a batch by topic; the order inside a topic is kept."""
    topics: dict[str, list[SinkRecord]] = {}
    for record in records:
        topics.setdefault(record.topic, []).append(record)
    return topics


def newest(records: Sequence[SinkRecord]) -> dict[str, SinkRecord]:
    """Return the record of the highest version for each event id of one topic."""
    rows: dict[str, SinkRecord] = {}
    for record in records:
        known = rows.get(record.event.id)
        if known is None or record.offset > known.offset:
            rows[record.event.id] = record
    return rows


def ends(records: Sequence[SinkRecord]) -> dict[tuple[str, int], int]:
    """Return the offset after the highest one, for each (topic, partition) of a batch."""
    found: dict[tuple[str, int], int] = {}
    for record in records:
        owner = (record.topic, record.partition)
        found[owner] = max(found.get(owner, 0), record.offset + 1)
    return found
