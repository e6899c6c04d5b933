"""The topology on Kafka gives what the same topology gives in memory."""

from __future__ import annotations

import pytest

from tests.kafka.world import DEMO, NetSets, World

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
