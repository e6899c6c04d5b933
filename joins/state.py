"""Where an operator keeps what it remembers: an ordered map of small entries.

A key is a tuple of str and int, and under one prefix each position has one type, so keys have a
total order. A value is plain data or an ``Event`` and is never changed in place: a change is a new
``put``. Each put and delete is one record of a changelog, so an entry is one event, one timer, one
mark, and never a growing list.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from joins.table import Table
from joins.timeline import Key

__all__ = ["Dump", "Key", "MemoryStore", "Store", "Table"]


class Store(Protocol):
    """An ordered map. Ranges are half-open: ``prefix + low <= key < prefix + high``."""

    def get(self, key: Key) -> Any | None:
        """The value at ``key``, or None."""

    def put(self, key: Key, value: Any, due: int | None = None) -> None:
        """Set the value at ``key``; ``None`` is no value.

        ``due`` (ms) puts the entry on the timeline of its table (the entries with the same first
        part of the key), so that it needs no second entry to be found by time.
        """

    def add(self, key: Key, value: Any, due: int | None = None) -> bool:
        """``put`` where nothing is; whether there was nothing."""
        if self.get(key) is not None:
            return False
        self.put(key, value, due)
        return True

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

    def expire(self, table: str, before: int) -> None:
        """Remove the entries of a table that were put with ``due < before``."""
        for key in self.due(table, None, before):
            self.delete(key)

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
        return sum(len(table.entries) for table in self._tables.values())

    def get(self, key: Key) -> Any | None:
        """The value at ``key``, or None."""
        entry = self._tables[key[0]].entries.get(key)
        return None if entry is None else entry.value

    def put(self, key: Key, value: Any, due: int | None = None) -> None:
        """Set the value at ``key``."""
        self._tables[key[0]].put(key, value, due)

    def add(self, key: Key, value: Any, due: int | None = None) -> bool:
        """``put`` where nothing is; whether there was nothing."""
        return self._tables[key[0]].add(key, value, due)

    def delete(self, key: Key) -> None:
        """Remove ``key`` if it is there."""
        self._tables[key[0]].delete(key)

    def scan(
        self, prefix: Key, low: Key | None = None, high: Key | None = None, reverse: bool = False
    ) -> Iterator[tuple[Key, Any]]:
        """The entries with ``prefix + low <= key < prefix + high``, in key order."""
        if not prefix and (low is not None or high is not None):  # a bound across tables
            every = self.scan((), reverse=reverse)
            yield from ((k, v) for k, v in every if (low or k) <= k and (high is None or k < high))
            return
        names = prefix[:1] or sorted(self._tables, reverse=reverse)
        for name in names:
            table = self._tables.get(name)
            if table is not None:
                for entry in table.lazily(prefix or (name,), low, high, reverse):
                    yield entry.key, entry.value

    def due(self, table: str, low: int | None = None, high: int | None = None) -> list[Key]:
        """Keys of a table with ``low <= due < high``, by (due, key)."""
        return self._tables[table].timeline.due(low, high)

    def expire(self, table: str, before: int) -> None:
        """Remove the entries of a table that were put with ``due < before``."""
        self._tables[table].expire(before)

    def next_due(self, table: str, low: int | None = None) -> int | None:
        """The least due (from ``low`` on) of any entry of a table, or None."""
        return self._tables[table].timeline.next(low)

    def between(self, prefix: Key, low: Key | None = None, high: Key | None = None) -> list[Any]:
        """The values that ``scan`` gives, at once; ``prefix`` names at least the table."""
        return [entry.value for entry in self._tables[prefix[0]].between(prefix, low, high)]

    def last(self, prefix: Key, low: Key | None = None, high: Key | None = None) -> Any | None:
        """The last value that ``scan`` gives, or None; ``prefix`` names at least the table."""
        entry = self._tables[prefix[0]].last(prefix, low, high)
        return None if entry is None else entry.value

    def dump(self) -> Dump:
        """All entries, in key order."""
        dump = Dump(self.scan(()))
        for table in self._tables.values():
            dump.dues |= {k: e.due for k, e in table.entries.items() if e.due is not None}
        return dump


class Dump(dict[Key, Any]):
    """Entries in key order; ``dues`` has when they are due, of those that are."""

    def __init__(self, entries: Iterable[tuple[Key, Any]] = ()) -> None:
        super().__init__(entries)
        self.dues: dict[Key, int] = {}
