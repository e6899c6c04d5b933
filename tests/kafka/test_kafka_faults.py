"""Workers that are killed, stopped, frozen: nothing is lost, nothing is doubled."""

from __future__ import annotations

import random
import time
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM

import pytest

from tests.kafka.world import Busy, Worker, World, until

pytestmark = pytest.mark.kafka

EXIT_FENCED = 3
STOP_SECONDS = 10


def test_a_worker_killed_at_five_points_leaves_no_trace(world: World, busy: Busy) -> None:
    """Killed at random times, and before, within and after a commit, the results are exact.

    ::

        worker  |---x  |--x  |----x  |---x  |--x  |--------->
        input     |------------------------------|
    """
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    points = ["before", "within", "after", "time", "time"]
    chance.shuffle(points)
    coming = iter(points)

    def start() -> Worker:
        point = next(coming, None)
        if point in (None, "time"):
            return world.worker()
        return world.doomed_worker(point, chance.randrange(5, 60))

    supervisor = world.supervise(start)
    player = world.play(busy.recording, speed=busy.slow)
    for number, point in enumerate(points):
        worker = supervisor.worker
        if point == "time":
            until("it has begun", lambda w=worker: w.said("assigned"))
            time.sleep(chance.uniform(0, 3))
            worker.process.send_signal(SIGKILL)
        until(f"kill {number} ({point})", lambda n=number: len(supervisor.codes) > n)
        until("the next one runs", lambda w=worker: supervisor.worker is not w)
    player.finish()
    world.settle()
    assert [-SIGKILL] * len(points) == supervisor.codes
    assert 0 == supervisor.stop()
    world.check_exact(busy.sets)


def test_sigterm_stops_a_worker_soon_and_leaves_nothing_to_redo(world: World, busy: Busy) -> None:
    """On SIGTERM a worker finishes what it has begun: every transaction is over when it ends.

    ::

        first worker   |----------| SIGTERM
        second worker             |--------------->| SIGTERM
        input              |----------------|
    """
    first = world.worker()
    player = world.play(busy.recording, speed=busy.slow)
    until("it works", world.works)
    began = time.monotonic()
    assert 0 == first.end(SIGTERM)
    assert time.monotonic() - began < STOP_SECONDS
    assert [] == world.unfinished()
    second = world.worker()
    player.finish()
    world.settle()
    assert 0 == second.end(SIGTERM)
    assert 0 == world.redo()
    world.check_exact(busy.sets)


def test_a_worker_that_was_frozen_is_fenced_and_ends(world: World, busy: Busy) -> None:
    """A worker that wakes up after its partitions went to another one writes nothing any more.

    ::

        first worker   |-----| SIGSTOP              SIGCONT |x exit 3
        second worker           |------------------------------->
        input             |---------------------------|
    """
    first = world.worker()
    player = world.play(busy.recording, speed=busy.slow)
    until("the first works", world.works)
    first.process.send_signal(SIGSTOP)
    second = world.worker()
    until("the second took over", lambda: second.said("task_recovered"))
    first.process.send_signal(SIGCONT)
    assert EXIT_FENCED == first.process.wait(30)
    player.finish()
    world.settle()
    world.check_exact(busy.sets)
