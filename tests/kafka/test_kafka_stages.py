"""A real worker that comes to grief at a stage of a checkpoint leaves no trace of it."""

from __future__ import annotations

from signal import SIGKILL

import pytest

from tests.kafka.world import Busy, Worker, World, until

pytestmark = pytest.mark.kafka


def test_a_worker_that_is_told_where_to_die_dies_there(world: World, busy: Busy) -> None:
    """One dies in a transaction, one behind its commit, one while it starts; a fourth finishes.

    ::

        worker  |---x before:commit  |--x after:commit  |x before:seek  |---------->
        input   |-------------------------------|
    """
    player = world.play(busy.recording, speed=busy.slow)
    faults = ("kill@before:commit#20", "kill@after:commit#10", "kill@before:seek#2")
    for fault in faults:
        worker = world.worker(STREAMS_TEST_FAULT=fault)
        assert -SIGKILL == worker.process.wait(60)
        assert "THIS WORKER WILL FAIL ON PURPOSE" in worker.log.read_text()
    last = world.worker()
    player.finish()
    world.settle()
    assert 0 == last.end()
    world.check_exact(busy.sets)


def test_a_checkpoint_that_fails_is_put_back(world: World, busy: Busy) -> None:
    """Where Kafka refuses it at four stages, the worker lives, says so, and loses nothing."""
    player = world.play(busy.recording, speed=busy.slow)
    places = ("after:begin", "after:outputs", "before:changelog", "before:commit")
    faults = [f"raise@{place}#{n}" for n, place in enumerate(places, 10)]
    worker = world.worker("--log-format", "json", STREAMS_TEST_FAULT=",".join(faults))
    until("all were put back", lambda: _put_back(worker) >= len(places))
    player.finish()
    world.settle()
    assert 0 == worker.end()
    world.check_exact(busy.sets)


def _put_back(worker: Worker) -> int:
    worker.said("checkpoint_put_back")  # it lives
    return len(worker.told("checkpoint_put_back"))
