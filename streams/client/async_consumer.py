"""The consumer in asyncio: the same one, its waiting on a thread of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeVar, Unpack, overload

from streams.client.consumer import SLICE_SECONDS, Consumer
from streams.client.errors import BadOption
from streams.client.options import Common, Options
from streams.client.records import Asserted, Malformed, Record, Withdrawn
from streams.client.start import Place
from streams.client.thread import Thread
from streams.topics import Topic

I_co = TypeVar("I_co", covariant=True)
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
BATCH = 500


class AsyncConsumer(Generic[I_co]):
    """``Consumer`` for ``async with`` and ``async for``: the same options, the same rules.

    Records are taken in batches of up to 500. Cancelling a task that waits for the next record
    loses nothing: the record comes with the next request. A record counts as processed when the
    next one is asked for.
    """

    @overload
    def __init__(
        self: AsyncConsumer[Record[A] | Malformed],
        bootstrap: str,
        topic: Topic[A],
        /,
        *,
        malformed: Literal["yield"],
        **options: Unpack[Options],
    ) -> None: ...
    @overload
    def __init__(
        self: AsyncConsumer[Asserted[A] | Withdrawn[A]],
        bootstrap: str,
        topic: Topic[A],
        /,
        *,
        view: Literal["net"],
        confirmations: int | None = ...,
        malformed: Literal["skip"] = ...,
        **options: Unpack[Common],
    ) -> None: ...
    @overload
    def __init__(
        self: AsyncConsumer[Asserted[A] | Withdrawn[A]],
        bootstrap: str,
        topic: Topic[A],
        /,
        *,
        confirmations: int,
        malformed: Literal["skip"] = ...,
        **options: Unpack[Common],
    ) -> None: ...
    @overload
    def __init__(
        self: AsyncConsumer[Record[A]],
        bootstrap: str,
        topic: Topic[A],
        /,
        *,
        malformed: Literal["skip"] = ...,
        **options: Unpack[Options],
    ) -> None: ...
    @overload
    def __init__(
        self: AsyncConsumer[Record[A] | Record[B]],
        bootstrap: str,
        first: Topic[A],
        second: Topic[B],
        /,
        *,
        malformed: Literal["skip"] = ...,
        **options: Unpack[Options],
    ) -> None: ...
    @overload
    def __init__(
        self: AsyncConsumer[Record[A] | Record[B] | Record[C]],
        bootstrap: str,
        first: Topic[A],
        second: Topic[B],
        third: Topic[C],
        /,
        *,
        malformed: Literal["skip"] = ...,
        **options: Unpack[Options],
    ) -> None: ...
    @overload
    def __init__(
        self: AsyncConsumer[Record[Any] | Malformed],
        bootstrap: str,
        /,
        *topics: Topic | str,
        malformed: Literal["yield"],
        **options: Unpack[Options],
    ) -> None: ...
    @overload
    def __init__(
        self: AsyncConsumer[Record[Any]],
        bootstrap: str,
        /,
        *topics: Topic | str,
        malformed: Literal["skip"] = ...,
        **options: Unpack[Options],
    ) -> None: ...

    def __init__(self, bootstrap: str, /, *topics: Topic | str, **options: Any) -> None:
        self._make: Callable[[], Any] = lambda: Consumer(bootstrap, *topics, **options)
        self._thread = Thread("streams-consumer")
        self._made: Consumer[I_co] | None = None
        self._filling: asyncio.Future[bool] | None = None
        """The request under way, perhaps of a waiter that was cancelled."""

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
    def _consumer(self) -> Consumer[I_co]:
        if self._made is None:
            raise BadOption("this consumer is not open", "write: async with AsyncConsumer(...) ...")
        return self._made

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> I_co:
        consumer, asked = self._consumer, time.monotonic()
        while not await self._fill(SLICE_SECONDS, BATCH):
            if consumer._over():
                raise StopAsyncIteration
            consumer._check_progress(asked)
        return consumer._take(1)[0]

    async def poll(self, seconds: float = 1.0, most: int = BATCH) -> list[I_co]:
        """The next records, at most ``most``; empty when none came within ``seconds``."""
        deadline = time.monotonic() + seconds
        while not await self._fill(min(SLICE_SECONDS, deadline - time.monotonic()), most):
            if self._consumer._over() or time.monotonic() >= deadline:
                return []
        return self._consumer._take(most)

    async def _fill(self, seconds: float, most: int) -> bool:
        """What is read for a waiter that was cancelled stays ready for the next one.

        One request at a time: a second one would take what was yielded since for processed, and
        what is being read is not to be looked at.
        """
        consumer = self._consumer
        if self._filling is None:
            if consumer._is_ready():
                return True
            self._filling = self._thread.call(consumer._fill, seconds, most)
        filling = self._filling
        try:
            return await asyncio.shield(filling)
        finally:
            if filling.done():
                self._filling = None

    def stop(self) -> None:
        """End the iteration before its next record."""
        self._consumer.stop()

    async def net(self) -> dict[str, I_co]:
        """With a view: what is true by all that was read so far, by event id."""
        return await self._thread.call(self._consumer.net)

    def watermark(self, topic: Topic | str, partition: int | None = None) -> int | None:
        """As ``Consumer.watermark``."""
        return self._consumer.watermark(topic, partition)

    @property
    def malformed(self) -> int:
        """How many records were no event of their topic."""
        return self._consumer.malformed

    def counts(self) -> dict[str, int]:
        """As ``Consumer.counts``."""
        return self._consumer.counts()

    async def positions(self) -> dict[Place, int]:
        """Where a consumer must ``start`` to go on behind everything that was yielded."""
        return await self._thread.call(self._consumer.positions)

    async def commit(self) -> None:
        """Store in the group that all that was yielded is processed; raises NotCommitted."""
        await self._thread.call(self._consumer.commit)
