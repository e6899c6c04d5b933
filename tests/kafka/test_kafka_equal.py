"""The topology on Kafka gives what the same topology gives in memory, whoever does the work."""

from __future__ import annotations

from signal import SIGTERM

import pytest

from tests.kafka.world import DEMO, Busy, NetSets, World, until

pytestmark = pytest.mark.kafka


def test_every_derived_topic_has_the_net_set_of_the_driver(
    world: World, demo_sets: NetSets
) -> None:
    """The demo's recording gives the same net sets on Kafka as in memory, topic by topic."""
    world.worker()
    world.play(DEMO).finish()
    world.settle()
    assert {"alerts", "payments.decisions", "ml.models"} <= {t for t, s in demo_sets.items() if s}
    world.check_exact(demo_sets)


@pytest.mark.parametrize("world", [6], indirect=True)
def test_workers_share_partitions_and_a_third_comes_and_goes(world: World, busy: Busy) -> None:
    """Started by either command, workers share partitions; what comes and goes changes nothing.

    ::

        faust worker    |------------------------------------>
        streams worker  |------------------------------------>
        third worker              |-------------| SIGTERM
        input              |----------------------------|
    """
    first, second = world.faust_worker(), world.worker()
    until("both have partitions", lambda: world.shared_by(2))
    for worker in (first, second):
        until("it owns tasks and their state", lambda w=worker: w.said("task_recovered"))
    player = world.play(busy.recording, speed=busy.slow)
    third = world.worker()
    until("three have partitions", lambda: world.shared_by(3))
    until("the third owns tasks", lambda: third.said("task_recovered"))
    assert player.is_alive(), "the third worker came after the input: play for longer"
    assert 0 == third.end(SIGTERM)
    until("two have partitions", lambda: world.shared_by(2))
    player.finish()
    world.settle()
    world.check_exact(busy.sets)
