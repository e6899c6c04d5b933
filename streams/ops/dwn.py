"""DWN servers into web5.records: batches of messages, each with the positions behind them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Annotated, Any

import msgspec

from schemas.wire import Codec
from streams import topics
from streams.engine.settings import EngineSettings
from streams.ops.taken import until_taken
from streams.sources.dwn import DwnSource
from streams.sources.dwn_tenant import DwnItem
from streams.sources.errors import SourceError, unreadable
from streams.sources.writer import SourceWriter

MOST = 200
"""Messages a Kafka transaction."""
MOST_BYTES = 8 << 20
LINGER_S = 0.02
"""How long a transaction waits for one more message."""
BROKER_PATIENCE_S = 300
"""How long a transaction that the broker refuses is tried again."""


async def run_dwn(
    settings: EngineSettings,
    name: str,
    make: Callable[[dict[str, str]], DwnSource],
    wrote: Callable[[int], None] = lambda count: None,
    codec: Codec | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Write the messages of tenants; ``make`` gets the stored cursors. Raises SourceError.

    The cursor of each log is kept by its name (server, tenant, protocol), in the transaction that
    holds the messages before it. Ends with the source, or once ``stop`` is set. ``name`` is what it
    writes as (``sources.names``).
    """
    stop = stop or asyncio.Event()
    writer = SourceWriter(name, (topics.records,), settings, codec or Codec(), stop.is_set)
    try:
        stored = await asyncio.to_thread(writer.open)
        cursors = {place: raw.decode(errors="replace") for place, raw in writer.kept.items()}
        writer.kept = {}
        source = make(cursors)
        time_ = DeclaredTime(settings, source.places, stored or {})
        batches = _batches(source.items(), settings.idle_timeout_ms / 1000, stop)
        async for batch in batches:
            await asyncio.to_thread(_write, writer, time_, batch, stop.is_set)
            wrote(sum(1 for item in batch if item.event or item.refused))
        if not stop.is_set():
            await asyncio.to_thread(_idle, writer, stop.is_set)
    except SourceError:  # it has ended: nobody waits for what it refused
        await asyncio.to_thread(_idle, writer, stop.is_set)
        raise
    finally:
        writer.close()


_Ms = Annotated[int, msgspec.Meta(gt=-(10**15), lt=10**15)]


class Said(msgspec.Struct, frozen=True):
    """What an earlier run stored of its time."""

    newest: _Ms | None = None
    declared: _Ms | None = None


class DeclaredTime:
    """The watermark of a DWN source, which is the word of many authors.

    It follows the greatest message time, less the configured lateness: a DWN does not hand messages
    out in the order of their own times. Nothing is declared while a log has not been read to its
    end once, or its server is away; a tenant that was given up holds up nobody. What comes below
    the declared time nevertheless is a correction (SEMANTICS 1).
    """

    def __init__(
        self, settings: EngineSettings, places: dict[str, tuple[str, ...]], stored: dict[str, Any]
    ) -> None:
        self._lateness_ms, self._places = settings.lateness_ms, places
        self._behind = {place for of in places.values() for place in of}
        try:
            said = msgspec.convert(stored, Said)
        except ValueError as error:
            raise unreadable(error) from error
        self._newest, self.declared = said.newest, said.declared
        self._idle = False

    def falls_idle(self) -> bool:
        """Whether a silence means that there is nothing to come; True once until something does."""
        was, self._idle = self._idle, self._idle or not self._behind
        return self._idle and not was

    def take(self, item: DwnItem) -> None:
        """Hear of an item; marks its event where it is a correction."""
        event, self._idle = item.event, False
        if event is not None:
            event.correction = self.declared is not None and event.ts < self.declared
            self._newest = max(self._newest or event.ts, event.ts)
        of = {item.place} if item.place else set(self._places.get(item.tenant, ()))
        if item.state == "away":
            self._behind |= of
        elif item.state in ("caught_up", "lost"):
            self._behind -= of

    def declare(self) -> int | None:
        """What may be declared now (ms); None: nothing new."""
        if self._behind or self._newest is None:
            return None
        self.declared = max(self.declared or 0, self._newest - self._lateness_ms)
        return self.declared

    def cursor(self) -> dict[str, int | None]:
        """What a later run must know."""
        return {"newest": self._newest, "declared": self.declared}


def _write(
    writer: SourceWriter, time_: DeclaredTime, batch: list[DwnItem], stop: Callable[[], bool]
) -> None:
    """One transaction; a broker that is away is given a while."""
    if not batch:
        if time_.falls_idle():
            _idle(writer, stop)
        return
    kept: dict[str, bytes | None] = {}
    for item in batch:
        time_.take(item)
        if item.event is not None:
            writer.send(topics.records, item.event)
        elif item.refused is not None:
            bad = item.refused
            origin = f"{bad.origin}#{bad.message_id or ''}"
            writer.dead_letter(item.tenant.encode(), bad.raw, bad.cause, bad.detail, origin)
        if item.cursor is not None:
            kept[item.place] = item.cursor.encode()
    bound = time_.declare()
    write = partial(writer.commit, time_.cursor(), bound, kept)
    until_taken(write, BROKER_PATIENCE_S, stop)


def _idle(writer: SourceWriter, stop: Callable[[], bool]) -> None:
    """Say that nobody need wait for what comes later."""
    until_taken(writer.idle, BROKER_PATIENCE_S, stop)


async def _batches(
    items: AsyncIterator[DwnItem], silence_s: float, stop: asyncio.Event
) -> AsyncIterator[list[DwnItem]]:
    """The items as they come, some at a time; an empty batch when nothing came for a while."""
    queue: asyncio.Queue[DwnItem] = asyncio.Queue(MOST)
    reading = asyncio.create_task(_read(items, queue))
    stopping = asyncio.create_task(stop.wait())
    try:
        while not stopping.done():
            first = await _first(queue, silence_s, reading, stopping)
            if first is not None:
                yield await _more(queue, first)
            elif reading.done():
                await reading
                return
            elif not stopping.done():
                yield []
    finally:
        reading.cancel()
        stopping.cancel()
        await asyncio.gather(reading, stopping, return_exceptions=True)


async def _read(items: AsyncIterator[DwnItem], queue: asyncio.Queue[DwnItem]) -> None:
    async for item in items:
        await queue.put(item)


async def _first(
    queue: asyncio.Queue[DwnItem],
    silence_s: float,
    reading: asyncio.Task[None],
    stopping: asyncio.Task[Any],
) -> DwnItem | None:
    """The next item; None after a silence, at the end, or when it is time to stop."""
    if reading.done():
        return None if queue.empty() else queue.get_nowait()
    getting = asyncio.create_task(queue.get())
    await asyncio.wait(
        {getting, reading, stopping}, timeout=silence_s, return_when=asyncio.FIRST_COMPLETED
    )
    if getting.done():
        return getting.result()
    getting.cancel()
    await asyncio.gather(getting, return_exceptions=True)
    return None if queue.empty() else queue.get_nowait()


async def _more(queue: asyncio.Queue[DwnItem], first: DwnItem) -> list[DwnItem]:
    """An item, and those that follow at once."""
    batch, size = [first], _size(first)
    while len(batch) < MOST and size < MOST_BYTES:
        try:
            async with asyncio.timeout(LINGER_S):
                batch.append(await queue.get())
        except TimeoutError:
            break
        size += _size(batch[-1])
    return batch


def _size(item: DwnItem) -> int:
    if item.refused is not None:
        return len(item.refused.raw)
    value = item.event.value if item.event is not None else None
    return 0 if value is None else len(value.message) + len(value.data or b"")
