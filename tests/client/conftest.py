"""A broker with our topics, empty for every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streams.broker import BrokerError, EmbeddedBroker
from tests.client.place import Place


@pytest.fixture(scope="package")
def client_broker() -> Iterator[str]:
    """One real broker, which lets sessions be short so that a dead member is noticed soon."""
    broker = EmbeddedBroker(extra={"group.min.session.timeout.ms": "1000"})
    try:
        bootstrap = broker.start()
    except BrokerError as error:
        pytest.skip(f"no embedded Kafka here: {error}")
    yield bootstrap
    broker.stop()


@pytest.fixture
def place(client_broker: str) -> Iterator[Place]:
    """A fresh set of topics."""
    made = Place(client_broker)
    made.fresh()
    yield made
    made.close()
