"""The asyncio forms: the same records and promises, and a loop that is never held up."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Coroutine
from typing import Any, get_type_hints

import pytest

from streams import topics
from streams.client import (
    AsyncConsumer,
    AsyncProducer,
    BadOption,
    NotDelivered,
    NoTopic,
    Producer,
    Refused,
)
from streams.client.producer import ProducerOptions
from tests.client.place import Place, alert, label


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run with a limit."""
    asyncio.run(asyncio.wait_for(work, 60))


def test_what_is_sent_is_read(place: Place) -> None:
    """A producer and a consumer in one loop, to the end."""

    async def work() -> None:
        async with AsyncProducer(place.bootstrap, source="test") as producer:
            sent = [await producer.send(label(number)) for number in range(1200)]
            await producer.flush()
        async with AsyncConsumer(place.bootstrap, topics.labels, until="end") as labels:
            found = [record.id async for record in labels]
        assert sorted(sent) == sorted(found)

    run(work())


def test_many_waiting_sends_share_their_way(place: Place) -> None:
    """Five hundred tasks that each wait for the broker take no five hundred waits."""

    async def work() -> None:
        async with AsyncProducer(place.bootstrap) as producer:
            await producer.send(label(0), wait=True)
            began = time.monotonic()
            await asyncio.gather(*(producer.send(label(n), wait=True) for n in range(500)))
            assert time.monotonic() - began < 5.0
            assert {} == producer._producer.sender.under_way

    run(work())


def test_the_loop_goes_on_while_a_consumer_waits(place: Place) -> None:
    """Waiting for a record holds up no other task."""

    async def work() -> None:
        async with AsyncConsumer(place.bootstrap, topics.alerts) as alerts:
            waiting = asyncio.create_task(alerts.poll(1.0))
            ticks = 0
            while not waiting.done():
                await asyncio.sleep(0.01)
                ticks += 1
            assert [] == await waiting and ticks > 20

    run(work())


def test_cancelling_a_wait_loses_nothing(place: Place) -> None:
    """Every record is yielded once, however often the waits for it are cut short."""

    async def work() -> None:
        found: list[str] = []

        def write() -> None:
            for number in range(40):
                place.write(topics.alerts, f"id{number}", alert("x"))

        async with AsyncConsumer(place.bootstrap, topics.alerts) as alerts:
            writing = asyncio.create_task(asyncio.to_thread(write))
            while len(found) < 40:
                try:
                    record = await asyncio.wait_for(anext(alerts), 0.002)
                    found.append(record.id)
                except TimeoutError:
                    continue
            await writing
        assert [f"id{number}" for number in range(40)] == found

    run(work())


def test_a_group_commits_what_was_yielded(place: Place) -> None:
    """What was read ahead and not yielded comes again; so does what an error cut short."""

    async def work() -> None:
        for number in range(5):
            place.write(topics.alerts, f"id{number}", alert("x"), partition=0)
        options: dict[str, Any] = {"group": place.group, "until": "end"}
        async with AsyncConsumer(place.bootstrap, topics.alerts, **options) as alerts:
            assert "id0" == (await anext(alerts)).id
            assert 1 == (await alerts.positions())["alerts", 0]
        with pytest.raises(ZeroDivisionError):
            async with AsyncConsumer(place.bootstrap, topics.alerts, **options) as alerts:
                assert "id1" == (await anext(alerts)).id
                assert "id2" == (await anext(alerts)).id
                _ = 1 / 0
        async with AsyncConsumer(place.bootstrap, topics.alerts, **options) as alerts:
            assert ["id2", "id3", "id4"] == [record.id async for record in alerts]
            await alerts.commit()

    run(work())


def test_a_record_is_not_processed_because_earlier_waits_were_cancelled(place: Place) -> None:
    """Only asking for the next one says that a record is done; waits cut short before do not."""

    async def work() -> None:
        options: dict[str, Any] = {"group": place.group, "commit_seconds": 0.0}
        async with AsyncConsumer(place.bootstrap, topics.alerts, **options) as alerts:
            await asyncio.to_thread(place.write, topics.alerts, "id0", alert("x"), partition=0)
            found: list[str] = []
            while not found:
                try:
                    found.append((await asyncio.wait_for(anext(alerts), 0.002)).id)
                except TimeoutError:
                    continue
            await alerts.positions()  # comes after all that was begun for those waits
            fetch = alerts._consumer._intake.fetch
            place_of_it = (topics.alerts.name, 0)
            known = await alerts._thread.call(fetch.committed, [place_of_it])
            assert 0 == known.get(place_of_it, 0)  # where it began, at most

    run(work())


def test_net_and_watermark(place: Place) -> None:
    """The views and what is known beside the records are those of the plain consumer."""

    async def work() -> None:
        place.write(topics.alerts, "a", alert("x"))
        place.write(topics.alerts, "b", alert("x"))
        place.write(topics.alerts, "a", alert("x"), "retract")
        place.declare(topics.alerts, 9)
        async with AsyncConsumer(place.bootstrap, topics.alerts, view="net", until="end") as alerts:
            assert ["assert", "assert", "retract"] == [record.op async for record in alerts]
            assert {"b"} == set(await alerts.net())
            assert (9, 0) == (alerts.watermark(topics.alerts), alerts.malformed)

    run(work())


def test_a_transaction_is_whole_or_nothing(place: Place) -> None:
    """An error in the block leaves nothing; its end leaves all."""

    async def work() -> None:
        async with AsyncProducer(place.bootstrap, transactional_id="async") as producer:
            with pytest.raises(ZeroDivisionError):
                async with producer.transaction():
                    await producer.send(label(1), wait=True)
                    _ = 1 / 0
            async with producer.transaction():
                await producer.send(label(2))
        async with AsyncConsumer(place.bootstrap, topics.labels, until="end") as labels:
            assert [label(2)] == [record.value async for record in labels]

    run(work())


def test_errors_are_those_of_the_plain_forms(place: Place) -> None:
    """Refused values, missing topics, objects that are not open, records that are too big."""

    async def work() -> None:
        with pytest.raises(NoTopic):
            async with AsyncConsumer(place.bootstrap, "no.such.topic"):
                pass
        with pytest.raises(BadOption, match="async with"):
            await AsyncProducer(place.bootstrap).send(label(1))
        place.shrink(topics.labels, 500)
        async with AsyncProducer(place.bootstrap, kafka={"compression.type": "none"}) as producer:
            with pytest.raises(Refused):
                await producer.send(alert("x"), id="a")
            with pytest.raises(NotDelivered, match="MSG_SIZE_TOO_LARGE"):
                await producer.send(label(1), wait=True, correlation_id="x" * 1000)

    run(work())


def test_the_options_of_both_producers_are_the_same() -> None:
    """What the plain form takes, the asyncio form takes."""
    plain = {n for n in inspect.signature(Producer).parameters if n != "bootstrap"}
    assert plain == set(get_type_hints(ProducerOptions))
