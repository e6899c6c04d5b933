"""One letter whole: reason, origin, headers, bytes, the event in them, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from schemas.jsonform import to_line
from schemas.wire import Codec
from streams.client.decode import read_message
from streams.ops.consume import base64_text
from streams.ops.ledger import HOME, Entry
from streams.ops.letter_counts import letters, moment, state_of
from streams.ops.letter_scan import Scanner
from streams.ops.letters import (
    Kind,
    Letter,
    NoRecord,
    Selection,
    as_text,
    letter_of,
    reason_of,
)

HEX_BYTES = 256
"""How much of a value is shown as a hex dump, where not all of it is asked for."""


class _Original:
    """The record that a letter is of, with the interface of librdkafka's messages."""

    def __init__(self, letter: Letter) -> None:
        self._letter = letter

    def topic(self) -> str:
        return self._letter.text("topic")

    def partition(self) -> int:
        return self._letter.number("partition") or 0

    def offset(self) -> int:
        return self._letter.number("offset") or 0

    def key(self) -> bytes | None:
        return self._letter.key

    def value(self) -> bytes | None:
        return self._letter.value

    def headers(self) -> Any:
        return self._letter.own

    def set_headers(self, value: Any) -> None:
        """They can be read already."""

    def timestamp(self) -> tuple[int, int]:
        return (1, self._letter.number("timestamp") or self._letter.append_ts)


def find(scanner: Scanner, kind: Kind, where: str, codec: Codec) -> list[Letter]:
    """The letters at an address, of a record at an address, or of an event id, in their order.

    An address is ``PARTITION:OFFSET`` of a letter, or ``TOPIC:PARTITION:OFFSET`` of a letter or of
    the record that it is of. Raises NoRecord where there is none.
    """
    topic, partition, offset = _parsed(where)
    if topic in ("", kind.topic.name) and partition is not None and offset is not None:
        found = _at(scanner, kind, partition, offset)
    elif partition is not None:
        every = letters(scanner, kind, Selection(topic=topic))
        found = [letter for letter in every if str(letter.origin) == where]
    else:
        found = [one for one in letters(scanner, kind, Selection()) if _is(one, where, codec)]
    if not found:
        raise NoRecord(
            f"{kind.topic.name} has no record {where}",
            f"`streams {kind.command} ls --each` lists the addresses of all",
        )
    return found


def _parsed(where: str) -> tuple[str, int | None, int | None]:
    """Topic, partition and offset; the numbers are None where it is none of an address."""
    topic, _, rest = where.replace("/", ":").rpartition(":")
    topic, _, middle = topic.rpartition(":")
    if not (_small(rest) and _small(middle)):
        return where, None, None
    return topic, int(middle), int(rest)


def _small(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18


def _at(scanner: Scanner, kind: Kind, partition: int, offset: int) -> list[Letter]:
    if partition not in scanner.spans(kind.topic.name):
        return []
    found = scanner.one(kind.topic.name, partition, offset)
    return [] if found is None else [letter_of(found, kind)]


def _is(letter: Letter, event_id: str, codec: Codec) -> bool:
    said = dict(letter.own).get("ce_id")
    if said is not None:
        text = as_text(said)
        return text == event_id or text.startswith((f"{event_id}:assert:", f"{event_id}:retract:"))
    event = read_message(_Original(letter), codec).event  # type: ignore[arg-type]
    return event is not None and event.id == event_id


def full_row(letter: Letter, done: Iterable[Entry], codec: Codec, most: int) -> dict[str, Any]:
    """Everything of a letter: key and value in base64, headers as text, its event if it is one."""
    read = read_message(_Original(letter), codec)  # type: ignore[arg-type]
    event = None if read.event is None else msgspec.json.decode(to_line(read.event))
    mine = list(_of(letter, done))
    home = any(entry.to == HOME for entry in mine)
    return {
        "letter": letter.address,
        "at": moment(letter.append_ts),
        "state": state_of(home, letter.replays, most),
        "reason": as_text(reason_of(letter.why)),
        "why": {name: as_text(raw) for name, raw in letter.why.items()},
        "topic": letter.text("topic"),
        "partition": letter.number("partition"),
        "offset": letter.number("offset"),
        "timestamp": moment(letter.number("timestamp") or 0) or None,
        "replays": letter.replays,
        "redriven": [
            {"at": moment(entry.at), "to": entry.to or letter.text("topic")} for entry in mine
        ],
        "key": base64_text(letter.key),
        "value": base64_text(letter.value),
        "bytes": len(letter.value or b""),
        "headers": [[name, None if raw is None else as_text(raw)] for name, raw in letter.own],
        "event": event,
        "error": read.error,
    }


def _of(letter: Letter, done: Iterable[Entry]) -> Iterator[Entry]:
    """The entries of the ledger that speak of a letter."""
    for entry in done:
        inside = any(first <= letter.offset <= last for first, last in entry.ranges)
        if entry.partition == letter.partition and inside:
            yield entry


def hex_dump(raw: bytes, most: int = HEX_BYTES) -> str:
    r"""Bytes as people read them: offset, sixteen bytes a line, their characters.

    >>> print(hex_dump(b"hello\x00"))
    00000000  68 65 6c 6c 6f 00                                hello.
    """
    lines = []
    for start in range(0, min(len(raw), most), 16):
        part = raw[start : min(start + 16, most)]
        plain = "".join(chr(b) if 32 <= b < 127 else "." for b in part)
        lines.append(f"{start:08x}  {part.hex(' '):<47}  {plain}")
    if len(raw) > most:
        lines.append(f"... {len(raw) - most} bytes more")
    return "\n".join(lines)
