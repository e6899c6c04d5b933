"""The last position record of tasks, read from the ends of their changelogs.

A checkpoint writes its position record last, so the few records before the end hold it, however
long the changelog is.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.engine.codec import decode_value
from streams.engine.emit import POSITION
from streams.engine.ends import EARLIEST, Ends
from streams.engine.mover import READ, Place
from streams.wire.errors import groupless

TIMEOUT_SECONDS = 30.0
FIRST_LOOK = 32
"""Offsets before the end; markers of transactions and aborted records are among them."""
WIDER = 32
"""How many times as far the next look goes back, where a position was not found."""


def last_positions(
    kafka: Mapping[str, Any], changelogs: Mapping[str, int]
) -> dict[Place, dict[str, Any]]:
    """The committed position record of each partition that has one, by the partitions' counts.

    Raises KafkaException when the broker does not answer, or a changelog is not there.
    """
    waiting = [Place(name, p) for name, count in changelogs.items() for p in range(count)]
    ends = _ends(kafka, waiting)
    consumer = Consumer({**READ, **kafka, "auto.offset.reset": "earliest", "log_level": 2})
    try:
        return _look(consumer, ends)
    finally:
        consumer.close()


def _ends(kafka: Mapping[str, Any], places: list[Place]) -> dict[Place, tuple[int, int]]:
    asking = Ends(kafka, committed=True)
    try:
        low = asking.ask(places, TIMEOUT_SECONDS, EARLIEST)
        high = asking.ask(places, TIMEOUT_SECONDS)
        return {place: (low[place], high[place]) for place in places}
    finally:
        asking.close()


def _look(consumer: Consumer, ends: dict[Place, tuple[int, int]]) -> dict[Place, dict[str, Any]]:
    """Look further and further back, until every position is found or all has been read."""
    found: dict[Place, dict[str, Any]] = {}
    waiting = {place: end for place, end in ends.items() if end[0] < end[1]}
    back = FIRST_LOOK
    while waiting:
        starts = {place: max(low, high - back) for place, (low, high) in waiting.items()}
        found.update(_read(consumer, starts))
        waiting = {p: e for p, e in waiting.items() if p not in found and starts[p] > e[0]}
        back *= WIDER
    return found


def _read(consumer: Consumer, starts: dict[Place, int]) -> dict[Place, dict[str, Any]]:
    """The last position record of each partition from these offsets to their committed ends."""
    consumer.assign([TopicPartition(*place, offset) for place, offset in starts.items()])
    unread, last = set(starts), dict[Place, bytes]()
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while unread:
        if time.monotonic() > deadline:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        for message in consumer.consume(1000, 0.1):
            place, error = Place(message.topic() or "", message.partition() or 0), message.error()
            if error is None:
                key, value = message.key(), message.value()
                if key == POSITION and value is not None:
                    last[place] = bytes(value)
            elif error.code() == KafkaError._PARTITION_EOF:
                unread.discard(place)
            elif not (error.retriable() or groupless(error)):
                raise KafkaException(error)
    return {place: decode_value(value) for place, value in last.items()}
