"""Bare confluent-kafka: ``consume(1000)`` and a dictionary, nothing else.

No state is kept: a crash loses everything. This is what a reader can do at most in Python. Settings
as librdkafka's author advises for throughput: batches by ``consume``, and a fetch queue that is
filled again at once (``fetch.queue.backoff.ms``; its default waits a second).
"""

from __future__ import annotations

from confluent_kafka import Consumer
from stamps import SETTINGS, Stamps

CONFIG = {
    "bootstrap.servers": SETTINGS["bootstrap"],
    "group.id": SETTINGS["name"],
    "auto.offset.reset": "earliest",
    "enable.auto.commit": False,
    "fetch.wait.max.ms": 20,
    "fetch.queue.backoff.ms": 2,
}


def main() -> None:
    stamps, counts, left = Stamps(), dict[bytes | None, int](), SETTINGS["events"]
    consumer = Consumer(CONFIG)
    consumer.subscribe([SETTINGS["topic"]])
    while left:
        messages = consumer.consume(1000, 0.1)
        if messages and not counts:
            stamps.begin()
        for message in messages:
            if message.error():
                raise RuntimeError(message.error())
            key = message.key()
            counts[key] = counts.get(key, 0) + 1
        left -= len(messages)
    stamps.end()
    consumer.close()
    stamps.tell({(key or b"").decode(): count for key, count in counts.items()})


main()
