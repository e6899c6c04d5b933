"""What all tests have: generated examples without a time limit, and a Kafka where it is needed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from streams.broker import BrokerError, EmbeddedBroker

settings.register_profile(
    "streams", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("streams")
"""No test is about time: a busy machine may take as long as it takes."""


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """The address of an embedded broker of this test run; its topics are up to the tests."""
    broker = EmbeddedBroker()
    try:
        bootstrap = broker.start()
    except BrokerError as error:
        pytest.skip(f"no embedded Kafka here: {error}")
    yield bootstrap
    broker.stop()
