"""When entries are due: keys by time, in chunks of time that are put in order when it comes.

Most keys are due long after they come, and many come before any is asked for. So a key is only
thrown into its chunk, and a chunk is sorted once, when time reaches it. What goes is taken out of
the one map that says when a key is due; its chunk notices when it is read.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Any

Key = tuple[str | int, ...]


class _Chunk:
    """The keys of a span of time."""

    __slots__ = ("at", "keys", "line", "live", "number", "start")

    def __init__(self, number: int, at: dict[Key, int]) -> None:
        self.number, self.at = number, at
        self.live = 0
        """How many of the keys are still due here."""
        self.keys: list[Key] = []
        """As they came, until somebody asks; perhaps twice, or gone."""
        self.line: list[Any] | None = None
        """From then on (due, key), in order, perhaps gone."""
        self.start = 0
        """What stands before this in ``line`` has gone."""

    def add(self, key: Key, due: int) -> None:
        self.live += 1
        line = self.line
        if line is None:
            self.keys.append(key)
            return
        place = bisect_left(line, (due, key), self.start)
        if place == len(line) or line[place] != (due, key):
            line.insert(place, (due, key))

    def sorted(self) -> list[tuple[int, Key]]:
        """(due, key) in order."""
        at, number = self.at, self.number
        found = [(at.get(key), key) for key in dict.fromkeys(self.keys)]
        shift = Timeline.SHIFT
        return sorted((d, key) for d, key in found if d is not None and d >> shift == number)

    def due(self, low: int | None, high: int | None) -> list[Key]:
        line, at = self._ordered(), self.at
        start = self.start if low is None else bisect_left(line, (low,), self.start)
        end = len(line) if high is None else bisect_left(line, (high,), start)
        return [key for due, key in line[start:end] if at.get(key) == due]

    def next(self, low: int | None) -> int | None:
        line, at = self._ordered(), self.at
        start = self.start if low is None else bisect_left(line, (low,), self.start)
        for place in range(start, len(line)):
            due: int = line[place][0]
            if at.get(line[place][1]) == due:
                return due
        return None

    def _ordered(self) -> list[Any]:
        line, at, start = self.line, self.at, self.start
        if line is None:
            line = self.line = self.sorted()
            self.keys = []
        while start < len(line) and at.get(line[start][1]) != line[start][0]:
            start += 1
        self.start = start
        return line


class Timeline:
    """Keys by the time (ms) at which they are due.

    >>> line = Timeline()
    >>> for due in (900, 30, 20):
    ...     line.set(("k", due), due)
    >>> line.due(None, 900), line.next(21)
    ([('k', 20), ('k', 30)], 30)
    """

    __slots__ = ("_chunks", "_order", "at")
    SHIFT = 8
    """A chunk is 2^8 ms."""

    def __init__(self) -> None:
        self.at: dict[Key, int] = {}
        """When each key is due."""
        self._chunks: dict[int, _Chunk] = {}
        self._order: list[int] = []
        """The numbers of the chunks."""

    def set(self, key: Any, due: int | None) -> None:
        """Put a key at a time; None takes it away."""
        known = self.at.get(key)
        if known is not None:
            self._forget(key, known)
        if due is None:
            return
        self.at[key] = due
        number = due >> self.SHIFT
        chunk = self._chunks.get(number)
        if chunk is None:
            chunk = self._chunks[number] = _Chunk(number, self.at)
            insort(self._order, number)
        chunk.add(key, due)

    def _forget(self, key: Key, known: int) -> None:
        del self.at[key]
        number = known >> self.SHIFT
        chunk = self._chunks[number]
        chunk.live -= 1
        if not chunk.live:
            del self._chunks[number]
            del self._order[bisect_left(self._order, number)]

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
                found += [key for _, key in chunk.sorted()]
            else:
                found += chunk.due(low, high)
        return found

    def next(self, low: int | None = None) -> int | None:
        """The least due, or the least from ``low`` on."""
        first = 0 if low is None else bisect_left(self._order, low >> self.SHIFT)
        for place in range(first, len(self._order)):
            due = self._chunks[self._order[place]].next(low)
            if due is not None:
                return due
        return None
