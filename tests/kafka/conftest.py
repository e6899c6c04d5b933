"""Fixtures of the tests on a real Kafka: one broker, and an application for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streams.broker import BrokerError, EmbeddedBroker
from tests.kafka.world import DEMO, NetSets, World, story_of, undisturbed

WorldMaker = Callable[..., World]


@pytest.fixture(scope="session")
def broker() -> Iterator[EmbeddedBroker]:
    """One real broker, which lets sessions be short so that a dead worker is noticed soon."""
    running = EmbeddedBroker(extra={"group.min.session.timeout.ms": "1000"})
    try:
        running.start()
    except BrokerError as error:
        pytest.skip(f"no embedded Kafka here: {error}")
    with running:
        yield running


@pytest.fixture(scope="session")
def demo_sets() -> NetSets:
    """The net sets of the demo's recording, undisturbed."""
    return undisturbed(DEMO)


@pytest.fixture
def world(broker: EmbeddedBroker, tmp_path: Path) -> Iterator[World]:
    """An application with fresh topics and the settings of the demo's recording."""
    made = World(broker.bootstrap, tmp_path, story_of(DEMO))
    made.fresh_topics()
    yield made
    made.close()
