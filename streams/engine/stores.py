"""A task's state: a part for each step, undone by the batch, known to the checkpoint by change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple
from zlib import crc32

from joins.state import Dump, Key, MemoryStore, Table
from joins.timeline import Entry

FEW = 100
"""Entries of which it is not worth while to lose count."""
PLAIN = ""
"""Marks the keys of plain tables on the changelog: (scope, PLAIN, table, pages, page)."""
PAGE = 16
"""Entries of a plain table that share a record of the changelog, at most on average."""


Page = tuple[int, int]
"""How many pages there are, and the number of this one."""


class Timed(NamedTuple):
    """A value on the changelog with the event time (ms) that its entry is due at."""

    value: Any
    due: int


class Changes(NamedTuple):
    """What changed in one table, for the changelog."""

    path: Key
    """What stands in front of each key."""
    entries: list[tuple[Any, Any]]
    """Keys with their content, None where deleted."""

    def places(self) -> Iterator[Key]:
        """The keys as the changelog has them."""
        for key, _ in self.entries:
            yield (*self.path, *key)


class PlainTable:
    """A mapping from str, bytes or int to small values: the quickest form of state.

    What a batch writes lies on top until the batch is settled. ``None`` is no value. The changelog
    has pages, each with the entries whose keys have one hash, which are written whole: where much
    changes that is an eighth of the records, where little changes it is no more of them.

    >>> counts = TaskStore().scope("step").table("counts")
    >>> counts["a"] = counts.get("a", 0) + 1
    >>> dict(counts.items()), "b" in counts, len(counts)
    ({'a': 1}, False, 1)
    """

    __slots__ = ("_base", "_dirty", "_gone", "_pages", "_top", "_touched", "_whole", "path")
    MOST = 0.7
    """Of the entries: once so many are dirty, the whole table is, and nobody keeps count."""

    def __init__(self, path: Key) -> None:
        self.path = path
        self._base: dict[Any, Any] = {}
        self._top: dict[Any, Any] = {}
        self._dirty: set[Any] = set()
        self._whole = False
        self._pages: list[list[Any]] = [[]]
        """Which keys each page has; their number is a power of two."""
        self._touched: set[int] = set()
        """Pages to be written beside those of dirty keys."""
        self._gone: dict[Page, None] = {}
        """Pages to be deleted: those of when there were fewer."""

    def get(self, key: Any, default: Any = None) -> Any:
        """The value at ``key``, or ``default``."""
        top = self._top
        found = top[key] if key in top else self._base.get(key)
        return default if found is None else found

    def __getitem__(self, key: Any) -> Any:
        found = self.get(key)
        if found is None:
            raise KeyError(key)
        return found

    def __setitem__(self, key: Any, value: Any) -> None:
        self._top[key] = value

    def __delitem__(self, key: Any) -> None:
        self._top[key] = None

    def update(self, entries: Mapping[Any, Any]) -> None:
        """Set many entries at once."""
        if self._top:
            self._top.update(entries)
        else:
            self._top = dict(entries)

    def add(self, numbers: Mapping[Any, int]) -> None:
        """Add to many counts at once; what is not there counts as 0."""
        if self._top:
            self.update({key: self.get(key, 0) + number for key, number in numbers.items()})
        else:
            get = self._base.get
            self._top = {key: get(key, 0) + number for key, number in numbers.items()}

    def items(self) -> list[tuple[Any, Any]]:
        """Keys and values."""
        both = self._base | self._top if self._top else self._base
        return [(key, value) for key, value in both.items() if value is not None]

    def __contains__(self, key: Any) -> bool:
        return self.get(key) is not None

    def __len__(self) -> int:
        return len(self.items()) if self._top else len(self._base)

    @property
    def dirty(self) -> bool:
        """Whether a settled entry waits for the checkpoint."""
        return self._whole or bool(self._dirty or self._touched or self._gone)

    def settle(self) -> None:
        """What was written stays."""
        top, base = self._top, self._base
        if not top:
            return
        self._top = {}
        before = len(base)
        base.update(top)
        for key in islice(reversed(base), len(base) - before):  # a dict keeps its order: new ones
            self._pages[self._page(key)].append(key)
        if None in top.values():
            self._remove([key for key, value in top.items() if value is None])
        self._divide()
        if not self._whole:
            self._dirty.update(top)
            self._whole = len(self._dirty) > max(FEW, self.MOST * len(base))

    def undo(self) -> None:
        """Forget what was written since the last ``settle``."""
        self._top = {}

    def changed(self) -> Changes:
        """The pages of dirty entries, which are clean from now on; deleted ones come first."""
        count, pages, value = len(self._pages), self._pages, self._base.__getitem__
        every = range(count) if self._whole else {*map(self._page, self._dirty), *self._touched}
        found: list[tuple[Any, Any]] = [(page, None) for page in self._gone]
        for number in every:
            keys = pages[number]
            found.append(((count, number), dict(zip(keys, map(value, keys), strict=True)) or None))
        self._dirty, self._touched, self._gone, self._whole = set(), set(), {}, False
        return Changes(self.path, found)

    def load(self, page: Page, entries: dict[Any, Any] | None) -> None:
        """Take over a page of the changelog; None deletes it."""
        count, number = page
        if count < len(self._pages):  # of before the last division
            return
        if count > len(self._pages):
            self._base.clear()
            self._pages = [[] for _ in range(count)]
        self._remove(self._pages[number])
        self._pages[number] = list(entries or ())
        self._base.update(entries or {})

    def touch(self, page: Page) -> None:
        """The page is to be written, or deleted, at the next checkpoint."""
        count, number = page
        if count == len(self._pages):
            self._touched.add(number)
        else:
            self._gone[page] = None

    def _page(self, key: Any) -> int:
        return crc32(key if type(key) is bytes else repr(key).encode()) & (len(self._pages) - 1)

    def _remove(self, keys: Iterable[Any]) -> None:
        for key in list(keys):
            del self._base[key]
            self._pages[self._page(key)].remove(key)

    def _divide(self) -> None:
        """Make more pages where they have become too long."""
        count = old = len(self._pages)
        while len(self._base) > count * PAGE:
            count *= 2
        if count == old:
            return
        self._gone |= dict.fromkeys((old, number) for number in range(old))
        self._pages, self._whole, self._touched = [[] for _ in range(count)], True, set()
        for key in self._base:
            self._pages[self._page(key)].append(key)


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
        """Set an entry."""
        entry = self.entries.get(key)
        if entry is None:
            entry = Entry(key, value, due)
            self.log((self, entry, None, None))
            self.insert(entry)
        else:
            self.log((self, entry, entry.value, entry.due))
            self.set(entry, value, due)

    def delete(self, key: Any) -> None:
        """Remove an entry if it is there."""
        entry = self.entries.get(key)
        if entry is not None:
            self.log((self, entry, entry.value, entry.due))
            self.remove(entry)

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
        found: list[tuple[Any, Any]] = []
        for entry in dirty:
            entry.dirty = False
            if entry.value is not None:
                entry.logged = True
                due = entry.due
                found.append((entry.key, entry.value if due is None else Timed(entry.value, due)))
            elif entry.logged:
                found.append((entry.key, None))
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

    def load(self, key: Key, content: Any | None) -> None:
        """Take over one entry of the changelog."""
        value, due = content if type(content) is Timed else (content, None)
        self.scope(str(key[0])).load(key[1:], value, due)

    def __len__(self) -> int:
        return sum(map(len, self._scopes.values()))
