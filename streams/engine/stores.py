"""A task's state: an ordered store that can undo a batch and knows what a checkpoint must write."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from joins.state import Key, MemoryStore, Store


class TaskStore:
    """Ordered in-memory state with an undo log for the batch and a dirty set for the checkpoint."""

    def __init__(self) -> None:
        self._base = MemoryStore()
        self._undo: list[tuple[Key, Any]] = []
        self._dirty: dict[Key, None] = {}

    def get(self, key: Key) -> Any | None:
        return self._base.get(key)

    def put(self, key: Key, value: Any) -> None:
        self._remember(key)
        self._base.put(key, value)

    def delete(self, key: Key) -> None:
        if self._base.get(key) is not None:
            self._remember(key)
            self._base.delete(key)

    def scan(
        self, prefix: Key, low: Key | None = None, high: Key | None = None, reverse: bool = False
    ) -> Iterator[tuple[Key, Any]]:
        return self._base.scan(prefix, low, high, reverse)

    def _remember(self, key: Key) -> None:
        self._undo.append((key, self._base.get(key)))
        self._dirty[key] = None

    def settle(self) -> None:
        """What was written stays: forget how to undo it."""
        self._undo.clear()

    def undo(self) -> None:
        """Put back everything since the last ``settle``."""
        for key, old in reversed(self._undo):
            if old is None:
                self._base.delete(key)
            else:
                self._base.put(key, old)
        self._undo.clear()

    @property
    def dirty(self) -> bool:
        """Whether entries changed since the last ``take_changes``."""
        return bool(self._dirty)

    def take_changes(self) -> list[tuple[Key, Any | None]]:
        """The entries changed since the last call, with their present value (None: deleted)."""
        changes = [(key, self._base.get(key)) for key in self._dirty]
        self._dirty = {}
        return changes

    def put_back(self, changes: list[tuple[Key, Any | None]]) -> None:
        """A checkpoint failed: these entries are still to be written."""
        self._dirty = {**dict.fromkeys(key for key, _ in changes), **self._dirty}

    def load(self, key: Key, value: Any | None) -> None:
        """Take over one entry of the changelog."""
        if value is None:
            self._base.delete(key)
        else:
            self._base.put(key, value)

    def __len__(self) -> int:
        return len(self._base)


class Scoped:
    """A step's own part of the task's state."""

    def __init__(self, store: TaskStore, scope: str) -> None:
        self._store, self._scope = store, scope

    def get(self, key: Key) -> Any | None:
        return self._store.get((self._scope, *key))

    def put(self, key: Key, value: Any) -> None:
        self._store.put((self._scope, *key), value)

    def delete(self, key: Key) -> None:
        self._store.delete((self._scope, *key))

    def scan(
        self, prefix: Key, low: Key | None = None, high: Key | None = None, reverse: bool = False
    ) -> Iterator[tuple[Key, Any]]:
        for key, value in self._store.scan((self._scope, *prefix), low, high, reverse):
            yield key[1:], value


def scoped(store: TaskStore, scope: str) -> Store:
    """The view of ``store`` that step ``scope`` gets."""
    return Scoped(store, scope)
