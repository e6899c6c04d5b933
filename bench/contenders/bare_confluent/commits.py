"""A bare transactional producer of confluent-kafka: begin, two records a partition, commit.

Settings as those of our checkpoints: lz4, a retry after 10 ms, no delivery reports.
"""

from __future__ import annotations

import time

from confluent_kafka import Producer
from stamps import SETTINGS, Stamps

CONFIG = {
    "bootstrap.servers": SETTINGS["bootstrap"],
    "transactional.id": SETTINGS["name"],
    "linger.ms": 50,
    "retry.backoff.ms": 10,
    "compression.type": "lz4",
    "delivery.report.only.error": True,
}
VALUE = b"x" * 300


def commit(producer: Producer, name: bytes) -> int:
    """One transaction; how long it took, in microseconds."""
    began = time.perf_counter()
    producer.begin_transaction()
    for partition in range(SETTINGS["to_partitions"]):
        producer.produce(SETTINGS["topic"], VALUE, name, partition)
        producer.produce(SETTINGS["topic"], VALUE, name, partition)
    producer.commit_transaction(10)
    return round((time.perf_counter() - began) * 1e6)


def main() -> None:
    stamps, times = Stamps(), dict[str, int]()
    producer = Producer(CONFIG)
    producer.init_transactions(30)
    stamps.begin()
    due = time.perf_counter()
    for number in range(stamps.events):
        time.sleep(max(0.0, due - time.perf_counter()))
        due = max(due, time.perf_counter()) + SETTINGS["interval_ms"] / 1000
        name = f"{number:05d}"
        times[name] = commit(producer, name.encode())
    stamps.end()
    stamps.tell(times)


main()
