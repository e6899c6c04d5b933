"""A task's state: a part for each step, undone by the batch, known to the checkpoint by change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from secrets import token_hex
from typing import Any

from joins.state import Dump, Key, MemoryStore, Table
from joins.timeline import Entry
from streams.engine.changes import Changes, Timed
from streams.engine.codec import decode_key, decode_value
from streams.engine.plain import PLAIN, PlainTable


class StateLost(BaseException):
    """A store failed: no fault of a record, so no guard may take it for one.

    The process ends, and the next one builds the state again from the changelog.
    """


class LoggedTable(Table):
    """The entries of a step with one first part, which tell what was there before each write."""

    __slots__ = ("dirty", "log", "path")

    def __init__(self, path: Key, log: Callable[[_Written], None]) -> None:
        super().__init__()
        self.path, self.log = path, log
        """What stands in front of a key on the changelog."""
        self.dirty: list[Entry] = []
        """Entries that changed since the last checkpoint, in order of change."""

    def put(self, key: Any, value: Any, due: int | None = None) -> None:
        """Set an entry; None deletes it."""
        if value is None:
            self.delete(key)
            return
        entry = self.entries.get(key)
        if entry is None:
            entry = Entry(key, value, due)
            self.log((self, entry, None, None))
            self.insert(entry)
        else:
            self.log((self, entry, entry.value, entry.due))
            self.set(entry, value, due)

    def add(self, key: Any, value: Any, due: int | None = None) -> bool:
        """Set an entry where nothing is; whether there was nothing."""
        entry = Entry(key, value, due)
        if self.entries.setdefault(key, entry) is not entry:
            return False
        self.log((self, entry, None, None))
        self._place(entry)
        return True

    def delete(self, key: Any) -> None:
        """Remove an entry if it is there."""
        entry = self.entries.get(key)
        if entry is not None:
            self.log((self, entry, entry.value, entry.due))
            self.remove(entry)

    def expire(self, before: int) -> None:
        """Remove the entries that are due before a time (ms)."""
        log = self.log
        for entry in self.timeline.take(before):
            if entry.value is not None:
                log((self, entry, entry.value, entry.due))
                self._displace(entry)
                entry.due = None

    def back(self, entry: Entry, value: Any, due: int | None) -> None:
        """Undo a write, past the log: this was the entry's content before it; None: not there."""
        if value is None:
            self.remove(entry)
        elif entry.value is not None:
            self.set(entry, value, due)
        else:
            entry.value, entry.due = value, due
            self.insert(entry)

    def load(self, key: Any, value: Any, due: int | None) -> None:
        """Take over what the changelog has, past the log; None deletes."""
        if value is None:
            super().delete(key)
        else:
            super().put(key, value, due)
            self.entries[key].logged = True

    def changed(self) -> Changes:
        """The dirty entries, which are clean from now on.

        What came and went since the last checkpoint is not among them: no log knows of it.
        """
        dirty, self.dirty = self.dirty, []
        found: list[tuple[Any, Any, int | None]] = []
        for entry in dirty:
            entry.dirty = False
            value = entry.value
            if value is not None:
                entry.logged = True
                found.append((entry.key, value, entry.due))
            elif entry.logged:
                found.append((entry.key, None, None))
        return Changes(self.path, found)

    def touch(self, key: Any) -> None:
        """The entry is to be written, or deleted, at the next checkpoint."""
        entry = self.entries.get(key) or Entry(key, None)
        entry.logged = True
        if not entry.dirty:
            entry.dirty = True
            self.dirty.append(entry)


_Written = tuple[LoggedTable, Entry, Any, int | None]
"""What was there before a write: table, entry, value, due."""


