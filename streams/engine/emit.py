"""From what a task wants to write to records: encoding, headers, control records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from schemas.envelope import Event
from schemas.headers import fan_headers, to_headers
from schemas.ids import fan_ids
from streams import topics
from streams.engine.changes import Changes
from streams.engine.checkpoint import Written
from streams.engine.codec import encode_changes, encode_value
from streams.engine.declaring import Stood
from streams.engine.guard import Letter, oversized
from streams.engine.stages import Stage
from streams.engine.step import following
from streams.engine.writers import Writer, control_headers
from streams.topics import Topic

POSITION = b"\x00position"
"""Changelog key of the position record."""


RECORD_ROOM = 16 * 1024
"""What headers and framing may take of a topic's largest message."""


class Pending(msgspec.Struct, gc=False):
    """One event or letter that waits for the checkpoint."""

    topic: Topic
    content: Event | Letter
    value: bytes = b""
    """The event's encoded value: encoded when it was emitted, so that a value that does not fit its
    schema is the fault of the step and of one record, not of a checkpoint."""


class Fan(msgspec.Struct, gc=False):
    """Events that follow from one input alone and are nobody's input in the task."""

    topic: Topic
    step: str
    cause: Event
    version: int
    """Of the first one."""
    correction: bool
    rows: list[tuple[str | int, str, bytes]]
    """Part of the id, key, encoded value."""

    def shared(self) -> Event:
        """The envelope that all of them have."""
        event = following(self.step, self.cause, self.topic)
        event.correction = event.correction or self.correction
        return event


class Outbox:
    """What waits for the checkpoint, in order, and how many bytes of values that is."""

    def __init__(self) -> None:
        self.waiting: list[Pending | Fan] = []
        self.size = 0

    def add(self, one: Pending | Fan) -> None:
        """One more."""
        self.waiting.append(one)
        self.size += size_of(one)

    def mark(self) -> tuple[int, int]:
        """How it is now."""
        return len(self.waiting), self.size

    def back(self, mark: tuple[int, int]) -> None:
        """As it was then."""
        length, self.size = mark
        del self.waiting[length:]

    def take(self) -> list[Pending | Fan]:
        """All of it: a checkpoint writes it."""
        taken, self.waiting, self.size = self.waiting, [], 0
        return taken

    def put_back(self, taken: list[Pending | Fan]) -> None:
        """The checkpoint failed: before what is newer."""
        self.waiting = taken + self.waiting
        self.size += sum(map(size_of, taken))


def size_of(one: Pending | Fan) -> int:
    """Bytes of values."""
    if isinstance(one, Fan):
        return sum(len(value) for _, _, value in one.rows)
    return len(one.content.value or b"" if isinstance(one.content, Letter) else one.value)


class Snapshot(msgspec.Struct):
    """All that one checkpoint writes."""

    outputs: list[Pending | Fan]
    changes: list[Changes]
    position: dict[str, Any]
    """Positions, clock, counts: the content of the position record."""
    declares: list[int | None]
    """What is declared with this checkpoint, in order: watermarks (ms), None for idleness."""
    before: Stood = (0, False, False)
    """What had been declared before: to be said again when the checkpoint fails."""

    @property
    def changes_idleness(self) -> bool:
        """Whether it declares that the task is idle, or is so no more."""
        was_idle = self.before[1]
        return None in self.declares or (was_idle and bool(self.declares))


class Encoder:
    """Turns a task's snapshot into Kafka records; runs in a thread, touches only what is frozen."""

    def __init__(
        self, changelog: str, partition: int, partitions: int, writer: Writer, aside: int = 0
    ) -> None:
        self.changelog = changelog
        self.partition, self.partitions, self.writer = partition, partitions, writer
        self._aside = aside or partitions
        """Partitions of the topics of letters."""
        self._writer = str(writer).encode()

    def outputs(self, outputs: Sequence[Pending | Fan]) -> Iterator[Written]:
        """The records of events (one a partition for a broadcast) and letters."""
        writer = self._writer
        for pending in outputs:
            if isinstance(pending, Fan):
                yield from self.fan(pending)
                continue
            topic, content, value = pending.topic, pending.content, pending.value
            if isinstance(content, Letter):
                yield self._letter(topic, content)
                continue
            key = content.key.encode()
            if len(key) + len(value) > topic.max_message_bytes - RECORD_ROOM:
                yield self._too_large(topic, content, value)
            elif topic.broadcast:
                headers = to_headers(content, writer)
                for partition in range(self._count(topic)):
                    yield topic.name, key, value, headers, partition
            else:
                yield topic.name, key, value, to_headers(content, writer), None

    def fan(self, fan: Fan) -> Iterator[Written]:
        """The records of a fan-out."""
        topic, shared = fan.topic, fan.shared()
        ids = fan_ids(fan.step, fan.cause.id, [row[0] for row in fan.rows])
        room = topic.max_message_bytes - RECORD_ROOM
        all_headers = fan_headers(ids, shared, fan.version, self._writer)
        for id_, headers, (_, key, value) in zip(ids, all_headers, fan.rows, strict=True):
            if len(key) + len(value) > room:
                event = msgspec.structs.replace(shared, id=id_, key=key)
                yield self._too_large(topic, event, value)
            else:
                yield topic.name, key.encode(), value, headers, None

    def declared(
        self, snapshot: Snapshot, to: tuple[Topic, ...], unfenced: bool = False
    ) -> Iterator[Written]:
        """What it declares, for every partition of every topic in ``to``."""
        with Stage.DECLARE:
            for watermark in snapshot.declares:
                yield from self.control(watermark, to, unfenced)

    def state(self, snapshot: Snapshot) -> Iterator[Written]:
        """Its changelog, and its position last."""
        with Stage.CHANGELOG:
            for changes in snapshot.changes:
                for key, body in encode_changes(changes):
                    yield self.changelog, key, body, None, self.partition
        with Stage.POSITION:
            position = encode_value(snapshot.position)
            yield self.changelog, POSITION, position, None, self.partition

    def _letter(self, topic: Topic, letter: Letter) -> Written:
        place = self.partition % self._aside  # a task may have a number of its own
        return topic.name, letter.key, letter.value, letter.headers, place

    def _too_large(self, topic: Topic, event: Event, value: bytes) -> Written:
        why = oversized(topic.name, self.partition, event, value)
        return self._letter(topics.dead_letters, Letter(event.key.encode(), None, why))

    def control(
        self, watermark: int | None, to: tuple[Topic, ...], unfenced: bool = False
    ) -> Iterator[Written]:
        """A control record for every partition of every topic in ``to``."""
        headers = control_headers(self.writer, watermark, unfenced)
        for topic in to:
            for partition in range(self._count(topic)):
                yield topic.name, None, None, headers, partition

    def _count(self, topic: Topic) -> int:
        return self.partitions if topic.partitions is None else topic.partitions
