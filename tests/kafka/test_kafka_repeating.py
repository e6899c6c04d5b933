"""At least once, for those who ask for it: the same net sets, and repeats only after a crash."""

from __future__ import annotations

from signal import SIGKILL

import pytest

from streams.client import fold
from streams.topics import DERIVED
from tests.kafka.world import DEMO, NetSets, World, differences, until

pytestmark = pytest.mark.kafka


def test_outputs_outside_the_transaction_give_the_same_net_sets(
    world: World, demo_sets: NetSets
) -> None:
    """Undisturbed, at least once is exact too; the worker says at start what it promises."""
    worker = world.worker(STREAMS_ENGINE__DELIVERY="at_least_once")
    until("it says what it promises", lambda: worker.said("at_least_once"))
    world.play(DEMO).finish()
    world.settle()
    world.check_exact(demo_sets)


def test_a_crash_may_repeat_but_loses_nothing(world: World, demo_sets: NetSets) -> None:
    """Killed in the middle and started again, every row of the undisturbed run is there."""
    first = world.worker(STREAMS_ENGINE__DELIVERY="at_least_once")
    player = world.play(DEMO)
    until("it works", lambda: first.said("task_recovered"))
    first.end(SIGKILL)
    world.worker(STREAMS_ENGINE__DELIVERY="at_least_once")
    player.finish()
    world.settle()
    found = {name: fold(reads) for name, reads in world.read_each(DERIVED).items()}
    lost = [
        line
        for topic, rows in demo_sets.items()
        for line in differences(rows, {i: found[topic][i] for i in rows if i in found[topic]})
    ]
    assert lost == []
