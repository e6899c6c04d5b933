"""Letters counted by where they came from and why, with their times, without keeping them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from schemas.errors import BadHeaders
from schemas.headers import time_text
from streams.ops.ledger import Ledger
from streams.ops.letter_scan import Scanner
from streams.ops.letters import (
    Kind,
    Letter,
    Selection,
    as_number,
    as_text,
    letter_of,
    parted,
    reason_of,
    replays_of,
)

MINUTE_MS = 60_000
COLUMNS = 24
"""Of a histogram."""
_BARS = " ▁▂▃▄▅▆▇█"
Key = tuple[bytes, bytes, bytes, bytes]


class Group(msgspec.Struct):
    """The letters of one topic, step, reason and version."""

    letters: int = 0
    redriven: int = 0
    quarantined: int = 0
    """Not to be written back again: it was done as often as it may be."""
    first_ts: int = 0
    last_ts: int = 0
    detail: bytes = b""
    """Of the last one."""
    least_by: int | None = None
    greatest_by: int | None = None
    """By how much (ms) late records were late."""
    minutes: Counter[int] = msgspec.field(default_factory=Counter)

    def add(self, ts: int, why: dict[str, bytes]) -> None:
        """Count a letter."""
        if not self.letters or ts < self.first_ts:
            self.first_ts = ts
        if ts >= self.last_ts:
            self.last_ts = ts
            self.detail = why.get("detail", b"")
        self.letters += 1
        self.minutes[ts // MINUTE_MS] += 1
        by = as_number(why.get("by"))
        if by is not None:
            self.least_by = by if self.least_by is None else min(by, self.least_by)
            self.greatest_by = by if self.greatest_by is None else max(by, self.greatest_by)


def state_of(redriven: bool, replays: int | None, most: int) -> str:
    """What became of a letter: ``redriven``, ``quarantined`` or ``open``."""
    if redriven:
        return "redriven"
    return "quarantined" if replays is None or replays >= most else "open"


def grouped(
    scanner: Scanner, kind: Kind, selection: Selection, ledger: Ledger, most: int
) -> dict[Key, Group]:
    """The letters up to the present end, counted; ``most`` is the greatest replay count."""
    found: dict[Key, Group] = {}
    spans = scanner.spans(kind.topic.name, selection.since)
    for messages in scanner.read(kind.topic.name, spans):
        for message in messages:
            ts = message.timestamp()[1]
            why, own = parted(message, kind.prefix)
            place = (message.partition() or 0, message.offset() or 0)
            if selection.has(place, ts, why):
                get = why.get
                key = (get("topic", b""), get("step", b""), reason_of(why), get("version", b""))
                group = found.get(key)
                if group is None:
                    group = found[key] = Group()
                group.add(ts, why)
                if ledger.has(*place):
                    group.redriven += 1
                elif state_of(False, replays_of(own), most) == "quarantined":
                    group.quarantined += 1
    return found


def letters(scanner: Scanner, kind: Kind, selection: Selection) -> Iterator[Letter]:
    """The letters up to the present end, one after the other."""
    spans = scanner.spans(kind.topic.name, selection.since)
    for messages in scanner.read(kind.topic.name, spans, 1000):
        for message in messages:
            found = letter_of(message, kind)
            if selection.has((found.partition, found.offset), found.append_ts, found.why):
                yield found


def group_rows(groups: dict[Key, Group]) -> list[dict[str, Any]]:
    """A row a group, the latest first; their histograms have the same columns."""
    span = span_of(groups.values())
    ordered = sorted(groups.items(), key=lambda item: (-item[1].last_ts, item[0]))
    return [_row(key, group, span) for key, group in ordered]


def _row(key: Key, group: Group, span: tuple[int, int]) -> dict[str, Any]:
    topic, step, reason, version = map(as_text, key)
    row: dict[str, Any] = {
        "topic": topic,
        "step": step,
        "reason": reason,
        "version": as_number(version.encode()) if version.isdigit() else version or None,
        "letters": group.letters,
        "open": group.letters - group.redriven - group.quarantined,
        "redriven": group.redriven,
        "quarantined": group.quarantined,
        "first": moment(group.first_ts),
        "last": moment(group.last_ts),
        "first_ts": group.first_ts,
        "last_ts": group.last_ts,
        "histogram": histogram(group.minutes, span),
        "detail": as_text(group.detail),
    }
    if group.least_by is not None:
        row |= {"least_by_ms": group.least_by, "greatest_by_ms": group.greatest_by}
    return row


def span_of(groups: Iterable[Group]) -> tuple[int, int]:
    """First minute of all, and how many minutes a column of their histograms has."""
    minutes = [n for g in groups for n in (g.first_ts // MINUTE_MS, g.last_ts // MINUTE_MS)]
    if not minutes:
        return 0, 1
    return min(minutes), (max(minutes) - min(minutes)) // COLUMNS + 1


def histogram(minutes: Counter[int], span: tuple[int, int]) -> list[int]:
    """Letters in each column."""
    first, width = span
    found = [0] * COLUMNS
    for minute, count in minutes.items():
        found[(minute - first) // width] += count
    return found


def bars(counts: list[int]) -> str:
    """A histogram as one line of text.

    >>> bars([0, 1, 4, 8])
    ' ▁▄█'
    """
    top = max(counts, default=0) or 1
    return "".join(_BARS[-(-count * (len(_BARS) - 1) // top)] for count in counts)


def moment(ts: int) -> str:
    """A time of arrival (ms) as text; empty where the broker had none."""
    try:
        return time_text(ts) if ts > 0 else ""
    except BadHeaders:  # a stranger's clock, in a topic that is not stamped on arrival
        return str(ts)


def listed(letter: Letter, ledger: Ledger, most: int) -> dict[str, Any]:
    """A letter as one row of a listing."""
    done = ledger.has(letter.partition, letter.offset)
    row: dict[str, Any] = {
        "letter": letter.address,
        "at": moment(letter.append_ts),
        "topic": letter.text("topic"),
        "partition": letter.number("partition"),
        "offset": letter.number("offset"),
        "step": letter.text("step"),
        "reason": as_text(reason_of(letter.why)),
        "version": letter.number("version"),
        "state": state_of(done, letter.replays, most),
        "replays": letter.replays,
        "bytes": len(letter.value or b""),
        "detail": letter.text("detail"),
    }
    for name in ("by", "watermark"):
        if name in letter.why:
            row[f"{name}_ms" if name == "by" else name] = letter.number(name)
    return row
