"""Writes a source's events to their topics: transactional, with its watermark and its position.

What a source produced and where it stands are one transaction, so a source that is killed goes on
with nothing lost and nothing doubled. The position is a small cursor, and whatever is kept by key
(``<application>/<source>#<key>``), so that a transaction writes only what it changes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from joins.clock import NEG_INF, POS_INF
from schemas.envelope import Event
from schemas.headers import to_headers
from schemas.wire import Codec
from streams import topics
from streams.engine.checkpoint import Output, Transactions
from streams.engine.ends import Ends
from streams.engine.guard import letter
from streams.engine.mover import READ, Place
from streams.engine.murmur2 import partition_of
from streams.engine.settings import EngineSettings
from streams.engine.writers import Writer, control_headers
from streams.sources.errors import SourceError, unreadable
from streams.sources.names import transactional_id
from streams.sources.retake import Writing
from streams.topics import Topic
from streams.wire.errors import groupless

_NOTHING = POS_INF
"""Nothing has been declared by this run."""
_NAME = re.compile(r"[A-Za-z0-9._-]{1,200}")
_PIECE = 512 * 1024
"""A kept value is written in pieces of so many bytes at most, since the topic has a limit."""
Cursor = dict[str, Any]
"""Where a source stands: a JSON object, small."""
_Pieces = dict[str, dict[int, bytes]]


class BadName(SourceError):
    """A source cannot be named so: the name is part of keys and headers."""

    code = 2


class SourceWriter:
    """The one writer of a source; its name is its transactional id, so a second one fences it.

    Raises BadName.
    """

    def __init__(
        self,
        name: str,
        writes: tuple[Topic, ...],
        settings: EngineSettings,
        codec: Codec,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Brokers that are away are waited for until ``stop()``."""
        if not _NAME.fullmatch(name):
            raise BadName(
                f"{name!r} is no name of a source", "use letters, digits, '.', '_' and '-' only"
            )
        self.name, self.writes, self.settings, self.codec = name, writes, settings, codec
        self.kafka = {"bootstrap.servers": settings.bootstrap, **settings.kafka}
        self.writer = Writer(f"source:{name}", 0, 0, 1)
        self._named = str(self.writer).encode()
        self._said: int | None = _NOTHING
        self._pending: list[Output] = []
        self._sequence = 0
        self.tx = Transactions(
            {**self.kafka, "transaction.timeout.ms": settings.transaction_timeout_ms},
            transactional_id(settings.application, name),
        )
        self.tx.wanted = lambda: not stop()
        self._writing = Writing(self.tx, settings.transaction_timeout_ms, self._last_position)
        self.cursor: Cursor | None = None
        self.kept: dict[str, bytes] = {}
        """What was kept by key when the writer was opened; the caller may clear it."""
        self._place = f"{settings.application}/{name}"
        self._pieces: dict[str, int] = {}

    def is_known(self) -> bool:
        """Whether a source of this name has ever written; nobody is fenced by asking."""
        return self._read_position() is not None

    def open(self) -> Cursor | None:
        """Fence an older run, and give its cursor back (None at the first start).

        That we have it is recorded at once: an older run that comes back sees who went on. Raises
        SourceError where that is no position of a source.
        """
        self.tx.fence(self.tx.wanted)
        raw = self._read_position()
        if raw is not None:
            stored = stored_of(raw)
            self.cursor, self._sequence = stored.cursor, stored.sequence
            self._writing.stands = raw
            self.commit()
        self._declare(NEG_INF)  # there again, if an earlier run ended idle: goes with what is first
        if raw is None:
            self.commit()
        return self.cursor

    def send(self, topic: Topic, event: Event, keep: bool = False) -> None:
        """Add one event to the transaction under way; ``keep`` leaves its envelope as it is."""
        self._sequence += 1
        if not keep:
            event.version = self._sequence
            event.producer = self.writer.step
        value = self.codec.encode(event.type, event.value)
        headers = to_headers(event, self._named)
        self._pending.append(Output(topic.name, event.key.encode(), value, headers))

    def send_raw(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: list[tuple[str, bytes]],
    ) -> None:
        """Add a record as it is, whatever it is."""
        partition = partition_of(key or b"", self.settings.partitions)
        self._pending.append(Output(topic, key, value, headers, partition))

    def dead_letter(self, key: bytes, raw: bytes, cause: str, detail: str, origin: str) -> None:
        """Add what the source could not accept: original bytes, its address as the origin."""
        headers = [
            ("dl.cause", cause.encode()),
            ("dl.step", self.writer.step.encode()),
            ("dl.detail", detail[:1000].encode(errors="replace")),
            ("dl.topic", origin[:500].encode(errors="replace")),
            ("dl.partition", b"0"),
            ("dl.offset", b"0"),
        ]
        content = letter(key, raw, [], headers)
        partition = partition_of(key, self.settings.partitions)
        self._pending.append(
            Output(topics.dead_letters.name, content.key, content.value, content.headers, partition)
        )

    def commit(
        self,
        cursor: Cursor | None = None,
        watermark: int | None = None,
        kept: Mapping[str, bytes | None] | None = None,
    ) -> None:
        """Write the transaction: events, position, and the watermark that they reach (ms).

        ``kept``: what changes of the state by key, None forgets a key. When it raises
        KafkaException nothing of it was written, and the same call may be made again. Raises Fenced
        when another run has the name.
        """
        if watermark is not None:
            self._declare(watermark)
        if cursor is not None:
            self.cursor = cursor
        by = self._writing.sign()
        content = {"cursor": self.cursor, "sequence": self._sequence, "by": by}
        body = msgspec.json.encode(content)
        pieces = {key: _cut(value) for key, value in (kept or {}).items()}
        changes = [one for key, cut in pieces.items() for one in self._changed(key, cut)]
        place = Output(topics.cursors.name, self._place.encode(), body, None, 0)
        self._writing.commit([*self._pending, *changes, place], body)
        self._pending = []
        for key, cut in pieces.items():
            self._pieces[key] = len(cut)
            if not cut:
                del self._pieces[key]

    def idle(self) -> None:
        """Declare that nothing will come for a while: watermarks go on without this source."""
        self._declare(None)
        self.commit()

    def close(self) -> None:
        """Forget the producer."""
        self.tx.close()

    def _declare(self, watermark: int | None) -> None:
        if watermark == self._said and watermark is not None:
            return
        self._said = watermark
        headers = control_headers(self.writer, watermark)
        self._pending += [
            Output(topic.name, None, None, headers, partition)
            for topic in self.writes
            for partition in range(self.settings.partitions)
        ]

    def _changed(self, key: str, pieces: list[bytes]) -> list[Output]:
        """The records of one kept value; pieces that it had more before are forgotten."""
        more = self._pieces.get(key, 0) - len(pieces)
        return [
            Output(topics.cursors.name, f"{self._place}#{key}#{n}".encode(), piece, None, 0)
            for n, piece in enumerate([*pieces, *[None] * more])
        ]

    def _last_position(self) -> bytes | None:
        """The position record as stored, None if there is none; raises KafkaException."""
        own, found = self._place.encode(), None
        for key, value in self._read_cursors():
            if key == own:
                found = value
        return found

    def _read_cursors(self) -> Iterable[tuple[bytes | None, bytes | None]]:
        end = log_end(self.kafka, topics.cursors.name, 0)
        return read_partition(self.kafka, topics.cursors.name, 0, end)

    def _read_position(self) -> bytes | None:
        """The same; what is kept by key goes to ``kept``."""
        own, found = f"{self._place}#".encode(), None
        pieces: _Pieces = {}
        for key, value in self._read_cursors():
            if key == self._place.encode() and value is not None:
                found = value
            elif key is not None and key.startswith(own):
                take_piece(pieces, key[len(own) :], value)
        self.kept = {key: b"".join(own[n] for n in sorted(own)) for key, own in pieces.items()}
        self._pieces = {key: len(own) for key, own in pieces.items()}
        return found


