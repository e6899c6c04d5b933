"""Fixtures of the tests on a real Kafka: one broker, and an application for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from streams.broker import BrokerError, EmbeddedBroker
from streams.sources.recording import read_lines
from tests.kafka.world import DEMO, Busy, NetSets, World, busy_recording, story_of, undisturbed

OUTLASTS_S = 90


@pytest.fixture(scope="package")
def broker() -> Iterator[EmbeddedBroker]:
    """One real broker, which lets sessions be short so that a dead worker is noticed soon."""
    short = {"group.min.session.timeout.ms": "1000", "broker.session.timeout.ms": "20000"}
    running = EmbeddedBroker(extra=short)
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


@pytest.fixture(scope="session")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Busy:
    """Three hundred transactions of a mainnet block, then the demo's recording."""
    made = busy_recording(tmp_path_factory.mktemp("busy") / "busy.ndjson", 300, 8000)
    times = [line.at for line in read_lines(made)]
    return Busy(made, (times[-1] - times[0]) / 1000 / OUTLASTS_S, undisturbed(made))


@pytest.fixture
def world(
    broker: EmbeddedBroker, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[World]:
    """An application with fresh topics and the settings of the demo's recording.

    Its parameter, if there is one, is the partition count.
    """
    config = structs.replace(story_of(DEMO), partitions=getattr(request, "param", 4))
    made = World(broker.bootstrap, tmp_path, config)
    made.fresh_topics()
    yield made
    made.close()
