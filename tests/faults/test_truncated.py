"""A changelog whose beginning was deleted is no state: whoever recovers from it is refused."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.engine.recovery import Reader
from streams.engine.stores import StateLost
from tests.postgres import until

pytestmark = pytest.mark.kafka

TOPIC = "cut-off-changelog"


class Taken:
    """What a reader gave."""

    def __init__(self) -> None:
        self.offsets: list[int] = []

    def take(self, offset: int, key: bytes, body: bytes | None) -> None:
        """Note a record."""
        self.offsets.append(offset)


def offsets(kafka: str, start: int) -> list[int]:
    """What is read of the changelog from an offset on."""
    reader, taken = Reader({"bootstrap.servers": kafka}, TOPIC, 0), Taken()
    found: Any = taken
    try:
        assert reader.read(found, start, lambda: True)
    finally:
        reader.close()
    return taken.offsets


def test_a_changelog_without_its_beginning_is_refused(kafka: str) -> None:
    """From where there still is something it is read; from before that, nobody goes on.

    ::

        offsets  0 1 2 | 3 4 5     deleted up to 3
        read     refused          from 3 on: 3 4 5
    """
    admin = AdminClient({"bootstrap.servers": kafka})
    new = NewTopic(TOPIC, 1, 1, config={"cleanup.policy": "compact,delete"})
    admin.create_topics([new])[TOPIC].result(20)
    until("the topic is there", lambda: TOPIC in admin.list_topics(timeout=10).topics)
    producer = Producer({"bootstrap.servers": kafka})
    for number in range(6):
        producer.produce(TOPIC, b"x", f"k{number}", partition=0)
    assert 0 == producer.flush(20)
    assert [0, 1, 2, 3, 4, 5] == offsets(kafka, 0)
    for future in admin.delete_records([TopicPartition(TOPIC, 0, 3)]).values():
        future.result(20)
    assert [3, 4, 5] == offsets(kafka, 3)
    with pytest.raises(StateLost, match=f"{TOPIC}/0 does not hold offset 0 any more"):
        offsets(kafka, 0)
