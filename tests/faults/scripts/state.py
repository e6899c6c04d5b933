"""Local state that is gone, damaged or full; changelogs that are compacted or cut off."""

from __future__ import annotations

import errno
import os
import random
import resource
import shutil
from pathlib import Path
from signal import SIGKILL

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from tests.faults.arena import CHANGELOG, Arena
from tests.faults.crew import Failed, until
from tests.faults.inputs import PARTITIONS
from tests.faults.smalldisk import SmallDisk

EXIT_STATE = 5
SMALL_BYTES = 200_000
NO_SPACE, TOO_LARGE = map(os.strerror, (errno.ENOSPC, errno.EFBIG))
DEATHS = 3
COMPACTING = {
    "segment.ms": "500",
    "min.cleanable.dirty.ratio": "0.001",
    "max.compaction.lag.ms": "1000",
    "delete.retention.ms": "100",
}
CHANGELOGS = (CHANGELOG, CHANGELOG.replace("by_account", "by_shop"))


def on_disk(arena: Arena) -> None:
    """State in RocksDB, in a folder of the run."""
    arena.environment["STREAMS_ENGINE__STORE"] = "rocks"
    arena.environment["STREAMS_ENGINE__STATE_DIR"] = str(arena.folder / "state")


def on_small_disk(arena: Arena) -> None:
    """The same on a disk of its own that can be filled, where this user may mount one."""
    on_disk(arena)
    disk = SmallDisk(arena.folder / "state", arena.folder)
    arena.undo.callback(disk.close)
    if disk.mounted:
        arena.disk, arena.inside = disk, disk.inside


def databases(arena: Arena) -> list[Path]:
    """The folders of the tasks."""
    return sorted(path.parent for path in (arena.folder / "state").glob("*/*/*/CURRENT"))


def state_gone(arena: Arena) -> None:
    """``kill -9``; of the tasks' folders some are deleted, some damaged, one loses a file."""
    for _ in range(2):
        arena.pause(1, 3)
        old = arena.crew[0].worker
        arena.crew[0].hold.set()
        arena.broke()
        old.process.send_signal(SIGKILL)
        old.process.wait(20)
        for folder in databases(arena):
            _damage(arena, folder)
        arena.crew[0].hold.clear()
        arena.recovered()


def _damage(arena: Arena, folder: Path) -> None:
    way = arena.chance.randrange(4)
    tables = sorted(folder.glob("*.sst"))
    if way == 0:
        shutil.rmtree(folder)
    elif way == 1:
        (folder / "CURRENT").write_bytes(b"damaged")
    elif way == 2 and tables:
        arena.chance.choice(tables).unlink()
    elif way == 3:
        for path in folder.glob("*.log"):
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def disk_full(arena: Arena) -> None:
    """The disk is full: the worker ends loudly, and once there is room the next one goes on.

    Where nobody may mount a disk of its own, a limit of the kernel has its files grow no more.

    ::

        disk     |-----| full     room |------------->
        worker   |--------|x exit 5    |------------->
    """
    arena.pause(2, 4)
    worker, disk = arena.crew[0].worker, arena.disk
    arena.crew[0].hold.set()
    arena.broke()
    if disk is not None:
        disk.fill()
    else:
        resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, (SMALL_BYTES, SMALL_BYTES))
    code = arena.ended(worker)
    if code != EXIT_STATE:
        raise Failed(f"a worker whose disk is full ended with {code}")
    wanted = NO_SPACE if disk is not None else TOO_LARGE
    if wanted not in worker.log.read_text(errors="replace"):
        raise Failed(f"a worker whose disk is full does not say: {wanted}")
    if disk is not None:
        disk.make_room()
    how = "a full tmpfs (ENOSPC)" if disk is not None else "RLIMIT_FSIZE (EFBIG): no tmpfs here"
    arena.outcome.notes.append(f"the disk was made full by {how}")
    arena.crew[0].hold.clear()
    arena.recovered()


