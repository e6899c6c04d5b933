"""A broker that answers and stores nothing: a worker stops reading, stays small, and goes on."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from streams.topics import DERIVED
from tests.kafka.world import Busy, Worker, World, until
from tests.ops.asking import health, metrics, total

pytestmark = pytest.mark.kafka

MOST_PENDING = 100
REFUSES_S = 12.0
LONG_S = 180
SETTINGS = {
    "STREAMS_ENGINE__MAX_PENDING": str(MOST_PENDING),
    "STREAMS_ENGINE__STALL_MS": "120000",
}
"""Few results may wait; the machine of the tests may be slow."""
MOST_GROWTH = 64 << 20


def memory(worker: Worker) -> int:
    """Resident bytes at this moment."""
    pages = Path(f"/proc/{worker.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def insist(world: World, replicas: int) -> None:
    """Let the one broker store results and state only where so many have them: with 2, nothing."""
    names = [topic.name for topic in DERIVED]
    names += [world.settings.changelog(sub.name) for sub in world.topology.subs]
    for name in names:
        world.alter_topic(name, "min.insync.replicas", str(replicas))


def paused(worker: Worker) -> float:
    """How many inputs wait because results do."""
    return total(metrics(worker), "streams_input_paused_info", why="max_pending")


def read(worker: Worker) -> float:
    """Records that its tasks have taken."""
    return total(metrics(worker), "streams_records_read_total")


def test_a_worker_whose_results_are_refused_stops_reading(world: World, busy: Busy) -> None:
    """What waits is bounded, so is memory; it stays in its group, and in the end all is exact.

    ::

        broker   stores |--- refuses 12 s (min.insync.replicas) ---| stores
        input    --------------------- all of it, at once ----------------
        worker   works  | reads on until max_pending, then waits   | catches up, exact
    """
    worker = world.worker("--health", "127.0.0.1:0", **SETTINGS)
    player = world.play(busy.recording, speed=busy.slow)
    until("it works", lambda: worker.told("task_recovered") and world.standing.counts(), LONG_S)
    before, group = memory(worker), world.members()[0].member_id
    insist(world, 2)
    player.finish(LONG_S)
    until("it stops reading", lambda: paused(worker) > 0, LONG_S)
    end, most = time.monotonic() + REFUSES_S, 0
    while time.monotonic() < end:
        most = max(most, memory(worker) - before)
        time.sleep(0.2)
    taken = read(worker)
    assert (True, most < MOST_GROWTH) == (worker.process.poll() is None, True), most
    assert 200 == health(worker, "/livez")[0]
    assert [group] == [member.member_id for member in world.members()]
    assert total(metrics(worker), "streams_lag_records") > 0
    insist(world, 1)
    world.settle(LONG_S)
    assert (0.0, [group]) == (paused(worker), [m.member_id for m in world.members()])
    assert read(worker) > taken
    assert 0 == worker.end()
    world.check_exact(busy.sets)
