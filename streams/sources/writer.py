"""Writes a source's events to their topics: transactional, with its watermark and its cursor.

What a source produced and where it stands are one transaction, so a source that is killed goes on
with nothing lost and nothing doubled.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from joins.clock import NEG_INF, POS_INF
from schemas.envelope import Event
from schemas.headers import to_headers
from schemas.wire import Codec
from streams import topics
from streams.engine.checkpoint import Output, Transactions
from streams.engine.guard import letter
from streams.engine.mover import READ
from streams.engine.murmur2 import partition_of
from streams.engine.settings import EngineSettings
from streams.engine.writers import Writer, control_headers
from streams.topics import Topic

_NOTHING = POS_INF
"""Nothing has been declared by this run."""


class SourceWriter:
    """The one writer of a source; its name is its transactional id, so a second one fences it."""

    def __init__(
        self,
        name: str,
        writes: tuple[Topic, ...],
        settings: EngineSettings,
        codec: Codec,
    ) -> None:
        self.name, self.writes, self.settings, self.codec = name, writes, settings, codec
        self.kafka = {"bootstrap.servers": settings.bootstrap, **settings.kafka}
        self.writer = Writer(f"source:{name}", 0, 0, 1)
        self._named = str(self.writer).encode()
        self._said: int | None = _NOTHING
        self._pending: list[Output] = []
        self._sequence = 0
        self.tx = Transactions(self.kafka, f"{settings.application}-source-{name}")
        self.cursor: Any = None

    def open(self) -> Any:
        """Fence an older run, and give its cursor back (None at the first start)."""
        self.tx.fence()
        stored = self._read_cursor()
        if stored is not None:
            self.cursor, self._sequence = stored["cursor"], stored["sequence"]
        else:
            self._declare(NEG_INF)  # recorded before its first write
            self.commit()
        return self.cursor

    def send(self, topic: Topic, event: Event, keep: bool = False) -> None:
        """Add one event to the transaction under way; ``keep`` leaves its envelope as it is."""
        self._sequence += 1
        if not keep:
            event.version = self._sequence
            event.producer = self.writer.step
        value = self.codec.encode(event.type, event.value)
        headers = to_headers(event, self._named)
        self._pending.append(Output(topic.name, event.key.encode(), value, headers))

    def send_raw(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: list[tuple[str, bytes]],
    ) -> None:
        """Add a record as it is, whatever it is."""
        partition = partition_of(key or b"", self.settings.partitions)
        self._pending.append(Output(topic, key, value, headers, partition))

    def dead_letter(self, key: bytes, raw: bytes, cause: str, detail: str, origin: str) -> None:
        """Add what the source could not accept: original bytes, its address as the origin."""
        headers = [
            ("dl.cause", cause.encode()),
            ("dl.step", self.writer.step.encode()),
            ("dl.detail", detail[:1000].encode(errors="replace")),
            ("dl.topic", origin[:500].encode(errors="replace")),
            ("dl.partition", b"0"),
            ("dl.offset", b"0"),
        ]
        content = letter(key, raw, [], headers)
        partition = partition_of(key, self.settings.partitions)
        self._pending.append(
            Output(topics.dead_letters.name, content.key, content.value, content.headers, partition)
        )

    def commit(self, cursor: Any = None, watermark: int | None = None) -> None:
        """Write the transaction: events, cursor, and the watermark that they reach (ms)."""
        if watermark is not None:
            self._declare(watermark)
        if cursor is not None:
            self.cursor = cursor
        content = {"cursor": self.cursor, "sequence": self._sequence}
        place = f"{self.settings.application}/{self.name}".encode()
        body = msgspec.json.encode(content)
        pending = [*self._pending, Output(topics.cursors.name, place, body, None, 0)]
        self.tx.commit(pending)
        self._pending = []

    def idle(self) -> None:
        """Declare that nothing will come for a while: watermarks go on without this source."""
        self._declare(None)
        self.commit()

    def close(self) -> None:
        """Forget the producer."""
        self.tx.close()

    def _declare(self, watermark: int | None) -> None:
        if watermark == self._said and watermark is not None:
            return
        self._said = watermark
        headers = control_headers(self.writer, watermark)
        self._pending += [
            Output(topic.name, None, None, headers, partition)
            for topic in self.writes
            for partition in range(self.settings.partitions)
        ]

    def _read_cursor(self) -> Any:
        place, found = f"{self.settings.application}/{self.name}".encode(), None
        for key, value in read_partition(self.kafka, topics.cursors.name, 0):
            if key == place and value is not None:
                found = msgspec.json.decode(value)
        return found


def read_partition(
    kafka: dict[str, Any], topic: str, partition: int
) -> Iterable[tuple[bytes | None, bytes | None]]:
    """Keys and values of a partition from its beginning to its present end, read committed."""
    consumer = Consumer({**READ, **kafka, "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, partition, 0)])
    try:
        while True:
            for message in consumer.consume(1000, 0.1):
                error = message.error()
                if error is None:
                    yield message.key(), message.value()
                elif error.code() == KafkaError._PARTITION_EOF:
                    return
                else:
                    raise KafkaException(error)
    finally:
        consumer.close()
