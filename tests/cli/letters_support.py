"""Letters as the engine and strangers write them, and what an independent consumer sees."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import count
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.engine.guard import Letter, dead_letter, reader_headers
from streams.testing import Record

Header = tuple[str, bytes | None]
_numbers = count()


class Seen(NamedTuple):
    """A record as any client sees it."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: list[Header]


class Letters:
    """A broker's letters: writes them, makes topics, reads with a client of its own."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.admin = AdminClient({"bootstrap.servers": bootstrap})
        self.producer = Producer({"bootstrap.servers": bootstrap, "message.max.bytes": 17 << 20})

    def topic(self, partitions: int = 3, **settings: str) -> str:
        """A topic of its own."""
        name = f"t{next(_numbers)}.{time.monotonic_ns()}"
        settings = {"retention.ms": "-1", **settings}  # the records of the tests are old
        future = self.admin.create_topics([NewTopic(name, partitions, 1, config=settings)])[name]
        future.result(30)
        deadline = time.monotonic() + 30
        while name not in self.admin.list_topics(timeout=10).topics:
            assert time.monotonic() < deadline
        return name

    def step(self) -> str:
        """A step that no other test knows."""
        return f"step{next(_numbers)}-{time.monotonic_ns()}"

    def dead(
        self, step: str, topic: str, number: int, key: bytes | None = b"key",
        value: bytes | None = b"\x00value\xff", own: Sequence[Header] = (("own", b"x"),),
        **more: Any,
    ) -> None:  # fmt: skip
        """A dead letter as a task writes it."""
        place = (topic, more.get("partition", 1), number)
        origin = Record(place, key, value, list(own), 1_700_000_000_000 + number)  # type: ignore[arg-type]
        reader = reader_headers("dl", more["reader"], 2) if "reader" in more else []
        cause = more.get("cause", "step_failed")
        self.letter("dead_letters", dead_letter(origin, step, cause, f"detail {number}", reader))

    def letter(self, topic: str, letter: Letter, partition: int = 0) -> None:
        """Any letter."""
        self.raw(topic, letter.key, letter.value, letter.headers, partition)

    def raw(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Sequence[Header],
        partition: int = 0,
    ) -> None:  # fmt: skip
        """Any record."""
        self.producer.produce(topic, value, key, partition, headers=list(headers))  # type: ignore[arg-type]

    def flush(self) -> None:
        """Until the broker has all."""
        assert 0 == self.producer.flush(30)

    def seen(self, topic: str) -> list[Seen]:
        """All committed records of a topic, by a plain consumer."""
        return [
            Seen(topic, m.partition() or 0, m.key(), m.value(), m.headers() or [])  # type: ignore[arg-type]
            for m in self.messages(topic)
        ]

    def messages(self, topic: str) -> list[Message]:
        """The same as the consumer gives them, up to the end of the log, markers included."""
        options: dict[str, Any] = {
            "bootstrap.servers": self.bootstrap, "group.id": "independent",
            "enable.partition.eof": True, "receive.message.max.bytes": 80 << 20,
        }  # fmt: skip
        reader = Consumer({**options, "isolation.level": "read_committed"})
        ends = Consumer({**options, "isolation.level": "read_uncommitted"})
        partitions = reader.list_topics(topic, timeout=10).topics[topic].partitions
        places = [TopicPartition(topic, p, 0) for p in partitions]
        left = {p.partition: ends.get_watermark_offsets(p, timeout=30)[1] for p in places}
        reader.assign(places)
        found, deadline = [], time.monotonic() + 60
        while left:
            assert time.monotonic() < deadline, f"{topic} has no end: {left}"
            for message in reader.consume(1000, 1.0):
                error, number, offset = message.error(), message.partition(), message.offset() or 0
                if error is None:
                    found.append(message)
                elif error.code() == KafkaError._PARTITION_EOF and offset >= left.get(number, 0):
                    left.pop(number, None)
        reader.close()
        ends.close()
        return found


def own_of(seen: Seen) -> list[Header]:
    """A record's headers without those that redriving adds."""
    return [(n, v) for n, v in seen.headers if not n.startswith("streams-replay-")]


def replays_of(seen: Seen) -> int:
    """How often a record says that it was written back."""
    return int(dict(seen.headers).get("streams-replay-count", b"0") or 0)
