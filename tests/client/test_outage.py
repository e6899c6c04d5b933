"""A broker that is killed and comes back: programs wait, and go on."""

from __future__ import annotations

import logging

import pytest

from streams import topics
from streams.broker import BrokerError, EmbeddedBroker
from streams.client import Consumer, Producer
from tests.client.place import Place, label


def test_an_outage_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is lost or doubled: what was sent during the outage arrives, and is read, after it.

    broker      up ........ killed ......... up
    sent        0           1                2
    read        0           (logged)         1 2
    """
    try:
        broker = EmbeddedBroker()
        broker.start()
    except BrokerError as error:
        pytest.skip(f"no embedded Kafka here: {error}")
    caplog.set_level(logging.WARNING, "streams.client")
    with broker:
        place = Place(broker.bootstrap)
        place.fresh()
        with (
            Producer(place.bootstrap) as producer,
            Consumer(place.bootstrap, topics.labels) as read,
        ):
            producer.send(label(0), wait=True)
            assert [label(0)] == [record.value for record in read.poll(20, 1)]
            broker.kill()
            producer.send(label(1))
            assert [] == read.poll(3.0)
            assert "Kafka" in caplog.text
            broker.start()
            producer.send(label(2))
            producer.flush()
            found = [record.value for _ in range(2) for record in read.poll(30, 1)]
            assert {label(1).subject, label(2).subject} == {value.subject for value in found}
            assert [] == read.poll(0.5)
