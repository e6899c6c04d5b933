"""Where an operator keeps what it remembers: an ordered map of small entries.

A key is a tuple of str and int, and under one prefix each position has one type, so keys have a
total order. A value is plain data or an ``Event`` and is never changed in place: a change is a new
``put``. Each put and delete is one record of a changelog, so an entry is one event, one timer, one
mark, and never a growing list.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from sortedcontainers import SortedDict, SortedList

Key = tuple[str | int, ...]
"""Position by position of one type, so that keys under a prefix compare."""


class Store(Protocol):
    """An ordered map. Ranges are half-open: ``prefix + low <= key < prefix + high``."""

    def get(self, key: Key) -> Any | None:
        """The value at ``key``, or None."""

    def put(self, key: Key, value: Any, due: int | None = None) -> None:
        """Set the value at ``key``; ``None`` is no value.

        ``due`` (ms) puts the entry on the timeline of its table (the entries with the same first
        part of the key), so that it needs no second entry to be found by time.
        """

    def delete(self, key: Key) -> None:
        """Remove ``key``; nothing happens when it is not there."""

    def scan(
        self, prefix: Key, low: Key | None = None, high: Key | None = None, reverse: bool = False
    ) -> Iterator[tuple[Key, Any]]:
        """The entries under ``prefix`` in key order (``reverse``: the greatest first).

        ``low`` (inclusive) and ``high`` (exclusive) continue the prefix. The store must not be
        written while the iterator is in use.
        """

    def due(self, table: str, low: int | None = None, high: int | None = None) -> list[Key]:
        """Keys of a table that were put with ``low <= due < high``, by (due, key)."""


class _Top:
    """Greater than every str and int: the end of a prefix."""

    def __lt__(self, other: object) -> bool:
        return False

    def __gt__(self, other: object) -> bool:
        return True


_TOP = (_Top(),)


class _Run:
    """Keys in order: a list while there are few, a tree of lists when there are many."""

    __slots__ = ("_fresh", "_keys")
    MANY = 2000

    def __init__(self) -> None:
        self._keys: Any = []
        self._fresh: list[Key] = []
        """Keys that came since somebody looked."""

    def add(self, key: Key) -> None:
        self._fresh.append(key)

    def remove(self, key: Key) -> None:
        keys = self._settled()
        if type(keys) is list:
            del keys[bisect_left(keys, key)]
        else:
            keys.remove(key)

    def _settled(self) -> Any:
        keys, fresh = self._keys, self._fresh
        if fresh:
            self._fresh = []
            if type(keys) is not list:
                keys.update(fresh)
            elif len(keys) + len(fresh) > self.MANY:
                self._keys = keys = SortedList(keys + fresh)
            elif len(fresh) == 1:
                insort(keys, fresh[0])
            else:
                keys += fresh
                keys.sort()
        return keys

    def __bool__(self) -> bool:
        return bool(self._keys or self._fresh)

    def between(self, first: Any, last: Any, reverse: bool) -> Iterator[Key]:
        """Keys with ``first <= key < last``."""
        keys = self._settled()
        if type(keys) is not list:
            found: Iterator[Key] = keys.irange(first, last, (True, False), reverse=reverse)
            return found
        low = bisect_left(keys, first)
        high = bisect_left(keys, last, low)
        return iter(keys[low:high]) if not reverse else iter(keys[low:high][::-1])


class Table:
    """The entries with one first part: a hash map, and runs in order where somebody scans.

    A run holds the keys with the same first parts, as many as the prefixes of scans have: so a scan
    of one key's events looks at these alone.
    """

    __slots__ = ("at", "runs", "timeline", "values")
    DEEPEST = 3

    def __init__(self) -> None:
        self.values: dict[Key, Any] = {}
        self.runs: dict[int, dict[Key, _Run]] = {}
        """By length of prefix; empty until the first scan: many tables are never scanned."""
        self.at: dict[Key, int] = {}
        self.timeline: Any = SortedDict()

    def put(self, key: Any, value: Any, due: int | None = None) -> None:
        """Set an entry."""
        if self.runs and key not in self.values:
            self._add(key)
        self.values[key] = value
        if due is not None or self.at:
            self._time(key, due)

    def _add(self, key: Key) -> None:
        for depth, runs in self.runs.items():
            front = key[:depth]
            run = runs.get(front)
            if run is None:
                run = runs[front] = _Run()
            run.add(key)

    def _time(self, key: Key, due: int | None) -> None:
        known = self.at.get(key)
        if known == due:
            return
        if known is not None:
            self._forget(key, known)
        if due is not None:
            self.at[key] = due
            moment = self.timeline.get(due)
            if moment is None:
                moment = self.timeline[due] = {}
            moment[key] = None

    def _forget(self, key: Key, known: int) -> None:
        del self.at[key]
        moment = self.timeline[known]
        del moment[key]
        if not moment:
            del self.timeline[known]

    def delete(self, key: Any) -> None:
        """Remove an entry if it is there."""
        if key not in self.values:
            return
        for depth, runs in self.runs.items():
            run = runs[key[:depth]]
            run.remove(key)
            if not run:
                del runs[key[:depth]]
        del self.values[key]
        known = self.at.get(key)
        if known is not None:
            self._forget(key, known)

    def between(self, prefix: Key, first: Any, last: Any, reverse: bool) -> Iterator[Key]:
        """Keys with ``first <= key < last``, which all begin with ``prefix``."""
        depth = min(len(prefix), self.DEEPEST)
        if depth not in self.runs:
            runs = self.runs[depth] = {}
            for key in self.values:
                front = key[:depth]
                if front not in runs:
                    runs[front] = _Run()
                runs[front].add(key)
        run = self.runs[depth].get(prefix[:depth])
        return iter(()) if run is None else run.between(first, last, reverse)

    def due(self, low: int | None = None, high: int | None = None) -> list[Key]:
        """Keys with ``low <= due < high``, by (due, key)."""
        times = self.timeline.irange(low, high, (True, False))
        return [key for ts in times for key in sorted(self.timeline[ts])]


class MemoryStore:
    """A ``Store`` in memory: O(1) by key, O(log n) an entry in tables that are scanned.

    >>> store = MemoryStore()
    >>> for ts in (30, 10, 20):
    ...     store.put(("e", "alice", ts), f"at {ts}", due=ts)
    >>> [value for _, value in store.scan(("e", "alice"), low=(10,), high=(30,))]
    ['at 10', 'at 20']
    >>> next(store.scan(("e", "alice"), high=(30,), reverse=True))
    (('e', 'alice', 20), 'at 20')
    >>> store.due("e", high=20)
    [('e', 'alice', 10)]
    """

    def __init__(self, entries: Mapping[Key, Any] | None = None) -> None:
        self._tables: defaultdict[str | int, Table] = defaultdict(self._table)
        for key, value in (entries or {}).items():
            self._tables[key[0]].put(key, value)

    def _table(self) -> Table:
        return Table()

    def __len__(self) -> int:
        return sum(len(table.values) for table in self._tables.values())

    def get(self, key: Key) -> Any | None:
        """The value at ``key``, or None."""
        return self._tables[key[0]].values.get(key)

    def put(self, key: Key, value: Any, due: int | None = None) -> None:
        """Set the value at ``key``."""
        self._tables[key[0]].put(key, value, due)

    def delete(self, key: Key) -> None:
        """Remove ``key`` if it is there."""
        self._tables[key[0]].delete(key)

    def scan(
        self, prefix: Key, low: Key | None = None, high: Key | None = None, reverse: bool = False
    ) -> Iterator[tuple[Key, Any]]:
        """The entries with ``prefix + low <= key < prefix + high``, in key order."""
        first: Any = prefix if low is None else prefix + low
        last: Any = prefix + (_TOP if high is None else high)
        names = prefix[:1] or sorted(self._tables, reverse=reverse)
        for name in names:
            table = self._tables.get(name)
            if table is None or not table.values:
                continue
            values = table.values
            for key in table.between(prefix, first, last, reverse):
                yield key, values[key]

    def due(self, table: str, low: int | None = None, high: int | None = None) -> list[Key]:
        """Keys of a table with ``low <= due < high``, by (due, key)."""
        return self._tables[table].due(low, high)

    def dump(self) -> dict[Key, Any]:
        """All entries, in key order."""
        return dict(self.scan(()))
