"""A recording of source topics: one line of JSON a record, in the order of arrival.

The first line says what the file is and holds the settings that its story needs. Each further line
has a topic and the time of arrival ``at`` (ms), and one of

==============  =================================================================================
``event``       an event in JSON form (``schemas.jsonform``)
``raw``         key, value (base64) and headers of a record that is no valid event, kept as it was
``watermark``   what all sources together had declared by then (ms), or ``"idle"``
==============  =================================================================================
"""

from __future__ import annotations

import base64
import lzma
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Annotated, Any

import msgspec

from schemas.envelope import Event
from schemas.errors import SchemaError
from schemas.jsonform import from_line, to_line
from streams.client import Read
from streams.sources.errors import SourceError
from streams.topics import BY_TOPIC, Topic

FORMAT = 1
MOST_BYTES = 32 << 20
"""Of a line: more than the largest record in base64."""
_Ms = Annotated[int, msgspec.Meta(gt=-(10**17), lt=10**17)]
REMEDY = "make a new one with `streams record`"


class Head(msgspec.Struct, frozen=True):
    """The first line."""

    recording: int
    about: str = ""
    settings: dict[str, Any] = {}
    """Configuration that the recording is about: watched addresses, rules."""


class Raw(msgspec.Struct, frozen=True, omit_defaults=True):
    """A record as bytes, base64."""

    key: str | None = None
    value: str | None = None
    headers: list[tuple[str, str]] = []


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One further line."""

    at: _Ms
    topic: str = ""
    event: msgspec.Raw = msgspec.Raw()
    raw: Raw | None = None
    watermark: _Ms | str | None = None


def encode_read(read: Read) -> bytes:
    """The line of one record that was read from a source topic."""
    if read.event is not None:
        line = Line(read.append_ts, read.topic, event=msgspec.Raw(to_line(read.event)))
    else:
        headers = [(name, _text(value) or "") for name, value in read.headers]
        raw = Raw(_text(read.key), _text(read.value), headers)
        line = Line(read.append_ts, read.topic, raw=raw)
    return msgspec.json.encode(line)


def encode_watermark(at: int, watermark: int | str) -> bytes:
    """The line of a declared watermark."""
    return msgspec.json.encode(Line(at, watermark=watermark))


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else base64.b64encode(raw).decode()


def _open(path: Path) -> IO[bytes]:
    return lzma.open(path, "rb") if path.suffix == ".xz" else path.open("rb")


def read_head(path: Path) -> Head:
    """The first line; raises SourceError when the file is no recording of ours."""
    return _head(path, next(_texts(path), b""))


def _head(path: Path, text: bytes) -> Head:
    try:
        head = msgspec.json.decode(text, type=Head)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path} is no recording: {error}", REMEDY) from error
    if head.recording != FORMAT:
        raise SourceError(f"{path} has format {head.recording}, this is {FORMAT}", REMEDY)
    return head


def _texts(path: Path) -> Iterator[bytes]:
    """All lines; raises SourceError, also where one would fill the memory."""
    try:
        with _open(path) as file:
            while text := file.readline(MOST_BYTES):
                if len(text) == MOST_BYTES:
                    raise SourceError(f"{path} has a line of {MOST_BYTES} bytes or more", REMEDY)
                yield text
    except (OSError, EOFError, lzma.LZMAError, MemoryError) as error:
        raise SourceError(f"{path} is no recording: {error}", REMEDY) from error


def read_lines(path: Path) -> Iterator[Line]:
    """The further lines; raises SourceError with the number of a line that is none."""
    decoder, texts = msgspec.json.Decoder(Line), _texts(path)
    _head(path, next(texts, b""))
    for number, text in enumerate(texts, 2):
        try:
            yield decoder.decode(text)
        except (ValueError, RecursionError) as error:
            raise SourceError(f"{path}, line {number}: {error}", REMEDY) from error


def event_of(line: Line) -> Event:
    """The event of an ``event`` line; raises SourceError."""
    topic = _source(line)
    try:
        return from_line(bytes(line.event), topic.type, "recording", line.at)
    except SchemaError as error:
        raise SourceError(f"{line.topic}: {error}", REMEDY) from error


def raw_of(line: Line) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]:
    """Key, value and headers of a ``raw`` line; raises SourceError."""
    _source(line)
    raw = line.raw or Raw()
    try:
        headers = [(name, base64.b64decode(value)) for name, value in raw.headers]
        key = None if raw.key is None else base64.b64decode(raw.key)
        return key, None if raw.value is None else base64.b64decode(raw.value), headers
    except ValueError as error:
        raise SourceError(f"{line.topic}: a record that is not base64: {error}", REMEDY) from error


def _source(line: Line) -> Topic:
    """The topic of a line; only what comes from outside is recorded."""
    topic = BY_TOPIC.get(line.topic)
    if topic is None or not topic.source:
        raise SourceError(f"no source topic {line.topic[:80]!r} in a recording", REMEDY)
    return topic


def in_order(reads: Iterable[Read]) -> list[Read]:
    """Records of several partitions by arrival; each partition's own order is kept."""
    return sorted(reads, key=lambda r: (r.append_ts, r.topic, r.partition, r.offset))
