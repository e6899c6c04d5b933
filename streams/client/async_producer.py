"""The producer in asyncio: the same one, its waiting on a thread of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Any, Self, Unpack

from schemas.events import Value
from streams.client.async_consumer import AsyncConsumer
from streams.client.compose import Composed, Envelope
from streams.client.errors import BadOption, ClientError
from streams.client.producer import Producer, ProducerOptions
from streams.client.thread import Thread

POLL_SECONDS = 0.05
FULL_SECONDS = 0.005


class AsyncProducer:
    """``Producer`` for ``async with``: the same arguments, the same rules."""

    def __init__(self, bootstrap: str, **options: Unpack[ProducerOptions]) -> None:
        self._make = lambda: Producer(bootstrap, **options)
        self._thread = Thread("streams-producer")
        self._made: Producer | None = None
        self._poller: asyncio.Task[None] | None = None
        self._told = 0
        """How many events somebody waits for."""

    async def __aenter__(self) -> Self:
        self._made = await self._thread.call(self._make)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._made is not None:
            await asyncio.shield(self._thread.call(self._made.__exit__, kind, error, trace))
        self._thread.end()

    @property
    def _producer(self) -> Producer:
        if self._made is None:
            raise BadOption("this producer is not open", "write: async with AsyncProducer(...) ...")
        return self._made

    async def send(
        self,
        value: Value,
        *,
        ts: int | None = None,
        wait: bool = False,
        **envelope: Unpack[Envelope],
    ) -> str:
        """Assert a value; with ``wait`` the broker has it when this returns the event's id."""
        return await self._send(self._producer._composed(value, ts, "assert", envelope), wait)

    async def withdraw(
        self, value: Value, *, ts: int, wait: bool = False, **envelope: Unpack[Envelope]
    ) -> str:
        """Retract a value that was sent with this ``ts``."""
        return await self._send(self._producer._composed(value, ts, "retract", envelope), wait)

    async def _send(self, record: Composed, wait: bool) -> str:
        sender = self._producer.sender
        places = await self._places(record)
        outcomes = [await self._queue(record, partition, wait) for partition in places]
        sender.librdkafka.poll(0)
        sender.check()
        if wait:
            self._wake()
            for outcome in outcomes:
                await outcome
        return record.id

    async def _places(self, record: Composed) -> tuple[int, ...]:
        sender = self._producer.sender
        if not sender.knows(record.topic.name):
            await self._thread.call(sender.partitions, record.topic.name)
        return sender.places(record.topic)

    async def _queue(self, record: Composed, partition: int, wait: bool) -> asyncio.Future[None]:
        """Queue a record; its outcome comes only where it is waited for."""
        sender, loop = self._producer.sender, asyncio.get_running_loop()
        outcome: asyncio.Future[None] = loop.create_future()

        def told(error: ClientError | None) -> None:
            loop.call_soon_threadsafe(partial(self._outcome, outcome, error))

        deadline = time.monotonic() + sender.timeout
        while sender.queue(record, partition, told if wait else None) is None:
            sender.librdkafka.poll(0)
            await asyncio.sleep(FULL_SECONDS)
            if time.monotonic() > deadline:
                raise sender.too_slow((record.id,))
        self._told += wait
        return outcome

    def _outcome(self, outcome: asyncio.Future[None], error: ClientError | None) -> None:
        self._told -= 1
        if outcome.cancelled():
            return
        if error is None:
            outcome.set_result(None)
        else:
            outcome.set_exception(error)

    def _wake(self) -> None:
        """Serve outcomes for as long as somebody waits for one."""
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._serve())

    async def _serve(self) -> None:
        while self._told > 0:
            await self._thread.call(self._producer.sender.librdkafka.poll, POLL_SECONDS)

    async def flush(self) -> None:
        """Wait until the broker has everything that was sent; raises NotDelivered."""
        await self._thread.call(self._producer.flush)

    @asynccontextmanager
    async def transaction(self, after: AsyncConsumer[Any] | None = None) -> AsyncIterator[None]:
        """As ``Producer.transaction``."""
        group = None if after is None else after._consumer
        scope = self._producer.transaction(group)
        await self._thread.call(scope.__enter__)
        try:
            yield
        except BaseException as error:
            await asyncio.shield(self._thread.call(scope.__exit__, type(error), error, None))
            raise
        await asyncio.shield(self._thread.call(scope.__exit__, None, None, None))
