"""One real broker for the tests of the whole source."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streams.agents.pipeline import topology
from streams.broker import BrokerError, EmbeddedBroker
from streams.config import Config
from streams.engine.settings import settings_of
from streams.ops.admin import Admin


@pytest.fixture(scope="session")
def bootstrap() -> Iterator[str]:
    """The address of a broker with all topics."""
    running = EmbeddedBroker()
    try:
        running.start()
    except BrokerError as error:
        pytest.skip(f"no embedded Kafka here: {error}")
    with running:
        config = Config()
        Admin(settings_of(config, running.bootstrap)).apply(topology(config))
        yield running.bootstrap
