"""Which letters were written back: a topic, written in one transaction with the records themselves.

A record of it names the letters of one partition that one transaction wrote back, as ranges of
offsets, and whereto. Nothing in it is ever changed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from confluent_kafka import KafkaException, TopicCollection

from streams import topics
from streams.engine.guard import Message, as_bytes
from streams.engine.rights import Right
from streams.ops.admin import TIMEOUT_SECONDS
from streams.ops.letter_scan import Scanner
from streams.ops.letters import Kind
from streams.wire.errors import no_right

HOME = ""
"""The destination of a record that goes to where it came from."""


class Entry(msgspec.Struct, frozen=True):
    """The letters of one partition that one transaction wrote back."""

    letters: str
    """Topic of the letters."""
    topic_id: str
    """Kafka's id of that topic: one that is deleted and made again begins with offset 0, too."""
    partition: int
    to: str
    """The topic they went to, ``HOME`` for where each came from."""
    ranges: list[tuple[int, int]]
    """Offsets, first and last."""
    at: int = 0
    """When the broker got it (ms)."""


class Ledger:
    """Which letters of one topic were written back so far, and whereto."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        found: dict[tuple[int, str], list[tuple[int, int]]] = {}
        for entry in entries:
            found.setdefault((entry.partition, entry.to), []).extend(entry.ranges)
        self._ranges = {place: merged(ranges) for place, ranges in found.items()}
        self._firsts = {p: [first for first, _ in found] for p, found in self._ranges.items()}

    def has(self, partition: int, offset: int, to: str = HOME) -> bool:
        """Whether a letter was written back to there."""
        firsts = self._firsts.get((partition, to))
        if not firsts:
            return False
        at = bisect_right(firsts, offset) - 1
        return at >= 0 and offset <= self._ranges[partition, to][at][1]


def merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges of integers in order, those that touch as one.

    >>> merged([(5, 6), (0, 1), (2, 2), (9, 9)])
    [(0, 2), (5, 6), (9, 9)]
    """
    found: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return found


def topic_id(scanner: Scanner, topic: str) -> str:
    """Kafka's id of a topic; empty where the broker has none."""
    [future] = scanner.admin.describe_topics(TopicCollection([topic])).values()
    try:
        return str(future.result(TIMEOUT_SECONDS).topic_id or "")
    except KafkaException as error:
        raise no_right(error, f"see topic {topic}") or error from error


def entries(scanner: Scanner, kind: Kind) -> Iterator[Entry]:
    """What was written back of these letters, in order; nothing where there is no ledger yet.

    A commit is answered before its marker is in the partition, but fencing waits for the marker:
    who asks after that misses nothing.
    """
    name = topics.redrives.name
    if scanner.counts().get(name, 0) <= kind.partition:
        scanner.require(Right("topic", name, "READ"))
        return
    mine = topic_id(scanner, kind.topic.name)
    span = scanner.spans(name)[kind.partition]
    for found in scanner.read(name, {kind.partition: span}):
        for message in found:
            entry = entry_of(message)
            if entry is not None and (entry.letters, entry.topic_id) == (kind.topic.name, mine):
                yield entry


def entry_of(message: Message) -> Entry | None:
    """The entry that a record is; None for what is none of ours."""
    try:
        found = msgspec.json.decode(as_bytes(message.value()) or b"", type=Entry)
    except (ValueError, RecursionError):
        return None
    return msgspec.structs.replace(found, at=message.timestamp()[1])


def encoded(entry: Entry) -> tuple[bytes, bytes]:
    """Key and value of an entry."""
    plain: dict[str, Any] = msgspec.structs.asdict(entry)
    del plain["at"]
    return f"{entry.letters}/{entry.partition}".encode(), msgspec.json.encode(plain)
