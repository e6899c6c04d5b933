"""Where an operator keeps what it remembers: an ordered map of small entries.

A key is a tuple of str and int, and under one prefix each position has one type, so keys have a
total order. A value is plain data or an ``Event`` and is never changed in place: a change is a new
``put``. Each put and delete is one record of a changelog, so an entry is one event, one timer, one
mark, and never a growing list.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from sortedcontainers import SortedList

from joins.timeline import Timeline

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

    def next_due(self, table: str, low: int | None = None) -> int | None:
        """The least due (from ``low`` on) of any entry of a table, or None.

        A store that keeps its timeline in order knows it at once; this one asks ``due``.
        """
        if not self.due(table, low):
            return None
        reach, start = 1, -(1 << 62) if low is None else low
        while not self.due(table, low, start + reach):
            reach *= 2
        least, most = start + reach // 2, start + reach - 1
        while least < most:
            middle = (least + most) // 2
            least, most = (
                (least, middle) if self.due(table, low, middle + 1) else (middle + 1, most)
            )
        return least

    def between(self, prefix: Key, low: Key | None = None, high: Key | None = None) -> list[Any]:
        """The values that ``scan`` gives, at once."""
        return [value for _, value in self.scan(prefix, low, high)]

    def last(self, prefix: Key, low: Key | None = None, high: Key | None = None) -> Any | None:
        """The last value that ``scan`` gives, or None."""
        return next((value for _, value in self.scan(prefix, low, high, reverse=True)), None)


class _Top:
    """Greater than every str and int: the end of a prefix."""

    def __lt__(self, other: object) -> bool:
        return False

    def __gt__(self, other: object) -> bool:
        return True


_TOP = (_Top(),)


class _Large:
    """Many keys in order: a tree of lists."""

    __slots__ = ("_fresh", "_keys")

    def __init__(self, keys: list[Key]) -> None:
        self._keys = SortedList(keys)
        self._fresh: list[Key] = []
        """Keys that came since somebody looked."""

    def add(self, key: Key) -> None:
        self._fresh.append(key)

    def remove(self, key: Key) -> None:
        self.keys.remove(key)

    @property
    def keys(self) -> Any:
        """A sorted list of them."""
        if self._fresh:
            self._keys.update(self._fresh)
            self._fresh = []
        return self._keys

    def __len__(self) -> int:
        return len(self._keys) + len(self._fresh)


_Run = list[Key] | _Large
"""Keys in order: a list while there are few."""


class Table:
    """The entries with one first part: a hash map, and runs in order where somebody scans.

    A run holds the keys with the same first parts, as many as the prefixes of scans have: so a scan
    of one key's events looks at these alone.
    """

    __slots__ = ("at", "runs", "timeline", "values")
    DEEPEST = 3
    MANY = 1000
    """Keys in a run that is no longer a plain list."""

    def __init__(self) -> None:
        self.values: dict[Key, Any] = {}
        self.runs: dict[int, dict[Key, _Run]] = {}
        """By length of prefix; empty until the first scan: many tables are never scanned."""
        self.timeline = Timeline()
        self.at = self.timeline.at

    def put(self, key: Any, value: Any, due: int | None = None) -> None:
        """Set an entry."""
        if key not in self.values:
            for depth, runs in self.runs.items():
                self._add(runs, key[:depth], key)
        self.values[key] = value
        if self.at.get(key) != due:
            self.timeline.set(key, due)

    def _add(self, runs: dict[Key, _Run], front: Key, key: Key) -> None:
        run = runs.get(front)
        if run is None:
            runs[front] = [key]
        elif type(run) is not list:
            run.add(key)  # type: ignore[union-attr]
        elif len(run) >= self.MANY:
            runs[front] = _Large([*run, key])
        else:
            insort(run, key)

    def delete(self, key: Any) -> None:
        """Remove an entry if it is there."""
        if key not in self.values:
            return
        for depth, runs in self.runs.items():
            front = key[:depth]
            run = runs[front]
            if len(run) == 1:
                del runs[front]
            elif type(run) is list:
                del run[bisect_left(run, key)]
            else:
                run.remove(key)
        del self.values[key]
        if key in self.at:
            self.timeline.set(key, None)

    def between(self, prefix: Key, low: Key | None, high: Key | None) -> list[Key]:
        """Keys with ``prefix + low <= key < prefix + high``."""
        run = self._run(prefix)
        if run is None:
            return []
        keys = run if type(run) is list else run.keys  # type: ignore[union-attr]
        start = bisect_left(keys, prefix if low is None else prefix + low)
        end = self._end(keys, prefix, high, start)
        found: list[Key] = keys[start:end]
        return found

    def lazily(
        self, prefix: Key, low: Key | None, high: Key | None, reverse: bool
    ) -> Iterable[Key]:
        """The same, of which perhaps only the first one is wanted."""
        run = self._run(prefix)
        if run is None or type(run) is list:
            found = self.between(prefix, low, high)
            return found[::-1] if reverse else found
        keys = run.keys  # type: ignore[union-attr]
        first: Any = prefix if low is None else prefix + low
        last: Any = prefix + (_TOP if high is None else high)
        ordered: Iterable[Key] = keys.irange(first, last, (True, False), reverse=reverse)
        return ordered

    def last(self, prefix: Key, low: Key | None, high: Key | None) -> Key | None:
        """The greatest key with ``prefix + low <= key < prefix + high``."""
        run = self._run(prefix)
        if run is None:
            return None
        keys = run if type(run) is list else run.keys  # type: ignore[union-attr]
        end = self._end(keys, prefix, high, 0)
        if not end:
            return None
        found: Key = keys[end - 1]
        return found if found >= (prefix if low is None else prefix + low) else None

    def _end(self, keys: Any, prefix: Key, high: Key | None, start: int) -> int:
        if high is not None:
            last: Any = prefix + high
        elif len(prefix) <= self.DEEPEST:
            return len(keys)
        else:
            last = prefix + _TOP
        return bisect_left(keys, last, start) if type(keys) is list else keys.bisect_left(last)

    def _run(self, prefix: Key) -> _Run | None:
        """The run in which all keys are that begin with ``prefix``."""
        depth = len(prefix)
        if depth > self.DEEPEST:
            depth = self.DEEPEST
            prefix = prefix[:depth]
        runs = self.runs.get(depth)
        if runs is None:
            runs = self.runs[depth] = {}
            for key in sorted(self.values):
                self._add(runs, key[:depth], key)
        return runs.get(prefix)


class MemoryStore(Store):
    """A ``Store`` in memory: O(1) by key, O(log n) an entry in tables that are scanned.

    >>> store = MemoryStore()
    >>> for ts in (30, 10, 20):
    ...     store.put(("e", "alice", ts), f"at {ts}", due=ts)
    >>> [value for _, value in store.scan(("e", "alice"), low=(10,), high=(30,))]
    ['at 10', 'at 20']
    >>> next(store.scan(("e", "alice"), high=(30,), reverse=True))
    (('e', 'alice', 20), 'at 20')
    >>> store.due("e", high=20), store.next_due("e", low=11)
    ([('e', 'alice', 10)], 20)
    """

    def __init__(self, entries: Mapping[Key, Any] | None = None) -> None:
        """``entries``: what ``dump`` gave."""
        self._tables: defaultdict[str | int, Table] = defaultdict(self._table)
        dues = getattr(entries, "dues", {})
        for key, value in (entries or {}).items():
            self._tables[key[0]].put(key, value, dues.get(key))

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
        names = prefix[:1] or sorted(self._tables, reverse=reverse)
        for name in names:
            table = self._tables.get(name)
            if table is None or not table.values:
                continue
            values = table.values
            for key in table.lazily(prefix or (name,), low, high, reverse):
                yield key, values[key]

    def due(self, table: str, low: int | None = None, high: int | None = None) -> list[Key]:
        """Keys of a table with ``low <= due < high``, by (due, key)."""
        return self._tables[table].timeline.due(low, high)

    def next_due(self, table: str, low: int | None = None) -> int | None:
        """The least due (from ``low`` on) of any entry of a table, or None."""
        return self._tables[table].timeline.next(low)

    def between(self, prefix: Key, low: Key | None = None, high: Key | None = None) -> list[Any]:
        """The values that ``scan`` gives, at once; ``prefix`` names at least the table."""
        table = self._tables[prefix[0]]
        values = table.values
        return [values[key] for key in table.between(prefix, low, high)]

    def last(self, prefix: Key, low: Key | None = None, high: Key | None = None) -> Any | None:
        """The last value that ``scan`` gives, or None; ``prefix`` names at least the table."""
        table = self._tables[prefix[0]]
        key = table.last(prefix, low, high)
        return None if key is None else table.values[key]

    def dump(self) -> Dump:
        """All entries, in key order."""
        dump = Dump(self.scan(()))
        for table in self._tables.values():
            dump.dues |= table.at
        return dump


class Dump(dict[Key, Any]):
    """Entries in key order; ``dues`` has when they are due, of those that are."""

    def __init__(self, entries: Iterable[tuple[Key, Any]] = ()) -> None:
        super().__init__(entries)
        self.dues: dict[Key, int] = {}
