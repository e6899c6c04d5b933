"""One real broker for the tests of the whole source."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streams.broker import EmbeddedBroker
from tests.bitcoin.brokers import with_topics


@pytest.fixture(scope="session")
def bootstrap() -> Iterator[str]:
    """The address of a broker with all topics."""
    with with_topics(EmbeddedBroker()) as running:
        yield running.bootstrap
