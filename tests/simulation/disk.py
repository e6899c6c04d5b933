"""A model of a task's database on disk: it outlives a process, not always a machine.

With the interface of ``streams.engine.disk``: the engine's store on disk runs on it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from streams.engine.disk import STAND, Stand
from streams.engine.stores import StateLost

if TYPE_CHECKING:
    from tests.simulation.world import Owner

FULL = "the disk is full"
Rows = dict[bytes, bytes]


class Batch:
    """Writes that come together or not at all."""

    def __init__(self) -> None:
        self.writes: list[tuple[bytes, bytes | None]] = []

    def put(self, key: bytes, value: bytes) -> None:
        self.writes.append((key, value))

    def delete(self, key: bytes) -> None:
        self.writes.append((key, None))


class Folder:
    """What is on a machine under one name: the batches in their order, and who has it open."""

    def __init__(self) -> None:
        self.batches: list[list[tuple[bytes, bytes | None]]] = []
        self.spoilt = False
        self.holder: Owner | None = None

    def rows(self) -> Rows:
        """What all batches amount to."""
        found: Rows = {}
        for key, value in (write for batch in self.batches for write in batch):
            if value is None:
                found.pop(key, None)
            else:
                found[key] = value
        return found

    def tear(self, keep: int) -> None:
        """The machine lost its power: only the first batches were written out."""
        del self.batches[keep:]


class Disk:
    """One database, opened by one owner of a task."""

    def __init__(self, owner: Owner, path: Path, wanted: Callable[[], bool] = lambda: True) -> None:
        self.owner, self.path = owner, path
        self.folder = self._free(0)
        self.rows_, self.keys = self.folder.rows(), list[bytes]()
        self.keys = sorted(self.rows_)

    def _free(self, number: int) -> Folder:
        """The folder, or one beside it while somebody else who lives has it."""
        folders = self.owner.process.machine
        found = folders.setdefault(f"{self.path}-{number}", Folder())
        if found.holder is not None and found.holder is not self.owner and found.holder.alive:
            return self._free(number + 1)
        found.holder = self.owner
        if found.spoilt:
            found.batches, found.spoilt = [], False
        return found

    @property
    def stand(self) -> Stand | None:
        raw = self.rows_.get(STAND)
        return None if raw is None else msgspec.msgpack.decode(raw, type=Stand)

    def get(self, key: bytes) -> bytes | None:
        return self.rows_.get(key)

    def get_all(self, keys: list[bytes]) -> list[bytes | None]:
        return [self.rows_.get(key) for key in keys]

    def rows(self, first: bytes, end: bytes) -> list[tuple[bytes, bytes]]:
        low, high = bisect_left(self.keys, first), bisect_left(self.keys, end)
        return [(key, self.rows_[key]) for key in self.keys[low:high]]

    def between(
        self, first: bytes, end: bytes, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        found = self.rows(first, end)
        return iter(found[::-1] if reverse else found)

    def write(self, batch: Batch, stand: Stand) -> None:
        self.owner.point("write to disk")
        if self.owner.world.plan.rarely("the disk is full"):
            raise StateLost(FULL)
        batch.put(STAND, msgspec.msgpack.encode(stand))
        self.folder.batches.append(batch.writes)
        for key, value in batch.writes:
            if value is None:
                self.rows_.pop(key, None)
            else:
                self.rows_[key] = value
        self.keys = sorted(self.rows_)
        self.owner.note(f"disk: after {stand.after}")

    @property
    def empty(self) -> bool:
        return not self.rows_

    def spoil(self) -> None:
        self.folder.spoilt = True

    def clear(self) -> None:
        self.folder.batches, self.rows_, self.keys = [], {}, []

    def close(self) -> None:
        if self.folder.holder is self.owner:
            self.folder.holder = None
