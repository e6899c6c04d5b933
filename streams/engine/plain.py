"""Plain tables: the quickest form of state, in pages on the changelog."""

from __future__ import annotations

from collections import (  # type: ignore[attr-defined]
    Counter,
    _count_elements,  # what a Counter counts with
)
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any
from zlib import crc32

from joins.state import Key
from streams.engine.changes import Changes

FEW = 100
"""Entries of which it is not worth while to lose count."""
PLAIN = ""
"""Marks the keys of plain tables on the changelog: (scope, PLAIN, table, pages, page)."""
PAGE = 16
"""Entries of a plain table that share a record of the changelog, at most on average."""
Page = tuple[int, int]
"""How many pages there are, and the number of this one."""
_Counted = tuple[list[Any], list[Any] | None, int]
"""Keys that were counted, what they had before (None: one less, each time that they are there), and
how many entries there were."""


class PlainTable:
    """A mapping from str, bytes or int to small values: the quickest form of state.

    What a batch sets lies on top until the batch is settled; what it counts is counted in place,
    and noted so that it can be undone. ``None`` is no value. The changelog has pages, each with the
    entries whose keys have one hash, which are written whole: where much changes that is an eighth
    of the records, where little changes it is no more of them.

    >>> from streams.engine.stores import TaskStore
    >>> counts = TaskStore().scope("step").table("counts")
    >>> counts["a"] = counts.get("a", 0) + 1
    >>> counts.count(["a", "c", "a"])
    >>> dict(counts.items()), "b" in counts, len(counts)
    ({'a': 3, 'c': 1}, False, 2)
    """

    __slots__ = ("_base", "_dirty", "_gone", "_log", "_pages", "_top", "_touched", "_whole", "path")
    MOST = 0.7
    """Of the entries: once so many are dirty, the whole table is, and nobody keeps count."""

    def __init__(self, path: Key) -> None:
        self.path = path
        self._base: dict[Any, Any] = {}
        self._top: dict[Any, Any] = {}
        self._log: list[_Counted] = []
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
            return
        base, keys = self._base, list(numbers)
        old = list(map(base.get, keys))
        added = zip(old, numbers.values(), strict=True)
        new = [number if was is None else was + number for was, number in added]
        self._log.append((keys, old, len(base)))
        for key, value in zip(keys, new, strict=True):
            base[key] = value

    def count(self, keys: Iterable[Any]) -> None:
        """Add 1 to the count of each key, as often as it comes: the quickest way to count."""
        if self._top:
            self.add(Counter(keys))
            return
        every, before = list(keys), len(self._base)
        left: Any = iter(every)
        try:
            _count_elements(self._base, left)
        except TypeError:  # of a value that is no number, or what cannot be a key
            del every[-1 - left.__length_hint__() :]
            self._back(every, None, before)
            raise
        self._log.append((every, None, before))

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
        top, log, base = self._top, self._log, self._base
        if not top and not log:
            return
        self._top, self._log = {}, []
        before = log[0][2] if log else len(base)
        base.update(top)
        for key in islice(reversed(base), len(base) - before):  # a dict keeps its order: new ones
            self._pages[self._page(key)].append(key)
        if None in top.values():
            self._remove([key for key, value in top.items() if value is None])
        self._divide()
        if not self._whole:
            self._dirty.update(top, *(keys for keys, _, _ in log))
            self._whole = len(self._dirty) > max(FEW, self.MOST * len(base))

    def undo(self) -> None:
        """Forget what was written since the last ``settle``."""
        self._top = {}
        while self._log:
            self._back(*self._log.pop())

    def _back(self, keys: list[Any], old: list[Any] | None, before: int) -> None:
        base = self._base
        if old is not None:
            base.update(zip(keys, old, strict=True))
        else:
            for key in keys:
                base[key] -= 1
        while len(base) > before:  # a dict keeps its order: the newest go first
            base.popitem()

    def changed(self) -> Changes:
        """The pages of dirty entries, which are clean from now on; deleted ones come first."""
        count, pages, value = len(self._pages), self._pages, self._base.__getitem__
        every = range(count) if self._whole else {*map(self._page, self._dirty), *self._touched}
        found: list[tuple[Any, Any, int | None]] = [(page, None, None) for page in self._gone]
        for number in every:
            keys = pages[number]
            page = dict(zip(keys, map(value, keys), strict=True)) or None
            found.append(((count, number), page, None))
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
