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
from typing import IO, Any

import msgspec

from schemas.envelope import Event
from schemas.errors import SchemaError
from schemas.jsonform import from_line, to_line
from streams.client import Read
from streams.sources.errors import SourceError
from streams.topics import BY_TOPIC

FORMAT = 1
_REMEDY = "make a new one with `streams record`"


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

    at: int
    topic: str = ""
    event: msgspec.Raw = msgspec.Raw()
    raw: Raw | None = None
    watermark: int | str | None = None


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
    try:
        with _open(path) as file:
            head = msgspec.json.decode(file.readline(), type=Head)
    except (OSError, msgspec.MsgspecError, lzma.LZMAError) as error:
        raise SourceError(f"{path} is no recording: {error}", _REMEDY) from error
    if head.recording != FORMAT:
        raise SourceError(f"{path} has format {head.recording}, this is {FORMAT}", _REMEDY)
    return head


def read_lines(path: Path) -> Iterator[Line]:
    """The further lines; raises SourceError with the number of a line that is none."""
    read_head(path)
    decoder = msgspec.json.Decoder(Line)
    with _open(path) as file:
        for number, text in enumerate(file, 1):
            if number == 1:
                continue
            try:
                yield decoder.decode(text)
            except msgspec.MsgspecError as error:
                raise SourceError(f"{path}, line {number}: {error}", _REMEDY) from error


def event_of(line: Line) -> Event:
    """The event of an ``event`` line; raises SourceError."""
    topic = BY_TOPIC.get(line.topic)
    if not bytes(line.event) or topic is None or not topic.source:
        raise SourceError(f"no source topic {line.topic!r} in a recording", _REMEDY)
    try:
        return from_line(bytes(line.event), topic.type, "recording", line.at)
    except SchemaError as error:
        raise SourceError(f"{line.topic}: {error}", _REMEDY) from error


def raw_of(raw: Raw) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]:
    """Key, value and headers of a ``raw`` line."""
    headers = [(name, base64.b64decode(value)) for name, value in raw.headers]
    key = None if raw.key is None else base64.b64decode(raw.key)
    return key, None if raw.value is None else base64.b64decode(raw.value), headers


def in_order(reads: Iterable[Read]) -> list[Read]:
    """Records of several partitions by arrival; each partition's own order is kept."""
    return sorted(reads, key=lambda r: (r.append_ts, r.topic, r.partition, r.offset))