class Stored(msgspec.Struct, frozen=True):
    """A position record."""

    sequence: Annotated[int, msgspec.Meta(ge=0, lt=10**17)]
    """The version of the last event."""
    cursor: Cursor | None = None


def stored_of(raw: bytes) -> Stored:
    """The content of a position record; raises SourceError."""
    try:
        return msgspec.json.decode(raw, type=Stored)
    except (ValueError, RecursionError) as error:
        raise unreadable(error) from error


def take_piece(pieces: _Pieces, key: bytes, value: bytes | None) -> None:
    """Put a piece of a kept value to the others; a key of another form is none of ours."""
    try:
        name, sign, number = key.decode().rpartition("#")
    except UnicodeDecodeError:
        return
    if sign and number.isascii() and number.isdigit() and len(number) < 10:
        _put(pieces, name, int(number), value)


def _put(pieces: _Pieces, key: str, number: int, value: bytes | None) -> None:
    own = pieces.setdefault(key, {})
    if value is None:
        own.pop(number, None)
    else:
        own[number] = value
    if not own:
        del pieces[key]


def _cut(value: bytes | None) -> list[bytes]:
    if value is None:
        return []
    return [value[n : n + _PIECE] for n in range(0, max(1, len(value)), _PIECE)]


def read_partition(
    kafka: dict[str, Any], topic: str, partition: int, end: int = 0
) -> Iterable[tuple[bytes | None, bytes | None]]:
    """Keys and values of a partition from its beginning to its present end, read committed.

    That end is where somebody's oldest unfinished transaction begins. Give the ``end`` of the log
    to wait until everything before it has been decided.
    """
    consumer = Consumer({**READ, **kafka, "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, partition, 0)])
    try:
        while True:
            for message in consumer.consume(1000, 0.1):
                error = message.error()
                if error is None:
                    yield message.key(), message.value()
                elif error.code() != KafkaError._PARTITION_EOF:
                    if not groupless(error):
                        raise KafkaException(error)
                elif (message.offset() or 0) >= end:
                    return
    finally:
        consumer.close()


def log_end(kafka: dict[str, Any], topic: str, partition: int) -> int:
    """The offset behind a partition's last record, whether committed or not."""
    asking, place = Ends(kafka), Place(topic, partition)
    try:
        return asking.ask([place], 15)[place]
    finally:
        asking.close()
