"""Where an operator keeps what it remembers: an ordered map of small entries.

A key is a tuple of str and int, and under one prefix each position has one type, so keys have a
total order. A value is plain data or an ``Event`` and is never changed in place: a change is a new
``put``. Each put and delete is one record of a changelog, so an entry is one event, one timer, one
mark, and never a growing list.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from sortedcontainers import SortedDict

Key = tuple[str | int, ...]
"""Position by position of one type, so that keys under a prefix compare."""


class Store(Protocol):
    """An ordered map. Ranges are half-open: ``prefix + low <= key < prefix + high``."""

    def get(self, key: Key) -> Any | None:
        """The value at ``key``, or None."""

    def put(self, key: Key, value: Any) -> None:
        """Set the value at ``key``; ``None`` is no value."""

    def delete(self, key: Key) -> None:
        """Remove ``key``; nothing happens when it is not there."""

    def scan(
        self, prefix: Key, low: Key | None = None, high: Key | None = None, reverse: bool = False
    ) -> Iterator[tuple[Key, Any]]:
        """The entries under ``prefix`` in key order (``reverse``: the greatest first).

        ``low`` (inclusive) and ``high`` (exclusive) continue the prefix. The store must not be
        written while the iterator is in use.
        """


class _Top:
    """Greater than every str and int: the end of a prefix."""

    def __lt__(self, other: object) -> bool:
        return False

    def __gt__(self, other: object) -> bool:
        return True


_TOP = (_Top(),)


class MemoryStore:
    """A ``Store`` in memory, O(log n) an operation.

    >>> store = MemoryStore()
    >>> for ts in (30, 10, 20):
    ...     store.put(("e", "alice", ts), f"at {ts}")
    >>> [value for _, value in store.scan(("e", "alice"), low=(10,), high=(30,))]
    ['at 10', 'at 20']
    >>> next(store.scan(("e", "alice"), high=(30,), reverse=True))
    (('e', 'alice', 20), 'at 20')
    """

    def __init__(self, entries: dict[Key, Any] | None = None) -> None:
        self._entries: Any = SortedDict(entries or {})

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key) -> Any | None:
        """The value at ``key``, or None."""
        return self._entries.get(key)

    def put(self, key: Key, value: Any) -> None:
        """Set the value at ``key``."""
        self._entries[key] = value

    def delete(self, key: Key) -> None:
        """Remove ``key`` if it is there."""
        self._entries.pop(key, None)

    def scan(
        self, prefix: Key, low: Key | None = None, high: Key | None = None, reverse: bool = False
    ) -> Iterator[tuple[Key, Any]]:
        """The entries with ``prefix + low <= key < prefix + high``, in key order."""
        first: Any = prefix if low is None else prefix + low
        last: Any = prefix + (_TOP if high is None else high)
        entries = self._entries
        for key in entries.irange(first, last, inclusive=(True, False), reverse=reverse):
            yield key, entries[key]

    def dump(self) -> dict[Key, Any]:
        """All entries, in key order."""
        return dict(self._entries)
