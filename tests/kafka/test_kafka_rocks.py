"""State on local disk: killed, robbed, damaged, handed over; always the results of memory."""

from __future__ import annotations

import shutil
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest

from tests.engine.stores import needs_rocks
from tests.kafka.world import DEMO, NetSets, Worker, World, until

pytestmark = [pytest.mark.kafka, needs_rocks]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The folder of the workers' state."""
    return tmp_path / "state"


@pytest.fixture
def settings(state: Path) -> dict[str, str]:
    """What makes a worker keep its state there."""
    return {"STREAMS_ENGINE__STORE": "rocks", "STREAMS_ENGINE__STATE_DIR": str(state)}


def databases(state: Path) -> list[Path]:
    """The folders of the tasks."""
    return sorted(path.parent for path in state.glob("*/*/*/CURRENT"))


def recovered(world: World, worker: Worker) -> dict[str, Any]:
    """The facts of the recovery of every task, once all of them work."""
    tasks = len(world.topology.subs) * world.settings.partitions

    def all_of_them() -> dict[str, Any]:
        worker.said("")
        told = worker.told("task_recovered")
        found = {f"{facts['sub_topology']}/{facts['partition']}": facts for facts in told}
        return found if len(found) == tasks else {}

    found: dict[str, Any] = until("every task stands", all_of_them)
    return found


def test_a_killed_worker_reads_only_the_rest_of_its_changelogs(
    world: World, demo_sets: NetSets, settings: dict[str, str]
) -> None:
    """Killed between a commit and the disk, and by time: what is read again is a checkpoint's.

    ::

        worker   |---x after a commit  |---------|x kill -9      |------| SIGTERM   |---
        input      |---------------------------------------------|
        read     nothing               the rest                  the rest           1 record
    """
    first = world.doomed_worker("after", 20, **settings)
    player = world.play(DEMO)
    assert -SIGKILL == first.process.wait(60)
    second = world.worker(**settings)
    some = recovered(world, second)
    player.finish()
    world.settle()
    second.end(SIGKILL)
    third = world.worker(**settings)
    rest = recovered(world, third)
    assert [] == second.told("state_rebuilt") + third.told("state_rebuilt")
    written = {name: facts["entries"] for name, facts in rest.items()}
    assert sum(f["replayed"] for f in rest.values()) < sum(written.values()) / 4, (some, rest)
    world.settle()
    assert 0 == third.end()
    fourth = world.worker(**settings)
    last = recovered(world, fourth).values()
    assert {1} == {facts["replayed"] for facts in last if facts["entries"]}
    world.check_exact(demo_sets)


def test_a_folder_that_is_gone_or_damaged_is_built_again(
    world: World, demo_sets: NetSets, settings: dict[str, str], state: Path
) -> None:
    """Every other task's folder is deleted, the files of the others are damaged: all the same.

    ::

        worker   |--------|x kill -9    folders: gone, damaged    |--------->
        input      |---------------------------------------------------|
    """
    first = world.worker(**settings)
    player = world.play(DEMO)
    until("it has written", world.standing.counts)
    first.end(SIGKILL)
    folders = databases(state)
    assert folders
    for number, folder in enumerate(folders):
        if number % 2:
            shutil.rmtree(folder)
        else:
            for path in folder.glob("*.log"):
                path.write_bytes(b"\0damaged" * 100)
            (folder / "CURRENT").write_bytes(b"damaged")
    second = world.worker(**settings)
    entries = recovered(world, second)
    player.finish()
    world.settle()
    assert second.told("state_rebuilt"), entries
    world.check_exact(demo_sets)


def test_tasks_that_move_take_their_folders_along(
    world: World, demo_sets: NetSets, settings: dict[str, str], state: Path
) -> None:
    """On one machine a task's new owner opens what the old one closed; nobody has two folders.

    ::

        first    |-------------------------| SIGTERM
        second          |------------------------------->
        input      |------------------------------|
    """
    first = world.worker(**settings)
    player = world.play(DEMO)
    until("it works", world.standing.counts)
    second = world.worker(**settings)
    until("they share", lambda: world.shared_by(2))
    until("the second works", lambda: second.said("task_recovered"))
    assert 0 == first.end()
    player.finish()
    world.settle()
    names = {folder.name for folder in databases(state)}
    assert names <= set(map(str, range(world.settings.partitions)))
    world.check_exact(demo_sets)
