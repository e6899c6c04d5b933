"""Entries of a table, and when they are due: by time, in chunks put in order when time comes.

Most entries are due long after they come, and many come before any is asked for. So an entry is
only thrown into its chunk, and a chunk is sorted once, when time reaches it. What goes is marked,
and its chunk notices when it is read.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Any

import msgspec

Key = tuple[str | int, ...]


class Entry(msgspec.Struct, eq=False, gc=False):
    """What a table has at a key; one that is gone has no value."""

    key: Any
    value: Any
    due: int | None = None
    """The time (ms) that it is found by."""
    dirty: bool = False
    """It waits for the checkpoint (for stores that have one)."""
    logged: bool = False
    """The changelog may know of it."""


class _Chunk:
    """The entries of a span of time."""

    __slots__ = ("entries", "line", "live", "number", "start")

    def __init__(self, number: int) -> None:
        self.number = number
        self.live = 0
        """How many of the entries are still due here."""
        self.entries: list[Entry] = []
        """As they came, until somebody asks; perhaps twice, or gone."""
        self.line: list[Any] | None = None
        """From then on (due, key, entry), in order, perhaps gone."""
        self.start = 0
        """What stands before this in ``line`` has gone."""

    def insert(self, entry: Entry) -> None:
        """Take an entry in whose time has been asked for."""
        self.live += 1
        line, due, key = self._ordered(), entry.due, entry.key
        place = bisect_left(line, (due, key), self.start)
        if place < len(line) and line[place][:2] == (due, key):
            line[place] = (due, key, entry)
        else:
            line.insert(place, (due, key, entry))

    def sorted(self) -> list[tuple[int, Key, Entry]]:
        """(due, key, entry) in order."""
        number, shift, seen = self.number, Timeline.SHIFT, dict[int, Any]()
        for entry in self.entries:
            due = entry.due
            if due is not None and due >> shift == number:
                seen[id(entry)] = (due, entry.key, entry)
        return sorted(seen.values())

    def due(self, low: int | None, high: int | None) -> list[Key]:
        line = self._ordered()
        start = self.start if low is None else bisect_left(line, (low,), self.start)
        end = len(line) if high is None else bisect_left(line, (high,), start)
        return [key for due, key, entry in line[start:end] if entry.due == due]

    def take(self, high: int) -> list[Entry]:
        """Entries with ``due < high``, which are no longer here; perhaps one twice."""
        if high >= (self.number + 1) << Timeline.SHIFT and self.line is None:
            number, shift = self.number, Timeline.SHIFT
            return [e for e in self.entries if e.due is not None and e.due >> shift == number]
        line, start = self._ordered(), self.start
        self.start = bisect_left(line, (high,), start)
        found = [entry for due, _, entry in line[start : self.start] if entry.due == due]
        self.live -= len(found)
        return found

    def next(self, low: int | None) -> int | None:
        line = self._ordered()
        start = self.start if low is None else bisect_left(line, (low,), self.start)
        for place in range(start, len(line)):
            due: int = line[place][0]
            if line[place][2].due == due:
                return due
        return None

    def _ordered(self) -> list[Any]:
        line, start = self.line, self.start
        if line is None:
            line = self.line = self.sorted()
            self.entries = []
        while start < len(line) and line[start][2].due != line[start][0]:
            start += 1
        self.start = start
        return line


class Timeline:
    """Entries by the time (ms) at which they are due.

    >>> line = Timeline()
    >>> for due in (900, 30, 20):
    ...     line.add(Entry(("k", due), "value", due))
    >>> line.due(None, 900), line.next(21)
    ([('k', 20), ('k', 30)], 30)
    """

    __slots__ = ("_chunks", "_order")
    SHIFT = 8
    """A chunk is 2^8 ms."""

    def __init__(self) -> None:
        self._chunks: dict[int, _Chunk] = {}
        self._order: list[int] = []
        """The numbers of the chunks."""

    def add(self, entry: Entry) -> None:
        """Take an entry in that has a time."""
        number = entry.due >> self.SHIFT  # type: ignore[operator]
        chunk = self._chunks.get(number)
        if chunk is None:
            chunk = self._chunks[number] = _Chunk(number)
            insort(self._order, number)
        if chunk.line is None:
            chunk.live += 1
            chunk.entries.append(entry)
        else:
            chunk.insert(entry)

    def move(self, entry: Entry, due: int | None) -> None:
        """Give an entry another time, or none."""
        known, entry.due = entry.due, due
        if known is not None:
            number = known >> self.SHIFT
            chunk = self._chunks[number]
            chunk.live -= 1
            if not chunk.live:
                del self._chunks[number]
                del self._order[bisect_left(self._order, number)]
        if due is not None:
            self.add(entry)

    def due(self, low: int | None = None, high: int | None = None) -> list[Key]:
        """Keys with ``low <= due < high``, by (due, key)."""
        order = self._order
        if not order or (high is not None and high <= order[0] << self.SHIFT):
            return []
        first = 0 if low is None else bisect_left(order, low >> self.SHIFT)
        found: list[Key] = []
        for place in range(first, len(order)):
            start = order[place] << self.SHIFT
            end = start + (1 << self.SHIFT)
            if high is not None and start >= high:
                break
            chunk = self._chunks[order[place]]
            whole = (low is None or low <= start) and (high is None or end <= high)
            if whole and chunk.line is None:
                found += [key for _, key, _ in chunk.sorted()]
            else:
                found += chunk.due(low, high)
        return found

    def take(self, high: int) -> list[Entry]:
        """Entries with ``due < high``, which are no longer here; perhaps one twice."""
        order, found = self._order, list[Entry]()
        while order and order[0] << self.SHIFT < high:
            number = order[0]
            chunk = self._chunks[number]
            found += chunk.take(high)
            if chunk.live and high < (number + 1) << self.SHIFT:
                break
            del self._chunks[number], order[0]
        return found

    def next(self, low: int | None = None) -> int | None:
        """The least due, or the least from ``low`` on."""
        first = 0 if low is None else bisect_left(self._order, low >> self.SHIFT)
        for place in range(first, len(self._order)):
            due = self._chunks[self._order[place]].next(low)
            if due is not None:
                return due
        return None
