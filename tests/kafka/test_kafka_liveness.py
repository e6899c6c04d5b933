"""No worker stays alive and does nothing: whatever fails or hangs in it, the process ends.

It has six seconds here, and 30 by default. Its supervisor starts the next one.
"""

from __future__ import annotations

import time
from signal import SIGCONT, SIGSTOP

import pytest

from streams.broker import EmbeddedBroker
from streams.engine.mover import EXIT_FENCED, EXIT_MOVER, EXIT_STALLED
from tests.kafka.world import DEMO, FAUST_WORKER, Busy, World, until

pytestmark = pytest.mark.kafka

STALL_MS = 6000
ENDS_S = 40
STOPS_S = 12
ENDINGS = {
    "step": (13, "of task by_"),
    "commit": (13, "nothing was checkpointed for"),
    "fence": (13, "nothing was checkpointed for"),
    "timer": (13, "a part of the worker failed: Sabotage("),
    "agent": (13, "a part of the worker failed: Sabotage("),
    "chunk": (13, "nothing was read for"),
    "mover": (4, "reading from Kafka failed: broken on purpose"),
    "group": (13, "a part of the worker failed: Sabotage("),
    "member": (13, "a part of the worker failed: Sabotage("),
}
"""By what fails or hangs: the exit code, and what the last line says."""


def test_a_worker_in_which_something_fails_or_hangs_ends(world: World) -> None:
    """Each part of a worker in turn: it ends, with its exit code and one line that says why."""
    world.play(DEMO)
    for part, (code, words) in ENDINGS.items():
        worker = world.sabotaged_worker(part, STALL_MS)
        found = worker.process.wait(ENDS_S)
        last = worker.log.read_text().splitlines()[-1]
        assert (part, code, True) == (part, found, last.startswith("streams: ")), last
        assert words in last


@pytest.mark.parametrize("part", ["commit", "chunk"])
def test_a_worker_of_fausts_own_command_ends_as_well(world: World, part: str) -> None:
    """``faust -A streams.app worker`` looks at its tasks and inputs as ``streams worker`` does."""
    world.play(DEMO)
    worker = world.sabotaged_worker(part, STALL_MS, "faust", *FAUST_WORKER)
    code, words = ENDINGS[part]
    assert code == worker.process.wait(ENDS_S)
    assert words in worker.log.read_text().splitlines()[-1]


def test_a_worker_that_its_group_does_not_take_ends(world: World) -> None:
    """Brokers refuse a session that is too short: one line, no worker that waits for ever."""
    worker = world.worker(STREAMS_ENGINE__SESSION_TIMEOUT_MS="500")
    assert EXIT_MOVER == worker.process.wait(90)
    last = worker.log.read_text().splitlines()[-1]
    assert last.startswith("streams: the brokers allow no session of 500 ms: set engine.session_")


def test_sigterm_ends_a_worker_whose_broker_is_gone_for_good(
    world: World, busy: Busy, broker: EmbeddedBroker
) -> None:
    """It cannot commit; after ten seconds it ends all the same, and says what becomes of the work.

    ::

        broker   ---------x                       |------------------->
        worker   -----------SIGTERM--10 s--| 13
        another                                      |----- exact ---->
    """
    worker = world.worker()
    player = world.play(busy.recording, speed=busy.slow)
    until("it works", world.works)
    broker.kill()
    began = time.monotonic()
    try:
        assert EXIT_STALLED == worker.end(seconds=ENDS_S)
        assert time.monotonic() - began < STOPS_S
        assert worker.said("it did not stop within 10 s")
    finally:
        broker.start()
    world.worker("--wait", "60")
    player.finish()
    world.settle(120)
    world.check_exact(busy.sets)


def test_a_worker_that_was_halted_gets_its_time_when_it_goes_on(world: World) -> None:
    """A stop of the whole process is no stall: it goes on, or finds that it was replaced.

    ::

        worker   ------SIGSTOP ......... 10 s ......... SIGCONT------>  not 13
    """
    worker = world.sabotaged_worker("nothing", 2 * STALL_MS)
    tasks = len(world.topology.subs) * world.settings.partitions
    until("it works", lambda: len(worker.told("task_recovered")) == tasks)
    worker.process.send_signal(SIGSTOP)
    time.sleep(2.5 * STALL_MS / 1000)
    worker.process.send_signal(SIGCONT)
    time.sleep(STALL_MS / 1000)
    assert worker.process.poll() in (None, EXIT_FENCED)
