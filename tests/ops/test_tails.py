"""The last position record of a changelog, wherever transactions have left it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.cimpl import NewTopic
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.broker import EmbeddedBroker
from streams.engine.codec import encode_value
from streams.engine.emit import POSITION
from streams.engine.mover import Place
from streams.engine.tails import last_positions
from tests.kafka.world import until

pytestmark = pytest.mark.kafka

Write = Callable[[int, int | None, str], None]


class Log:
    """A changelog of one partition, written as checkpoints are, or as crashes leave them."""

    number = 0

    def __init__(self, bootstrap: str) -> None:
        Log.number += 1
        self.name = f"tails-{Log.number}-changelog"
        self.kafka: dict[str, Any] = {"bootstrap.servers": bootstrap, "log_level": 2}
        from confluent_kafka.admin import AdminClient  # noqa: PLC0415

        client = AdminClient(self.kafka)
        client.create_topics([NewTopic(self.name, 1, 1)])[self.name].result(20)
        until("the topic is seen", lambda: self.name in client.list_topics(timeout=10).topics)
        self.producers: list[Producer] = []
        self.expected: dict[Place, Any] = {}

    def checkpoint(self, entries: int, end: str = "commit") -> None:
        """Write entries and a position in a transaction, and end it one way or leave it open."""
        own = {"transactional.id": f"{self.name}-{len(self.producers)}"}
        producer = Producer({**self.kafka, **own})
        producer.init_transactions(20)
        producer.begin_transaction()
        for n in range(entries):
            producer.produce(self.name, b"v", b"k%d" % n, 0)
        position = {"number": len(self.producers)}
        producer.produce(self.name, encode_value(position), POSITION, 0)
        producer.flush(20)
        self.producers.append(producer)
        if end == "commit":
            producer.commit_transaction(20)
            self.expected = {Place(self.name, 0): position}
        elif end == "abort":
            producer.abort_transaction(20)

    def last(self) -> dict[Place, dict[str, Any]]:
        """What the reader finds."""
        return last_positions(self.kafka, {self.name: 1})


@pytest.mark.parametrize("entries", [0, 1, 40, 3000])
@pytest.mark.parametrize("after", [(), ("abort",), ("open",), ("abort", "abort", "open")])
def test_the_last_committed_position_is_found(
    broker: EmbeddedBroker, entries: int, after: tuple[str, ...]
) -> None:
    """Aborted and unfinished checkpoints behind it, of whatever size, are passed over.

    ::

        changelog   k k P | k k k P | k P aborted | k k k ... open
        position                  ^
    """
    log = Log(broker.bootstrap)
    assert {} == log.last()
    log.checkpoint(3)
    log.checkpoint(5)
    for end in after:
        log.checkpoint(entries, end)
    assert (log.expected, {"number": 1}) == (log.last(), log.last()[Place(log.name, 0)])


@settings(max_examples=8, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 80), st.sampled_from(["commit", "abort"])), max_size=5))
def test_any_history_gives_its_last_commit(
    broker: EmbeddedBroker, history: list[tuple[int, str]]
) -> None:
    """Whatever was committed and aborted in whatever order, the last committed one is found."""
    log = Log(broker.bootstrap)
    for entries, end in history:
        log.checkpoint(entries, end)
    assert log.expected == log.last()
