"""The entries of a store with one first part: a hash map, and runs in order where one scans."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

from sortedcontainers import SortedKeyList

from joins.timeline import Entry, Key, Timeline


class _Top:
    """Greater than every str and int: the end of a prefix."""

    def __lt__(self, other: object) -> bool:
        return False

    def __gt__(self, other: object) -> bool:
        return True


_TOP: Any = (_Top(),)
_key = attrgetter("key")


class _Large:
    """Many entries in order: a tree of lists."""

    __slots__ = ("_fresh", "_tree")

    def __init__(self, entries: list[Entry]) -> None:
        self._tree = SortedKeyList(entries, _key)
        self._fresh: list[Entry] = []
        """What came since somebody looked."""

    def add(self, entry: Entry) -> None:
        self._fresh.append(entry)

    @property
    def tree(self) -> Any:
        """A sorted list of them."""
        if self._fresh:
            self._tree.update(self._fresh)
            self._fresh = []
        return self._tree

    def __len__(self) -> int:
        return len(self._tree) + len(self._fresh)


_Run = Entry | list[Entry] | _Large
"""Entries in order: one alone, a list while there are few."""


class Table:
    """The entries with one first part.

    A run holds the entries whose keys have the same first parts, as many as the prefixes of scans
    have: so a scan of one key's events looks at these alone.
    """

    __slots__ = ("entries", "runs", "timeline")
    DEEPEST = 3
    FEW = 10
    """Entries in a run that are all looked at."""
    MANY = 1000
    """Entries in a run that is no longer a plain list."""

    def __init__(self) -> None:
        self.entries: dict[Key, Entry] = {}
        self.runs: dict[int, dict[Any, _Run]] = {}
        """By length of prefix; empty until the first scan: many tables are never scanned."""
        self.timeline = Timeline()

    def get(self, key: Any) -> Any | None:
        """The value at a key."""
        entry = self.entries.get(key)
        return None if entry is None else entry.value

    def put(self, key: Any, value: Any, due: int | None = None) -> None:
        """Set an entry."""
        entry = self.entries.get(key)
        if entry is None:
            self.insert(Entry(key, value, due))
        else:
            self.set(entry, value, due)

    def add(self, key: Any, value: Any, due: int | None = None) -> bool:
        """Set an entry where nothing is; whether there was nothing."""
        entry = Entry(key, value, due)
        if self.entries.setdefault(key, entry) is not entry:
            return False
        self._place(entry)
        return True

    def delete(self, key: Any) -> None:
        """Remove an entry if it is there."""
        entry = self.entries.get(key)
        if entry is not None:
            self.remove(entry)

    def expire(self, before: int) -> None:
        """Remove the entries that are due before a time (ms)."""
        for entry in self.timeline.take(before):
            if entry.value is not None:
                self._displace(entry)
                entry.due = None

    def set(self, entry: Entry, value: Any, due: int | None) -> None:
        """Give an entry another value."""
        entry.value = value
        if entry.due != due:
            self.timeline.move(entry, due)

    def insert(self, entry: Entry) -> None:
        """Take in an entry whose key is not there."""
        self.entries[entry.key] = entry
        self._place(entry)

    def _place(self, entry: Entry) -> None:
        """Let a new entry be found in order and by time."""
        key = entry.key
        for depth, runs in self.runs.items():
            front = key[1] if depth == 2 else key[:depth]
            run = runs.setdefault(front, entry)
            if run is not entry:
                self._add(runs, front, run, entry)
        if entry.due is not None:
            self.timeline.add(entry)

    def _add(self, runs: dict[Any, _Run], front: Any, run: _Run, entry: Entry) -> None:
        if type(run) is Entry:
            runs[front] = [run, entry] if run.key < entry.key else [entry, run]
        elif type(run) is _Large:
            run.add(entry)
        elif len(run) >= self.MANY:  # type: ignore[arg-type]
            runs[front] = _Large([*run, entry])  # type: ignore[misc]
        else:
            insort(run, entry, key=_key)  # type: ignore[arg-type]

    def remove(self, entry: Entry) -> None:
        """Take an entry out; it is gone from then on."""
        self._displace(entry)
        if entry.due is not None:
            self.timeline.move(entry, None)

    def _displace(self, entry: Entry) -> None:
        key = entry.key
        del self.entries[key]
        for depth, runs in self.runs.items():
            front = key[1] if depth == 2 else key[:depth]
            run = runs[front]
            if type(run) is Entry or len(run) == 1:  # type: ignore[arg-type]
                del runs[front]
            elif type(run) is not list:
                run.tree.remove(entry)  # type: ignore[union-attr]
            elif run[0] is entry:
                del run[0]
            else:
                del run[bisect_left(run, key, key=_key)]
        entry.value = None

    def between(self, prefix: Key, low: Key | None, high: Key | None) -> list[Entry]:
        """Entries with ``prefix + low <= key < prefix + high``, in order."""
        run = self._run(prefix)
        if run is None:
            return []
        if len(prefix) == 2 and low is not None and high is not None and len(low) == len(high) == 1:
            if type(run) is Entry:
                return [run] if low[0] <= run.key[2] < high[0] else []
            if type(run) is list and len(run) < self.FEW:
                least, end = low[0], high[0]
                return [entry for entry in run if least <= entry.key[2] < end]
        first = prefix if low is None else prefix + low
        if type(run) is Entry:
            return [run] if first <= run.key < prefix + (_TOP if high is None else high) else []
        if type(run) is list:
            start = bisect_left(run, first, key=_key)
            return run[start : self._end(run, prefix, high, start)]
        tree = run.tree  # type: ignore[union-attr]
        found: list[Entry] = tree[tree.bisect_key_left(first) : self._end(tree, prefix, high, 0)]
        return found

    def lazily(
        self, prefix: Key, low: Key | None, high: Key | None, reverse: bool
    ) -> Iterable[Entry]:
        """The same, of which perhaps only the first one is wanted."""
        run = self._run(prefix)
        if type(run) is not _Large:
            found = self.between(prefix, low, high)
            return found[::-1] if reverse else found
        first = prefix if low is None else prefix + low
        last = prefix + (_TOP if high is None else high)
        ordered: Iterable[Entry] = run.tree.irange_key(first, last, (True, False), reverse=reverse)
        return ordered

    def last(self, prefix: Key, low: Key | None, high: Key | None) -> Entry | None:
        """The last entry with ``prefix + low <= key < prefix + high``."""
        run = self._run(prefix)
        if run is None:
            return None
        if type(run) is not _Large and len(prefix) == 2 and (high is None or len(high) == 1):
            few = (run,) if type(run) is Entry else run
            if (low is None or len(low) == 1) and len(few) < self.FEW:  # type: ignore[arg-type]
                return _last_at(few, low, high)  # type: ignore[arg-type]
        if type(run) is Entry:
            return next(iter(self.between(prefix, low, high)), None)
        least = prefix if low is None else prefix + low
        if type(run) is _Large:  # its own way to a position would count all of them
            greatest = prefix + (_TOP if high is None else high)
            back = run.tree.irange_key(None, greatest, (True, False), reverse=True)
            found: Entry | None = next(back, None)
            return found if found is not None and found.key >= least else None
        end = self._end(run, prefix, high, 0)
        return run[end - 1] if end and run[end - 1].key >= least else None  # type: ignore[index]

    def _end(self, entries: Any, prefix: Key, high: Key | None, start: int) -> int:
        if high is None and len(prefix) <= self.DEEPEST:
            return len(entries)
        last = prefix + (_TOP if high is None else high)
        if type(entries) is list:
            return bisect_left(entries, last, start, key=_key)
        return int(entries.bisect_key_left(last))

    def _run(self, prefix: Key) -> _Run | None:
        """The run in which all entries are whose keys begin with ``prefix``."""
        depth = len(prefix)
        if depth > self.DEEPEST:
            depth = self.DEEPEST
        runs = self.runs.get(depth)
        if runs is None:
            runs = self.runs[depth] = {}
            for entry in sorted(self.entries.values(), key=_key):
                front = entry.key[1] if depth == 2 else entry.key[:depth]
                if front in runs:
                    self._add(runs, front, runs[front], entry)
                else:
                    runs[front] = entry
        return runs.get(prefix[1] if depth == 2 else prefix[:depth])


def _last_at(entries: Sequence[Entry], low: Key | None, high: Key | None) -> Entry | None:
    """The last of a few entries whose third part is in ``low <= part < high``."""
    for entry in reversed(entries):
        at = entry.key[2]
        if high is None or at < high[0]:
            return entry if low is None or at >= low[0] else None
    return None
