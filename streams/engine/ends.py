"""The ends of partitions, all of them in one question a broker.

A consumer that is assigned nothing asks; the ends that a reading consumer keeps are under a lock
that its own thread may hold while it waits for the interpreter, and an event loop would wait for
ever.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.engine.mover import Place

LATEST, EARLIEST = -1, -2
"""As times they ask for the end and for the beginning."""
AGAIN_SECONDS = 0.1
MOVING = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
    }
)
"""A partition has a new leader, or is just being made: the next question is answered."""


class Ends:
    """Asks for ends again and again over one connection."""

    def __init__(self, kafka: Mapping[str, Any], committed: bool = False) -> None:
        level = "read_committed" if committed else "read_uncommitted"
        own = {"group.id": "streams-ends", "enable.auto.commit": False, "log_level": 2}
        soon = {"reconnect.backoff.max.ms": 1000}
        self._consumer = Consumer({**own, **soon, **kafka, "isolation.level": level})

    def ask(self, places: Iterable[Place], timeout: float, what: int = LATEST) -> dict[Place, int]:
        """The end (or the beginning) of each partition.

        ``committed``: the end is before the first transaction still open. Raises KafkaException
        when the broker does not answer in time (s).
        """
        asked = [(place.topic, place.partition, what) for place in places]
        deadline = time.monotonic() + timeout
        while True:
            left = max(AGAIN_SECONDS, deadline - time.monotonic())
            try:
                return self._ask([TopicPartition(*one) for one in asked], left)
            except KafkaException as error:
                if error.args[0].code() not in MOVING or time.monotonic() > deadline:
                    raise
            time.sleep(AGAIN_SECONDS)

    def _ask(self, asked: list[TopicPartition], timeout: float) -> dict[Place, int]:
        found = self._consumer.offsets_for_times(asked, timeout=timeout) if asked else []
        for tp in found:
            if tp.error is not None:
                raise KafkaException(tp.error)
        return {Place(tp.topic, tp.partition): int(tp.offset) for tp in found}

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()
