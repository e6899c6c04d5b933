"""Workers with names of their own (static membership): a restart is nobody else's business."""

from __future__ import annotations

import pytest

from tests.kafka.world import Busy, Worker, World, until

pytestmark = pytest.mark.kafka

SESSION_MS = 45_000
"""Time to come back: on a machine that others use, too."""


def named(world: World, name: str) -> Worker:
    """A worker of that name; an empty one: as any other."""
    own = {"STREAMS_ENGINE__SESSION_TIMEOUT_MS": str(SESSION_MS)}
    return world.worker("--log-format", "json", STREAMS_ENGINE__INSTANCE_ID=name, **own)


def rebalances(workers: list[Worker]) -> list[int]:
    """How often each of these has been given partitions."""
    return [len(worker.told("assigned")) for worker in workers]


@pytest.mark.parametrize("world", [3], indirect=True)
def test_a_rolling_restart_of_named_workers_disturbs_nobody(world: World, busy: Busy) -> None:
    """The leader of the group and another one are started again; each is given what it had.

    ::

        a (leader)   |--------x  |--------------------------->
        b            |-----------------x  |------------------>
        c            |---------------------------------------->   no rebalance
    """
    player = world.play(busy.recording, speed=busy.slow)
    workers = []
    for count, name in enumerate("abc", 1):
        workers.append(named(world, name))
        until(f"{name} has its part", lambda count=count: world.shared_by(count))
    for number, name in enumerate("ab"):
        until("all work", lambda: all(w.told("task_recovered") for w in workers))
        before, shares = rebalances(workers), sorted(world.shares())
        assert 0 == workers[number].end()
        workers[number] = again = named(world, name)
        until("it has tasks again", lambda again=again: again.told("task_recovered"))
        assert 1 == len(again.told("assigned"))
        others = [n for n in range(3) if n != number]
        assert [before[n] for n in others] == [rebalances(workers)[n] for n in others]
        assert shares == sorted(world.shares())
    player.finish()
    world.settle()
    assert [0, 0, 0] == [worker.end() for worker in workers]
    world.check_exact(busy.sets)
