"""Whether records lie in the partition where Kafka's own partitioner puts their key.

What a task joins has to be in one partition number. Our topics, Kafka Streams and every Java client
use murmur2; librdkafka's default is CRC32, and a record of such a producer would never meet its
partners. A sample shows it: a producer does the same to all of its records.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.engine.ends import EARLIEST, Ends
from streams.engine.mover import READ, Place
from streams.engine.murmur2 import murmur2, partition_of
from streams.engine.settings import EngineSettings
from streams.engine.topology import SubTopology
from streams.topics import Topic
from streams.wire.errors import groupless

PARTITIONS, RECORDS = 8, 16
"""At most so many partitions of a topic are looked at, and so many offsets before their ends."""
SECONDS = 5.0
"""What is not read by then is not looked at: a check must not keep anybody from starting."""
ASK_SECONDS = 15.0
TOLERATED = 0.25
"""Of a sample: another partitioner puts at least half of the keys elsewhere, and a record that
somebody put wrong on purpose must not keep a worker from starting."""


class WrongPlace(RuntimeError):
    """An input that is joined has records elsewhere than where their key belongs.

    A start is refused then; a worker that runs says so and goes on: no record may stop it.
    """

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(f"{cause}: {remedy}")
        self.cause, self.remedy = cause, remedy


def joined(subs: Iterable[SubTopology]) -> tuple[Topic, ...]:
    """The inputs in which the place of a key matters and is not our own doing.

    A task with one input may count on its producer alone: a key is in one partition, whichever.
    """
    found: dict[str, Topic] = {}
    for sub in subs:
        keyed = [t for t in sub.inputs if t.by != "any" and not t.broadcast]
        if len(keyed) > 1:
            found |= {t.name: t for t in keyed if t.source or not t.declared}
    return tuple(found.values())


def misplaced(place: Place, key: Any, count: int) -> WrongPlace | None:
    """What is wrong with a record of this key at this place, if anything."""
    raw = key.encode() if isinstance(key, str) else key
    if raw is None or (right := partition_of(raw, count)) == place.partition:
        return None
    text = raw.decode(errors="backslashreplace")[:80]
    return WrongPlace(
        f"{place.topic} has a record with key {text!r} in partition {place.partition}, which "
        f"belongs into {right} (murmur2 {murmur2(raw):#010x}, {count} partitions)",
        "its producer has another partitioner than Kafka's own: librdkafka and what is built on it "
        "need `partitioner=murmur2_random` (Java clients: the default); read what is there by "
        "`streams.repartition`, or set engine.check_partitioner=false if no join needs that topic",
    )


class Partitioner:
    """Whether the producers of a task's inputs use Kafka's own, where that matters."""

    def __init__(self, sub: SubTopology, settings: EngineSettings) -> None:
        looked_at = joined((sub,)) if settings.check_partitioner else ()
        self._counts = {topic.name: settings.count_of(topic) for topic in looked_at}

    def look(self, place: Place, messages: Sequence[Any]) -> WrongPlace | None:
        """One record of each chunk shows it; what is wrong with a topic is said once."""
        if not messages or place.topic not in self._counts:
            return None
        wrong = misplaced(place, messages[0].key(), self._counts[place.topic])
        if wrong is not None:
            del self._counts[place.topic]
        return wrong


def check_places(subs: Iterable[SubTopology], settings: EngineSettings) -> None:
    """Look at the last records of the inputs that are joined; raises WrongPlace, KafkaException."""
    topics = joined(subs) if settings.check_partitioner else ()
    if not topics:
        return
    kafka = {"bootstrap.servers": settings.bootstrap, **settings.kafka, "log_level": 2}
    counts = {topic.name: settings.count_of(topic) for topic in topics}
    places = [Place(name, p) for name, count in counts.items() for p in range(count)[:PARTITIONS]]
    starts = _starts(kafka, places)
    seen: Counter[str] = Counter()
    found: dict[str, list[WrongPlace]] = {}
    for place, key in _sample(kafka, starts):
        seen[place.topic] += 1
        wrong = misplaced(place, key, counts[place.topic])
        if wrong is not None:
            found.setdefault(place.topic, []).append(wrong)
    for name, all_wrong in found.items():
        if len(all_wrong) > TOLERATED * seen[name]:
            raise all_wrong[0]


def _starts(kafka: Mapping[str, Any], places: list[Place]) -> dict[Place, int]:
    """Where to begin to read each partition that has anything."""
    asking = Ends(kafka, committed=True)
    try:
        low = asking.ask(places, ASK_SECONDS, EARLIEST)
        high = asking.ask(places, ASK_SECONDS)
    finally:
        asking.close()
    return {p: max(low[p], high[p] - RECORDS) for p in places if low[p] < high[p]}


def _sample(kafka: Mapping[str, Any], starts: Mapping[Place, int]) -> Iterable[tuple[Place, Any]]:
    """Keys of the records from these offsets to the ends."""
    if not starts:
        return
    consumer = Consumer({**READ, **kafka, "auto.offset.reset": "earliest"})
    try:
        consumer.assign([TopicPartition(*place, offset) for place, offset in starts.items()])
        unread, deadline = set(starts), time.monotonic() + SECONDS
        while unread and time.monotonic() < deadline:
            for message in consumer.consume(500, 0.1):
                place, error = (
                    Place(message.topic() or "", message.partition() or 0),
                    message.error(),
                )
                if error is None:
                    yield place, message.key()
                elif error.code() == KafkaError._PARTITION_EOF:
                    unread.discard(place)
                elif not (error.retriable() or groupless(error)):
                    raise KafkaException(error)
    finally:
        consumer.close()
