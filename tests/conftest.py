"""A Kafka for all tests that need one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streams.broker import BrokerError, EmbeddedBroker


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
