"""A program as a user would write it; ``mypy --strict`` checks its types, nothing runs it."""

from __future__ import annotations

from typing import assert_type

from schemas.events import Alert, Label, Score
from streams import topics
from streams.client import (
    Asserted,
    AsyncConsumer,
    AsyncProducer,
    Consumer,
    Malformed,
    Offset,
    Producer,
    Record,
    Withdrawn,
)

BROKER = "localhost:9092"


def alerts() -> list[str]:
    """Typed values without a cast."""
    found = []
    with Consumer(BROKER, topics.alerts, start="beginning", until="end") as consumer:
        for record in consumer:
            assert_type(record, Record[Alert])
            found.append(f"{record.value.severity} {record.value.entity} {record.ts + 1}")
    return found


def scores() -> dict[str, float | None]:
    """The net view: what is true now."""
    with Consumer(BROKER, topics.results, view="net", until="end") as results:
        for change in results:
            if isinstance(change, Withdrawn):
                assert_type(change.value, Score)
                print(change.because)
            else:
                assert_type(change, Asserted[Score])
                assert_type(change.value.score, float | None)
        return {id: record.value.score for id, record in results.net().items()}


def settled() -> int:
    """Only what six blocks bury."""
    with Consumer(BROKER, topics.activity, confirmations=6, until="end") as facts:
        return sum(fact.value.amount_sat for fact in facts if fact.op == "assert")


def several() -> None:
    """Two topics are a union, which isinstance narrows; foreign records are one more case."""
    with Consumer(BROKER, topics.alerts, topics.labels, start=Offset(0), group="app") as both:
        for record in both:
            value = record.value
            assert_type(value, Alert | Label)
            if isinstance(value, Label):
                assert_type(value.illicit, bool)
            both.commit()
    with Consumer(BROKER, topics.alerts, malformed="yield") as consumer:
        for item in consumer:
            if isinstance(item, Malformed):
                print(item.cause, item.raw)
            else:
                assert_type(item.value, Alert)


def produce() -> str:
    """Values in, ids out."""
    with (
        Producer(BROKER, source="labeller", transactional_id="labeller-1") as producer,
        producer.transaction(),
    ):
        return producer.send(Label("00" * 32, True, "labeller"), correlation_id="case 7")


async def asynchronous() -> None:
    """The same in asyncio."""
    async with (
        AsyncConsumer(BROKER, topics.alerts, group="app") as consumer,
        AsyncProducer(BROKER, timeout=5.0) as producer,
    ):
        async for record in consumer:
            assert_type(record.value, Alert)
            sent = await producer.send(Label(record.key, True, "app"), wait=True)
            assert_type(sent, str)