class Scope(MemoryStore):
    """A step's own part of the state."""

    def __init__(self, name: str, log: Callable[[_Written], None]) -> None:
        self.name, self._log = name, log
        self.plain: dict[str, PlainTable] = {}
        self.scratch: dict[Any, Any] = {}
        """What a step hands from one of its inputs to the next; gone after the batch."""
        super().__init__()

    def _table(self) -> Table:
        return LoggedTable((self.name,), self._log)

    def table(self, name: str) -> PlainTable:
        """A plain mapping of the step, by its name."""
        found = self.plain.get(name)
        if found is None:
            found = self.plain[name] = PlainTable((self.name, PLAIN, name))
        return found

    def tables(self) -> Iterator[LoggedTable | PlainTable]:
        """All tables."""
        yield from self.plain.values()
        yield from self._tables.values()  # type: ignore[misc]

    def load(self, key: Key, value: Any | None, due: int | None) -> None:
        """Take over one entry of the changelog."""
        if key[0] == PLAIN:
            self.table(str(key[1])).load((int(key[2]), int(key[3])), value)
        else:
            self._tables[key[0]].load(key, value, due)  # type: ignore[attr-defined]

    def touch(self, key: Key) -> None:
        """An entry is to be written at the next checkpoint."""
        if key[0] == PLAIN:
            self.table(str(key[1])).touch((int(key[2]), int(key[3])))
        else:
            self._tables[key[0]].touch(key)  # type: ignore[attr-defined]

    def dump(self) -> Dump:
        """All entries; one of a plain table is at (table, key)."""
        found = super().dump()
        found.update({(n, k): v for n, table in self.plain.items() for k, v in table.items()})
        return found

    def __len__(self) -> int:
        return super().__len__() + sum(map(len, self.plain.values()))


class TaskStore:
    """The scopes of a task, the undo log of the batch and the dirty entries for the checkpoint."""

    def __init__(self) -> None:
        self._scopes: dict[str, Scope] = {}
        self._log: list[_Written] = []
        self.lineage = ""
        """Names the changelog that this state is of, for as long as that exists."""
        self.why = ""
        """Why a store on disk had to be built again; empty where it had not."""

    def scope(self, name: str) -> Scope:
        """The part of a step."""
        found = self._scopes.get(name)
        if found is None:
            found = self._scopes[name] = Scope(name, self._log.append)
        return found

    def settle(self) -> None:
        """What was written stays: forget how to undo it."""
        for table, entry, _, _ in self._log:
            if not entry.dirty:
                entry.dirty = True
                table.dirty.append(entry)
        self._log.clear()
        for scope in self._scopes.values():
            scope.scratch.clear()
            for plain in scope.plain.values():
                plain.settle()

    def undo(self) -> None:
        """Put back everything since the last ``settle``."""
        for table, entry, old, due in reversed(self._log):
            table.back(entry, old, due)
        self._log.clear()
        for scope in self._scopes.values():
            scope.scratch.clear()
            for plain in scope.plain.values():
                plain.undo()

    def _tables(self) -> Iterator[LoggedTable | PlainTable]:
        for scope in self._scopes.values():
            yield from scope.tables()

    @property
    def dirty(self) -> bool:
        """Whether entries changed since the last ``take_changes``."""
        self.settle()
        return any(table.dirty for table in self._tables())

    def take_changes(self) -> list[Changes]:
        """The entries changed since the last call, with their present value."""
        self.settle()
        return [table.changed() for table in self._tables() if table.dirty]

    def put_back(self, changes: list[Changes]) -> None:
        """A checkpoint failed: these entries are still to be written."""
        for key in (key for change in changes for key in change.places()):
            self.scope(str(key[0])).touch(key[1:])

    # What a store on disk does more --------------------------------------------------------------

    def begin(self, ends: Callable[[], tuple[int, int]]) -> int:
        """From which offset on the changelog is to be loaded; ``ends`` gives its first and end."""
        return 0

    def replay(self, key: bytes, body: bytes | None) -> None:
        """Take over one record of the changelog."""
        self.load(decode_key(key), None if body is None else decode_value(body))

    def load(self, key: Key, content: Any | None) -> None:
        """Take over one entry of the changelog."""
        value, due = content if type(content) is Timed else (content, None)
        self.scope(str(key[0])).load(key[1:], value, due)

    def stand(self, after: int, lineage: str | None) -> bool:
        """The changelog was read to its end: its last position record lies in front of ``after``.

        False: what was held is of another log and gone; read all of it.
        """
        self.lineage = lineage or token_hex(8)
        return True

    def keep(self, changes: list[Changes]) -> None:
        """These changes are committed; called in a thread, while batches go on."""

    def kept(self) -> None:
        """What was committed last is kept; called between batches."""

    def spoil(self) -> None:
        """Have what is kept thrown away at the next start."""

    def close(self) -> None:
        """Let go of what others may open now."""

    def __len__(self) -> int:
        return sum(map(len, self._scopes.values()))
