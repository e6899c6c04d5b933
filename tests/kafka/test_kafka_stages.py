"""A real worker that comes to grief at a stage of a checkpoint leaves no trace of it."""

from __future__ import annotations

import time
from signal import SIGKILL

import pytest

from streams.broker import EmbeddedBroker
from tests.kafka.world import Busy, Worker, World, until

pytestmark = pytest.mark.kafka

AWAY_SECONDS = 30


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


def test_a_transaction_that_times_out_does_not_end_its_worker(world: World, busy: Busy) -> None:
    """The broker aborts it; the worker takes its id again, sees that nobody went on, and goes on.

    ::

        worker       begin, write |......... hangs .........| commit: fenced, retake, put back --->
        transaction               |----- 4 s -----x aborted
    """
    player = world.play(busy.recording, speed=busy.slow)
    worker = world.worker(
        "--log-format", "json",
        STREAMS_ENGINE__TRANSACTION_TIMEOUT_MS="4000",
        STREAMS_TEST_FAULT="hang=20@before:commit#20",
    )  # fmt: skip
    until("it timed out", lambda: worker.said("the transaction timed out"), 150)
    player.finish()
    world.settle()
    assert 0 == worker.end()
    world.check_exact(busy.sets)


def test_a_broker_that_is_away_for_long_ends_no_worker(
    world: World, busy: Busy, broker: EmbeddedBroker
) -> None:
    """Three times as long as a transaction may take, in the middle of one: the worker waits.

    ::

        worker       begin, write |.. hangs ..|........ asks for the commit ........|----->
        broker       ----------------x                                   |---------------->
    """
    world.play(busy.recording).finish(120)
    worker = world.worker("--log-format", "json", STREAMS_TEST_FAULT="hang=4@before:commit#20")
    until("it is in a transaction", lambda: worker.said("hang before commit"))
    broker.kill()
    time.sleep(AWAY_SECONDS)
    broker.start()
    until("it works again", lambda: world.lag() is not None)
    world.settle(120)
    assert 0 == worker.end()
    world.check_exact(busy.sets)


def _put_back(worker: Worker) -> int:
    worker.said("checkpoint_put_back")  # it lives
    return len(worker.told("checkpoint_put_back"))
