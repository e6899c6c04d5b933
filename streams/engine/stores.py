"""A task's state: a part for each step, undone by the batch, known to the checkpoint by change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from joins.state import Key, MemoryStore, Store, Table

PLAIN = ""
"""Marks the keys of plain tables on the changelog: (scope, PLAIN, table, key)."""


class Timed(NamedTuple):
    """A value on the changelog with the event time (ms) that its entry is due at."""

    value: Any
    due: int


class LoggedTable(Table):
    """A table that tells what was there before each write. As a mapping, it is what a step uses.

    >>> counts = TaskStore().scope("step").table("counts")
    >>> counts["a"] = counts.get("a", 0) + 1
    >>> dict(counts.items()), "b" in counts, len(counts)
    ({'a': 1}, False, 1)
    """

    __slots__ = ("dirty", "log", "path")

    def __init__(self, path: Key, log: Callable[[_Written], None]) -> None:
        super().__init__()
        self.path, self.log = path, log
        """What stands in front of a key on the changelog."""
        self.dirty: dict[Any, None] = {}
        """Entries that changed since the last checkpoint, in order of change."""

    def get(self, key: Any, default: Any = None) -> Any:
        """The value at ``key``, or ``default``."""
        return self.values.get(key, default)

    def put(self, key: Any, value: Any, due: int | None = None) -> None:
        """Set an entry."""
        self.log((self, key, self.values.get(key), self.at.get(key)))
        super().put(key, value, due)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.log((self, key, self.values.get(key), None))
        if self.order is None and not self.at:
            self.values[key] = value
        else:
            super().put(key, value)

    def delete(self, key: Any) -> None:
        """Remove an entry if it is there."""
        old = self.values.get(key)
        if old is not None:
            self.log((self, key, old, self.at.get(key)))
            super().delete(key)

    __delitem__ = delete

    def __contains__(self, key: Any) -> bool:
        return key in self.values

    def __len__(self) -> int:
        return len(self.values)

    def items(self) -> Any:
        """Keys and values, in order of insertion."""
        return self.values.items()

    def change(self, key: Any, value: Any, due: int | None) -> None:
        """Write past the log; None deletes."""
        if value is None:
            super().delete(key)
        else:
            super().put(key, value, due)

    def changed(self) -> list[tuple[Key, Any | None]]:
        """The dirty entries as the changelog has them: with their path, None for deleted."""
        path, value, at = self.path, self.values.get, self.at
        whole = len(path) == 1
        if at:
            found = [(key, _timed(value(key), at.get(key))) for key in self.dirty]
        else:
            found = [(key, value(key)) for key in self.dirty]
        if whole:
            return [((*path, *key), content) for key, content in found]
        return [((*path, key), content) for key, content in found]


_Written = tuple[LoggedTable, Any, Any, int | None]
"""What was there before a write: table, key, value, due."""


def _timed(value: Any, due: int | None) -> Any:
    return value if due is None else Timed(value, due)


class Scope(MemoryStore):
    """A step's own part of the state."""

    def __init__(self, name: str, log: Callable[[_Written], None]) -> None:
        self.name, self._log = name, log
        self._plain: dict[str, LoggedTable] = {}
        super().__init__()

    def _table(self) -> Table:
        return LoggedTable((self.name,), self._log)

    def table(self, name: str) -> LoggedTable:
        """A plain mapping from str, bytes or int to values: the quickest form of state."""
        found = self._plain.get(name)
        if found is None:
            found = self._plain[name] = LoggedTable((self.name, PLAIN, name), self._log)
        return found

    def tables(self) -> Iterator[LoggedTable]:
        """All tables."""
        yield from self._plain.values()
        yield from self._tables.values()  # type: ignore[misc]

    def load(self, key: Key, value: Any | None, due: int | None) -> None:
        """Take over one entry of the changelog."""
        if key[0] == PLAIN:
            self.table(str(key[1])).change(key[2], value, due)
        else:
            self._tables[key[0]].change(key, value, due)  # type: ignore[attr-defined]

    def touch(self, key: Key) -> None:
        """An entry is to be written at the next checkpoint."""
        if key[0] == PLAIN:
            self.table(str(key[1])).dirty[key[2]] = None
        else:
            self._tables[key[0]].dirty[key] = None  # type: ignore[attr-defined]

    def dump(self) -> dict[Key, Any]:
        """All entries; one of a plain table is at (table, key)."""
        plain = {(n, k): v for n, table in self._plain.items() for k, v in table.items()}
        return super().dump() | plain

    def __len__(self) -> int:
        return super().__len__() + sum(map(len, self._plain.values()))


class TaskStore:
    """The scopes of a task, the undo log of the batch and the dirty entries for the checkpoint."""

    def __init__(self) -> None:
        self._scopes: dict[str, Scope] = {}
        self._log: list[_Written] = []

    def scope(self, name: str) -> Scope:
        """The part of a step."""
        found = self._scopes.get(name)
        if found is None:
            found = self._scopes[name] = Scope(name, self._log.append)
        return found

    def settle(self) -> None:
        """What was written stays: forget how to undo it."""
        for table, key, _, _ in self._log:
            table.dirty[key] = None
        self._log.clear()

    def undo(self) -> None:
        """Put back everything since the last ``settle``."""
        for table, key, old, due in reversed(self._log):
            table.change(key, old, due)
        self._log.clear()

    def _tables(self) -> Iterator[LoggedTable]:
        for scope in self._scopes.values():
            yield from scope.tables()

    @property
    def dirty(self) -> bool:
        """Whether entries changed since the last ``take_changes``."""
        return bool(self._log) or any(table.dirty for table in self._tables())

    def take_changes(self) -> list[tuple[Key, Any | None]]:
        """The entries changed since the last call, with their present value (None: deleted)."""
        self.settle()
        changes: list[tuple[Key, Any | None]] = []
        for table in self._tables():
            if table.dirty:
                changes += table.changed()
                table.dirty = {}
        return changes

    def put_back(self, changes: list[tuple[Key, Any | None]]) -> None:
        """A checkpoint failed: these entries are still to be written."""
        for key, _ in changes:
            self.scope(str(key[0])).touch(key[1:])

    def load(self, key: Key, content: Any | None) -> None:
        """Take over one entry of the changelog."""
        value, due = content if type(content) is Timed else (content, None)
        self.scope(str(key[0])).load(key[1:], value, due)

    def __len__(self) -> int:
        return sum(map(len, self._scopes.values()))


def scoped(store: TaskStore, scope: str) -> Store:
    """The view of ``store`` that step ``scope`` gets."""
    return store.scope(scope)
