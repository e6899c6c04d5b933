"""State on local disk: killed, robbed, damaged, handed over; always the results of memory."""

from __future__ import annotations

import shutil
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition

from streams.engine.emit import POSITION
from tests.engine.stores import needs_rocks
from tests.kafka.world import DEMO, NetSets, Worker, World, until

pytestmark = [pytest.mark.kafka, needs_rocks]
Log = list[tuple[int, bytes]]
"""Offset and key of each record of a task's changelog, read committed."""
NEVER_MS = "3600000"


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


def changelogs(world: World) -> dict[str, Log]:
    """The changelog of every task."""
    names = {sub.name: world.settings.changelog(sub.name) for sub in world.topology.subs}
    own = {"group.id": "changelogs", "enable.partition.eof": True}
    committed = {"bootstrap.servers": world.bootstrap, "isolation.level": "read_committed"}
    reader = Consumer({**own, **committed})
    try:
        return {
            f"{sub}/{partition}": whole(reader, TopicPartition(name, partition, 0))
            for sub, name in names.items()
            for partition in range(world.settings.partitions)
        }
    finally:
        reader.close()


def whole(reader: Consumer, place: TopicPartition) -> Log:
    """A partition to its end, of which an error that is no record tells."""
    found: Log = []

    def at_end() -> bool:
        for message in reader.consume(1000, 0.1):
            if message.error() is not None:
                assert KafkaError._PARTITION_EOF == message.error().code(), message.error()
                return True
            found.append((message.offset(), message.key()))
        return False

    reader.assign([place])
    until(f"{place.topic}/{place.partition} is read to its end", at_end)
    return found


def one_checkpoint(log: Log) -> int:
    """How many records a task that was killed reads again at most.

    A checkpoint is on disk before the next one begins, so at most the last one is not, and the
    record to begin with is the position record of the last but one. The disk knows its offset by
    counting records and markers, without what transactions that were aborted took::

        log     e e P . e P . e e e P .     e entry, P position, . marker of a transaction
        read              P   e e e P       5 records
    """
    ends = [number for number, (_, key) in enumerate(log) if key == POSITION]
    if len(ends) < 2:
        return len(log)
    markers = len(ends) - 2
    return sum(offset >= ends[-2] + markers for offset, _ in log)


def test_a_killed_worker_reads_only_the_rest_of_its_changelogs(
    world: World, demo_sets: NetSets, settings: dict[str, str]
) -> None:
    """Killed between a commit and the disk, and by time: what is read again is a checkpoint's.

    The third worker makes no checkpoint while its changelogs are what it read of them.

    ::

        worker   |---x after a commit  |------|x kill -9   |------| SIGTERM   |---
        input      |----------------------|
        read     nothing            a checkpoint   a checkpoint             1 record
    """
    first = world.doomed_worker("after", 20, **settings)
    player = world.play(DEMO)
    assert -SIGKILL == first.process.wait(60)
    second = world.worker(**settings)
    recovered(world, second)
    player.finish()
    world.settle()
    second.end(SIGKILL)
    third = world.worker(**settings, STREAMS_ENGINE__CHECKPOINT_MS=NEVER_MS)
    rest = {task: facts["replayed"] for task, facts in recovered(world, third).items()}
    logs = changelogs(world)
    assert [] == second.told("state_rebuilt") + third.told("state_rebuilt")
    most = {task: one_checkpoint(log) for task, log in logs.items()}
    assert {} == {task: (n, most[task]) for task, n in rest.items() if n > most[task]}
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
    until("it has written", world.works)
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
    until("it works", world.works)
    second = world.worker(**settings)
    until("they share", lambda: world.shared_by(2))
    until("the second works", lambda: second.said("task_recovered"))
    assert 0 == first.end()
    player.finish()
    world.settle()
    names = {folder.name for folder in databases(state)}
    assert names <= set(map(str, range(world.settings.partitions)))
    world.check_exact(demo_sets)
