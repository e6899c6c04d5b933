"""NDJSON: one file a topic, one line a change, only ever appended to.

``DIRECTORY/ndjson/<topic>.ndjson`` has lines of ``event_id``, ``version``, ``op``, ``key``,
``event_ts`` (ms), ``partition``, ``type`` and ``value``. The file is the topic's history; its net
set is a fold that takes the line of the highest version for each ``event_id`` and drops it when
its ``op`` is ``retract`` (``net_set`` does that). Values are exact JSON: ints as ints of any size,
bytes as base64, maps sorted by key, NaN as null; the value of a retract is null.

The file itself says what it holds. When it is opened, a last line that a crash has torn is cut off,
and the offsets of all others are read back; what is written again is skipped. One process at a time
may append to a file.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, BinaryIO, ClassVar

import msgspec
from msgspec import Meta

from schemas.envelope import Op
from sinks.base import Permanent, Positions, Retryable, SinkRecord, by_topic, check_topic, locate
from sinks.coverage import Coverage, Place
from sinks.files import sync_directory, typed


class NdjsonConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the NDJSON sink."""

    directory: Annotated[str, Meta(description="Files are DIRECTORY/ndjson/<topic>.ndjson.")]


class Line(msgspec.Struct, frozen=True):
    """One line of a file: one change of one event id."""

    event_id: str
    version: int
    """The offset of the change in its partition."""
    op: Op
    key: str
    event_ts: int
    partition: int
    type: str
    value: Any


class NdjsonSink:
    """Appends events to one file a topic; a reader upserts by ``event_id``, then ``version``."""

    Config: ClassVar = NdjsonConfig
    summary: ClassVar[str] = "One NDJSON file a topic, appended; a fold of it is the net set."

    def __init__(self, config: NdjsonConfig) -> None:
        self._directory = Path(config.directory, "ndjson")
        self._logs: dict[str, _Log] = {}
        self._durable: dict[Place, int] = {}
        with typed(self._directory):
            self._directory.mkdir(parents=True, exist_ok=True)
            for path in sorted(self._directory.glob("*.ndjson")):
                self._log(path.name.removesuffix(".ndjson"))
        self.flush()

    def write(self, records: Sequence[SinkRecord]) -> None:
        """Append the records that the files do not hold yet."""
        pairs = [(self._log(topic), rows) for topic, rows in by_topic(records).items()]
        for log, lines in [(log, _encode(log.fresh(rows))) for log, rows in pairs]:
            log.append(lines)

    def flush(self) -> None:
        """Return when all lines are on the disk."""
        for log in self._logs.values():
            log.sync()
            self._durable.update(log.coverage.positions())

    def close(self) -> None:
        """Flush and close the files."""
        self.flush()
        for log in self._logs.values():
            log.close()
        self._logs.clear()

    def positions(self) -> Positions:
        """Return the next offset by (topic, partition) of what was flushed."""
        return dict(self._durable)

    def _log(self, topic: str) -> _Log:
        if topic not in self._logs:
            path = self._directory / f"{check_topic(topic)}.ndjson"
            self._logs[topic] = _Log(path, topic)
        return self._logs[topic]


Lines = list[tuple[Place, int, bytes]]
"""Place, offset and text of each line to append."""


class _Log:
    """One open file and the offsets that it holds."""

    def __init__(self, path: Path, topic: str) -> None:
        self.coverage = Coverage()
        self._path = path
        self._topic = topic
        self._dirty = False
        self._torn = False
        """Whether the file may hold more than whole lines."""
        with typed(path):
            self._file = _open_locked(path)
            try:
                self._size = self._recover()
            except BaseException:
                self._file.close()
                raise

    def fresh(self, records: Sequence[SinkRecord]) -> list[SinkRecord]:
        """Return the records that the file lacks."""
        return [record for rows in self.coverage.fresh(records).values() for record in rows]

    def append(self, lines: Lines) -> None:
        """Append whole lines, or none if the disk fails."""
        if not lines:
            return
        with typed(self._path):
            if self._torn:
                self._cut(self._size)
            try:
                self._write(b"".join(text for _, _, text in lines))
            except OSError:
                self._torn = True
                self._cut(self._size)
                raise
        for place, offset, _ in lines:
            self.coverage.add(place, offset, offset + 1)

    def sync(self) -> None:
        """Wait until the disk has the file."""
        if self._dirty:
            with typed(self._path):
                os.fsync(self._file.fileno())
            self._dirty = False

    def close(self) -> None:
        """Close the file, which frees its lock."""
        self._file.close()

    def _write(self, data: bytes) -> None:
        self._dirty = True
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]
        self._size += len(data)

    def _cut(self, size: int) -> None:
        self._file.truncate(size)
        self._torn = False

    def _recover(self) -> int:
        """Read the offsets back, cut a torn last line off, and return the size that is left."""
        size = 0
        for number, raw in enumerate(self._read(), 1):
            line = _parse(raw)
            if line is None:
                self._refuse_more(size + len(raw), number)
                break
            self.coverage.add((self._topic, line.partition), line.version, line.version + 1)
            size += len(raw)
        self._cut(size)
        return size

    def _read(self) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            yield from file

    def _refuse_more(self, end: int, number: int) -> None:
        if end < self._path.stat().st_size:
            raise Permanent(
                f"line {number} of {self._path} is no change of an event, and others follow it",
                "the file was edited or damaged: restore it, or move it away and replay the topic",
            )


def read_lines(path: str | Path) -> Iterator[Line]:
    """Read a file's lines; a last line that is still being written is left out."""
    with Path(path).open("rb") as file:
        for raw in file:
            if raw.endswith(b"\n"):
                yield msgspec.json.decode(raw, type=Line)


def net_set(path: str | Path) -> dict[str, Any]:
    """Return the net set of a topic's file: the value (plain data) of each live id."""
    newest: dict[str, Line] = {}
    for line in read_lines(path):
        known = newest.get(line.event_id)
        if known is None or line.version > known.version:
            newest[line.event_id] = line
    return {id: line.value for id, line in newest.items() if line.op == "assert"}


class _Head(msgspec.Struct):
    version: int
    partition: int


_heads = msgspec.json.Decoder(_Head)
_encoder = msgspec.json.Encoder(order="deterministic")


def _parse(raw: bytes) -> _Head | None:
    if not raw.endswith(b"\n"):
        return None
    try:
        return _heads.decode(raw)
    except (ValueError, RecursionError):
        return None


def _encode(records: Sequence[SinkRecord]) -> Lines:
    return [((r.topic, r.partition), r.offset, _line(r)) for r in records]


def _line(record: SinkRecord) -> bytes:
    event = record.event
    value = event.value if event.op == "assert" else None
    line = Line(
        event.id, record.offset, event.op, event.key, event.ts, record.partition, event.type, value
    )
    try:
        return _encoder.encode(line) + b"\n"
    except (TypeError, ValueError, OverflowError) as error:
        raise Permanent(
            f"{locate(record)} cannot be written as JSON: {error}",
            "correct the producer, or send the record to dead letters",
            record,
        ) from error


def _open_locked(path: Path) -> BinaryIO:
    file: BinaryIO = path.open("ab", buffering=0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        sync_directory(path.parent)
    except BlockingIOError as error:
        file.close()
        raise Retryable(
            f"another process appends to {path}",
            "close it, or give this worker its own directory",
        ) from error
    return file