def compacted(arena: Arena) -> None:
    """Changelogs are compacted all the time, and workers die with a checkpoint torn.

    What is torn must not take the place of what was committed when the cleaner runs.
    """
    for name in CHANGELOGS:
        entries = [
            ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
            for key, value in COMPACTING.items()
        ]
        _set(arena, name, entries)
    for number in range(1, DEATHS + 1):
        arena.crew[0].await_deaths(number)
        arena.broke()
    arena.recovered()
    until("the cleaner has removed what was first", lambda: _first(arena) > 0)


def _first(arena: Arena) -> int:
    """The offset of the first record of the first changelog."""
    reader = Consumer({"bootstrap.servers": arena.bootstrap, "group.id": "first"})
    reader.assign([TopicPartition(CHANGELOG, 0, 0)])
    message = until("a record", lambda: reader.poll(0.5))
    reader.close()
    return int(message.offset())


def torn(seed: int) -> list[dict[str, str]]:
    """Workers that die with their records in the log, unfinished."""
    chance = random.Random(seed)
    numbers = [chance.randrange(10, 40) for _ in range(DEATHS)]
    return [
        {"STREAMS_TEST_FAULT": f"hang=1@before:commit#{n},kill@before:commit#{n}"} for n in numbers
    ]


def truncated(arena: Arena) -> None:
    """Behind a worker's back the first half of a changelog is deleted; its folder is still there.

    What the folder has need not be read: the next worker goes on from it.
    """
    arena.pause(2, 4)
    old = arena.crew[0].worker
    arena.crew[0].hold.set()
    arena.broke()
    old.process.send_signal(SIGKILL)
    old.process.wait(20)
    _cut_off(arena)
    arena.crew[0].hold.clear()
    arena.recovered()


def truncated_alone(arena: Arena) -> None:
    """The same without a folder: the state is gone for good, and no worker may go on without it."""
    arena.pause(2, 4)
    old = arena.crew[0].worker
    arena.crew[0].hold.set()
    old.process.send_signal(SIGKILL)
    old.process.wait(20)
    _cut_off(arena)
    refused = arena.worker()
    code = arena.ended(refused)
    said = refused.log.read_text()
    if code != EXIT_STATE or "does not hold offset" not in said:
        raise Failed(f"a worker whose changelog was cut off ended with {code}: {said[-500:]}")
    arena.outcome.notes.append("refused with exit code 5, as it must be")


def _cut_off(arena: Arena) -> None:
    """Delete the first half of the records of every changelog."""
    reader = Consumer({"bootstrap.servers": arena.bootstrap, "group.id": "ends"})
    ends = []
    for name in CHANGELOGS:
        for partition in range(PARTITIONS):
            low, high = reader.get_watermark_offsets(TopicPartition(name, partition), timeout=20)
            ends.append(TopicPartition(name, partition, (low + high) // 2))
    reader.close()
    for name in CHANGELOGS:  # what is compacted only cannot be cut off
        _set(arena, name, [_policy("compact,delete")])
    until("records are deleted", lambda: _deleted(arena, ends))
    for name in CHANGELOGS:  # nor is a worker content with anything else
        _set(arena, name, [_policy("compact")])


def _deleted(arena: Arena, ends: list[TopicPartition]) -> bool:
    """Whether records were deleted; the broker hears of a policy a little later than it answers."""
    try:
        for future in arena.admin.delete_records(ends).values():
            future.result(30)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.POLICY_VIOLATION:
            raise
        return False
    return True


def _policy(words: str) -> ConfigEntry:
    return ConfigEntry("cleanup.policy", words, incremental_operation=AlterConfigOpType.SET)


def _set(arena: Arena, topic: str, entries: list[ConfigEntry]) -> None:
    wanted = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    for future in arena.admin.incremental_alter_configs([wanted]).values():
        future.result(20)
