"""The stores that are held to one protocol: how each is made, checkpointed, killed, recovered."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, ClassVar

import pytest

from joins.state import Key, MemoryStore, Store
from streams.engine.changes import Changes
from streams.engine.codec import encode_changes, encode_value
from streams.engine.emit import POSITION
from streams.engine.stores import Scope, TaskStore

Log = list[tuple[bytes, bytes | None] | None]
"""A changelog: records, and None where a transaction ended."""
needs_rocks = pytest.mark.skipif(
    find_spec("rocksdict") is None,
    reason="rocksdict is not installed: pip install 'streams[rocks]'",
)
FEW = 6
"""Entries that a store on disk may remember: less than any test writes."""


class World:
    """A task's store, its changelog, and what may happen to both."""

    kind: ClassVar[str] = "task"

    def __init__(self) -> None:
        self.log: Log = []
        self.lineage: str | None = None
        self.taken: list[Changes] | None = None
        self.store = self.made()
        self.recovered = self.recover()
        """How many records the last recovery read."""

    @property
    def scope(self) -> Scope:
        """A step's part of the store."""
        return self.store.scope("s")

    def made(self) -> TaskStore:
        """A store that holds nothing yet."""
        return TaskStore()

    def recover(self) -> int:
        """Load the changelog, as a task does that begins."""
        start = self.store.begin(lambda: (0, len(self.log)))
        while True:
            after, records = 0, self.log[start:]
            for offset, record in enumerate(records, start):
                if record is not None and record[0] == POSITION:
                    after = offset + 1
                elif record is not None:
                    self.store.replay(*record)
            if self.store.stand(after, self.lineage if after else None):
                return sum(record is not None for record in records)
            start = 0

    def take(self) -> None:
        """A checkpoint begins: its content is taken, and encoded."""
        self.taken = self.store.take_changes()
        self.written: Log = [r for changes in self.taken for r in encode_changes(changes)]

    def commit(self) -> None:
        """Its transaction is committed; the store has not heard of it."""
        self.lineage = self.store.lineage
        self.log += [*self.written, (POSITION, encode_value({"lineage": self.lineage})), None]

    def keep(self) -> None:
        """The store writes what was committed; the batches have not heard of it."""
        assert self.taken is not None
        self.store.keep(self.taken)

    def kept(self) -> None:
        """The checkpoint is over."""
        self.store.kept()
        self.taken = None

    def fail(self) -> None:
        """The checkpoint failed."""
        assert self.taken is not None
        self.store.put_back(self.taken)
        self.taken = None

    def checkpoint(self) -> None:
        """A whole checkpoint."""
        self.take()
        self.commit()
        self.keep()
        self.kept()

    def restart(self, how: str = "") -> int:
        """Go on with a new store; returns how many records of the changelog it read."""
        self.store.close()
        self.store, self.taken = self.made(), None
        return self.recover()

    def close(self) -> None:
        """Leave nothing behind."""
        self.store.close()


class RocksWorld(World):
    """The same on disk."""

    kind = "rocks"

    def __init__(self, recent: int = FEW) -> None:
        self.home, self.numbers, self.recent = Path(mkdtemp(prefix="stores-")), count(), recent
        self.folder = self.home / "0"
        super().__init__()

    def made(self, identity: str = "app/sub/0 of 1") -> TaskStore:
        from streams.engine.rocks import RocksTaskStore  # noqa: PLC0415

        return RocksTaskStore(self.folder, identity, self.recent)

    def restart(self, how: str = "killed") -> int:
        """``killed``: as its files are; ``closed``: in order; ``deleted``: without its folder."""
        if how == "killed":
            self.store._disk._db.cancel_all_background(True)  # type: ignore[attr-defined]
            folder = self.home / str(next(self.numbers) + 1)
            shutil.copytree(self.folder, folder)
            self.folder = folder
        self.store.close()
        if how == "deleted":
            shutil.rmtree(self.folder)
        self.store, self.taken = self.made(), None
        return self.recover()

    def close(self) -> None:
        self.store.close()
        shutil.rmtree(self.home)


WORLDS = [World, pytest.param(RocksWorld, marks=needs_rocks)]


@pytest.fixture(params=WORLDS, ids=["task", "rocks"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A world of each store that a task can have."""
    made = request.param()
    yield made
    made.close()


@pytest.fixture(params=[MemoryStore, *WORLDS], ids=["memory", "task", "rocks"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """Each store, to a step."""
    made = request.param()
    yield made.scope if isinstance(made, World) else made
    if isinstance(made, World):
        made.close()


def content(scope: Any) -> dict[Key, Any]:
    """All entries of a store."""
    return dict(scope.scan(()))
