"""What topics and tables hold: read committed with librdkafka, Avro by fastavro."""

from __future__ import annotations

import asyncio
import calendar
import json
import time
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import fastavro
import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

SCHEMAS = Path(__file__).parents[1] / "schemas.json"
ASK_S = 20
SILENCE_S = 60.0
"""How long a topic may give nothing before its end is reached."""
CARRIES = {"fault.orders": "fault.order.v1", "fault.visits": "fault.visit.v1"}
"""What input topics carry: a value of another type is none."""


class Row(NamedTuple):
    """One record of a topic."""

    topic: str
    partition: int
    offset: int
    key: str
    id: str
    op: str
    ts: int
    correction: bool
    ingest: int
    value: dict[str, Any] | None
    """None: it cannot be decoded."""
    headers: dict[str, bytes]


class Unread(Exception):
    """A topic could not be read to its end, or what is in it not decoded."""


class Topics:
    """Reads topics to their present ends."""

    def __init__(self, bootstrap: str) -> None:
        own = {"group.id": "oracle", "enable.partition.eof": True, "log_level": 2}
        self._consumer = Consumer(
            {
                **own,
                "bootstrap.servers": bootstrap,
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
            }
        )
        self.learn()

    def learn(self) -> None:
        """Know the schemas."""
        known = json.loads(SCHEMAS.read_text())
        self._schemas = {one["id"]: fastavro.parse_schema(one["schema"]) for one in known.values()}
        self._only = {topic: known[name]["id"] for topic, name in CARRIES.items()}

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()

    def each(self, topic: str, partition: int) -> Iterator[Row]:
        """The events of one partition, one after the other."""
        for message in self._read([TopicPartition(topic, partition, 0)]):
            if message.value() is not None or message.key() is not None:
                yield self._row(topic, message)

    def values(self, topic: str, partition: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """Offset and value of the events of one partition: the quickest that there is."""
        for message in self._read([TopicPartition(topic, partition, 0)]):
            body = message.value()
            if body is not None:
                value = self._value(topic, body)
                if value is None:
                    raise Unread(f"{topic} {partition}/{message.offset()} cannot be decoded")
                yield message.offset(), value

    def messages(self, topic: str) -> list[Any]:
        """The committed records of a topic, partition by partition in offset order."""
        return sorted(self._read(self._places(topic)), key=lambda m: (m.partition(), m.offset()))

    def _places(self, topic: str) -> list[TopicPartition]:
        found = self._consumer.list_topics(topic, timeout=ASK_S).topics[topic]
        if found.error is not None:
            raise Unread(f"{topic}: {found.error}")
        return [TopicPartition(topic, partition, 0) for partition in found.partitions]

    def _read(self, places: list[TopicPartition]) -> Iterator[Any]:
        """Committed records up to the present ends."""
        open_ends = {place.partition for place in places}
        self._consumer.assign(places)
        deadline = time.monotonic() + SILENCE_S
        while open_ends:
            for message in self._consumer.consume(5000, 0.2):
                error = message.error()
                if error is None:
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:
                    open_ends.discard(message.partition())
                elif error.fatal():
                    raise KafkaException(error)
                deadline = time.monotonic() + SILENCE_S
            if time.monotonic() > deadline:
                raise Unread(f"{places[0].topic}: the ends of {sorted(open_ends)} were not reached")
        self._consumer.unassign()

    def rows(self, topic: str) -> list[Row]:
        """The records of a topic of events, without those that only tell the time."""
        return [
            self._row(topic, message)
            for message in self.messages(topic)
            if message.value() is not None or message.key() is not None
        ]

    def _row(self, topic: str, message: Any) -> Row:
        found = dict(message.headers() or ())
        id, _, _ = found.get("ce_id", b"").decode().partition(":")
        return Row(
            topic, message.partition(), message.offset(), (message.key() or b"").decode(), id,
            found.get("ce_op", b"assert").decode(), time_of(found.get("ce_time")),
            found.get("ce_correction") == b"true", int(found.get("ce_ingestts", b"0")),
            self._value(topic, message.value()), found,
        )  # fmt: skip

    def _value(self, topic: str, body: bytes | None) -> dict[str, Any] | None:
        if body is None or len(body) < 5 or body[0] != 0:
            return None
        number = int.from_bytes(body[1:5], "big")
        schema = self._schemas.get(number)
        if schema is None or number != self._only.get(topic, number):
            return None
        try:
            found: Any = fastavro.schemaless_reader(BytesIO(body[5:]), schema, None)
        except (EOFError, IndexError, ValueError):
            return None
        return dict(found)

    def entries(self, changelog: str) -> dict[tuple[Any, ...], Any]:
        """The state that a changelog holds: the last value of each key of plain data.

        A key is in one partition only; nothing is kept but what is live.
        """
        bodies = dict[bytes, bytes]()
        for message in self._read(self._places(changelog)):
            key, body = message.key(), message.value()
            if body is None:
                bodies.pop(key, None)
            elif b"\x90" <= key[:1] <= b"\x9f":
                bodies[key] = body
        return {tuple(msgspec.msgpack.decode(key)): plain(body) for key, body in bodies.items()}


def plain(body: bytes) -> Any:
    """A state value where it is plain MessagePack; what is of a class is left as bytes."""
    if body[:1] == b"\xc1":
        return body
    return msgspec.msgpack.decode(body, ext_hook=lambda code, data: bytes(data))


def time_of(text: bytes | None) -> int:
    """Milliseconds of an RFC 3339 text in UTC."""
    if text is None:
        return 0
    moment = text.decode()
    return _second(moment[:19]) * 1000 + int(moment[20:23] or 0)


@lru_cache(4096)
def _second(text: str) -> int:
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%S"))


def table(uri: str, name: str, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """The rows of a live view of the sink."""

    async def run() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(uri, timeout=10)
        try:
            words = ", ".join(f'"{column}"' for column in columns)
            return [tuple(row) for row in await connection.fetch(f"select {words} from {name}")]
        finally:
            await connection.close()

    return asyncio.run(run())


def sizes(uri: str, names: Collection[str]) -> dict[str, int]:
    """How many rows tables have; one that is not there yet has none."""

    async def run() -> dict[str, int]:
        connection = await asyncpg.connect(uri, timeout=10)
        try:
            there = [n for n in names if await connection.fetchval("select to_regclass($1)", n)]
            found = {n: await connection.fetchval(f"select count(*) from {n}") for n in there}
            return dict.fromkeys(names, 0) | found
        finally:
            await connection.close()

    return asyncio.run(run())
