"""The laws again with state on disk that is killed with its files as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from random import Random
from typing import Any

import pytest
from join_cases import EMITS, MAKERS
from join_deep import DEEP
from join_laws import prove
from test_join_laws import by_chance

from joins import Store

if find_spec("streams.engine.rocks") is None or find_spec("rocksdict") is None:
    pytest.skip("rocksdict is not installed: pip install 'streams[rocks]'", allow_module_level=True)

from tests.engine.stores import RocksWorld

NAMES = list(MAKERS) if DEEP else list(MAKERS)[::4]


class OnDisk:
    """A task's store on disk, with next to nothing of it remembered."""

    def __init__(self, opened: list[RocksWorld]) -> None:
        self.world = RocksWorld(recent=2)
        opened.append(self.world)

    @property
    def store(self) -> Store:
        """Where the join keeps what it remembers."""
        return self.world.scope

    def checkpoint(self) -> None:
        """Write what changed."""
        self.world.store.settle()
        self.world.checkpoint()

    def crash(self) -> None:
        """Nothing is left but the log and the files."""
        self.world.restart("killed")

    def entries(self) -> list[Any]:
        """The keys of all entries."""
        return [key for key, _ in self.store.scan(())]


@pytest.fixture
def on_disk() -> Iterator[Callable[[], Any]]:
    """Makes stores on disk; closes all of them."""
    opened: list[RocksWorld] = []
    yield lambda: OnDisk(opened)
    for world in opened:
        world.close()


@pytest.mark.parametrize("emit", EMITS)
@pytest.mark.parametrize("name", NAMES)
def test_a_join_with_state_on_disk_says_what_its_definition_says(
    name: str, emit: str, on_disk: Any
) -> None:
    """After each arrival, exactly what must be said, through a crash."""
    for seed in range(20 if DEEP else 2):
        case, items, declared, _ = by_chance(name, emit, Random(seed))
        note = f"{name} {emit} seed {seed} on disk"
        prove(note, case, items, declared, len(items) // 2, on_disk)
