"""Our partitioner is Kafka's: vectors of Kafka's own tests, and librdkafka as the referee."""

from __future__ import annotations

import random
from typing import Any

import pytest
from confluent_kafka import Producer

from streams.engine.murmur2 import murmur2, partition_of

VECTORS = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}
"""org.apache.kafka.common.utils.UtilsTest#testMurmur2."""


@pytest.mark.parametrize(("data", "expected"), VECTORS.items())
def test_hash_equals_the_vectors_of_kafkas_tests(data: bytes, expected: int) -> None:
    """Signed 32-bit, as Java prints it."""
    assert expected == (murmur2(data) ^ (1 << 31)) - (1 << 31)


def test_partition_equals_librdkafkas_choice() -> None:
    """What steps write without naming a partition lands where the driver puts it."""
    producer = Producer(
        {"test.mock.num.brokers": 1, "partitioner": "murmur2_random", "log_level": 0}
    )
    dice, chosen = random.Random(7), dict[bytes, int]()

    def note(error: Any, message: Any) -> None:
        assert error is None
        chosen[message.key()] = message.partition()

    keys = [dice.randbytes(dice.randint(1, 70)) for _ in range(500)]
    for key in keys:
        producer.produce("t", b"", key, on_delivery=note)
    assert 0 == producer.flush(20)
    partitions = len(producer.list_topics("t").topics["t"].partitions)
    assert {key: partition_of(key, partitions) for key in keys} == chosen
