"""A broker that answers and stores nothing: a worker stops reading, stays small, and goes on."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from streams.topics import DERIVED
from tests.kafka.world import Busy, Worker, World, until
from tests.ops.asking import metrics, total

pytestmark = pytest.mark.kafka

MOST_PENDING = 10
REFUSES_S = 12.0
LONG_S = 180
QUICKER = 6
PUT_BACK = "streams_checkpoints_put_back_total"
SETTINGS = {
    "STREAMS_ENGINE__MAX_PENDING": str(MOST_PENDING),
    "STREAMS_ENGINE__STALL_MS": "120000",
}
"""Few results may wait; the machine of the tests may be slow."""
MOST_GROWTH = 16 << 20


def memory(worker: Worker) -> int:
    """Resident bytes at this moment."""
    pages = Path(f"/proc/{worker.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def refuse(world: World) -> None:
    """Let the broker take no results and no state: every batch is too large, markers are not."""
    names = [topic.name for topic in DERIVED]
    names += [world.settings.changelog(sub.name) for sub in world.topology.subs]
    for name in names:
        world.alter_topic(name, "max.message.bytes", "100")


def sample(worker: Worker, name: str, **labels: str) -> float:
    """A metric's sum; asked again where a busy machine lets the answer be late."""

    def asked() -> float | None:
        try:
            return total(metrics(worker), name, **labels)
        except TimeoutError:
            return None

    deadline = time.monotonic() + LONG_S
    while (found := asked()) is None:
        assert time.monotonic() < deadline, "it does not answer"
    return found


def paused(worker: Worker) -> float:
    """How many inputs wait because results do."""
    return sample(worker, "streams_input_paused_info", why="max_pending")


def read(worker: Worker) -> float:
    """Records that its tasks have taken."""
    return sample(worker, "streams_records_read_total")


def stands(worker: Worker) -> bool:
    """Whether it takes nothing for two seconds."""
    before = read(worker)
    time.sleep(2)
    return before == read(worker)


def test_a_worker_whose_results_are_refused_stops_reading(world: World, busy: Busy) -> None:
    """What waits is bounded, so is memory; it stays in its group, and in the end all is exact.

    ::

        broker   stores |------- refuses (max.message.bytes) -------| stores
        input    --------------------- all of it, at once ----------------
        worker   works  | reads on until max_pending, then waits   | catches up, exact
        memory                                       |-- the same --|
    """
    worker = world.worker("--health", "127.0.0.1:0", **SETTINGS)
    player = world.play(busy.recording, speed=busy.slow)
    until("it works", lambda: worker.told("task_recovered") and world.works(), LONG_S)
    group = world.members()[0].member_id
    refuse(world)
    until("nothing is written", lambda: sample(worker, PUT_BACK) > 0, LONG_S)
    player.pace.speed = QUICKER * busy.slow
    until("inputs wait", lambda: paused(worker) > 0, LONG_S)
    player.finish(LONG_S)
    until("it reads nothing", lambda: stands(worker), LONG_S)
    taken, before, end, most = read(worker), memory(worker), time.monotonic() + REFUSES_S, 0
    while time.monotonic() < end:
        most = max(most, memory(worker) - before)
        time.sleep(0.2)
    assert (taken, True) == (read(worker), most < MOST_GROWTH), most
    assert (True, True) == (paused(worker) > 0, sample(worker, "streams_lag_records") > 0)
    assert [group] == [member.member_id for member in world.members()]
    world.admin.apply(world.topology)
    world.settle(LONG_S)
    until("it reads again", lambda: paused(worker) == 0)
    assert [group] == [member.member_id for member in world.members()]
    assert read(worker) > taken
    assert 0 == worker.end()
    world.check_exact(busy.sets)
