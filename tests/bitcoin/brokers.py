"""A real broker with all topics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from streams.agents.pipeline import topology
from streams.broker import BrokerError, EmbeddedBroker
from streams.config import Config
from streams.engine.settings import settings_of
from streams.ops.admin import Admin


@contextmanager
def with_topics(running: EmbeddedBroker) -> Iterator[EmbeddedBroker]:
    """Start a broker and create all topics; the test is skipped where none can run."""
    try:
        running.start()
    except BrokerError as error:
        pytest.skip(f"no embedded Kafka here: {error}")
    with running:
        config = Config()
        Admin(settings_of(config, running.bootstrap)).apply(topology(config))
        yield running
