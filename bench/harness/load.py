"""Fills topics, and reads them back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from bench.harness.errors import BenchError

Record = tuple[bytes, bytes, int] | tuple[bytes, bytes, int, int]
"""Key, value, partition, and the record's time (ms) where it is not now."""
WAIT_SECONDS = 60

_FAST: dict[str, Any] = {
    "log_level": 2,
    "enable.idempotence": True,
    "linger.ms": 20,
    "batch.size": 1_000_000,
    "batch.num.messages": 10_000,
    "queue.buffering.max.messages": 500_000,
    "queue.buffering.max.kbytes": 1 << 20,
}
_WHOLE: dict[str, Any] = {
    "group.id": "bench-reader",
    "enable.auto.commit": False,
    "auto.offset.reset": "earliest",
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
    "fetch.queue.backoff.ms": 2,
}


def create(bootstrap: str, topic: str, partitions: int) -> None:
    """Create a topic that keeps everything; raises BenchError when it cannot be."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    config = {"retention.ms": "-1", "cleanup.policy": "delete"}
    new = NewTopic(topic, partitions, 1, config=config)
    try:
        admin.create_topics([new])[topic].result(WAIT_SECONDS)
    except KafkaException as error:
        raise BenchError(f"topic {topic} cannot be created", str(error.args[0])) from error


def delete(bootstrap: str, topic: str) -> None:
    """Delete a topic; raises BenchError when it cannot be."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    try:
        admin.delete_topics([topic])[topic].result(WAIT_SECONDS)
    except KafkaException as error:
        raise BenchError(f"topic {topic} cannot be deleted", str(error.args[0])) from error


def fill(bootstrap: str, topic: str, records: Iterable[Record]) -> None:
    """Write records in their order; raises BenchError unless every one of them is stored."""
    producer = Producer({**_FAST, "bootstrap.servers": bootstrap})
    refused: list[KafkaError] = []

    def told(error: KafkaError | None, message: Any) -> None:
        if error is not None:
            refused.append(error)

    for number, record in enumerate(records):
        _produce(producer, topic, record, told)
        if number % 1000 == 0:
            producer.poll(0)
    if producer.flush(WAIT_SECONDS) or refused:
        raise BenchError(f"{topic} was not filled: {refused[:1]}", "look at the broker's log")


def _produce(producer: Producer, topic: str, record: Record, told: Any) -> None:
    key, value, partition, *ts = record
    while True:
        try:
            producer.produce(topic, value, key, partition, on_delivery=told, timestamp=sum(ts))
            return
        except BufferError:
            producer.poll(0.05)


def messages(bootstrap: str, topic: str, partitions: int) -> Iterator[Message]:
    """Every committed record of a topic, from its beginning to its present end."""
    consumer = Consumer({**_WHOLE, "bootstrap.servers": bootstrap})
    consumer.assign([TopicPartition(topic, p, 0) for p in range(partitions)])
    left = partitions
    try:
        while left:
            for message in consumer.consume(5000, 0.2):
                error = message.error()
                if error is None:
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:
                    left -= 1
                else:
                    raise KafkaException(error)
    finally:
        consumer.close()


def count_keys(bootstrap: str, topic: str, partitions: int) -> dict[str, int]:
    """How many records of each key a topic has: the truth that contenders are checked against."""
    found = Counter(message.key() for message in messages(bootstrap, topic, partitions))
    return {(key or b"").decode(): count for key, count in found.items()}
