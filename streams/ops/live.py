"""Live sources into their topics: what a node or a DWN says, with cursor and watermark."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from schemas.wire import Codec
from streams import topics
from streams.engine.settings import EngineSettings
from streams.sources.bitcoin import BitcoinSource
from streams.sources.dwn import DwnSource
from streams.sources.dwn_tenant import DwnItem
from streams.sources.writer import SourceWriter
from streams.topics import Topic

BITCOIN_WRITES = (topics.blocks, topics.transactions, topics.mempool)
BY_TYPE: dict[str, Topic] = {t.event_type or "": t for t in topics.SOURCES}


def run_bitcoin(
    settings: EngineSettings,
    name: str,
    make: Callable[[int | None], BitcoinSource],
    stop: Callable[[], bool],
    wrote: Callable[[int], None] = lambda count: None,
    codec: Codec | None = None,
) -> None:
    """Write the batches of a node until ``stop()``; raises SourceError.

    ``make`` gets the height after the last block that an earlier run wrote, None at the first
    start. What is written twice after a crash has the same ids.
    """
    writer = SourceWriter(f"bitcoin-{name}", BITCOIN_WRITES, settings, codec or Codec())
    try:
        cursor = writer.open() or {}
        height = cursor.get("height")
        source = make(None if height is None else int(height) + 1)
        for batch in source.batches(stop):
            for event in batch.events:
                writer.send(BY_TYPE[event.type], event)
            writer.commit(batch.cursor, batch.watermark_ts)
            wrote(len(batch.events))
    finally:
        writer.close()


async def run_dwn(
    settings: EngineSettings,
    name: str,
    make: Callable[[dict[str, str]], DwnSource],
    wrote: Callable[[int], None] = lambda count: None,
    codec: Codec | None = None,
) -> None:
    """Write the messages of tenants; ``make`` gets the stored cursors. Raises SourceError.

    The watermark follows the greatest message time, less the configured lateness: a DWN does not
    hand messages out in the order of their own times. Nothing is declared before every tenant's
    log has been read once to its end, lest a fast tenant's time passes a slow one's backlog.
    """
    writer = SourceWriter(f"dwn-{name}", (topics.records,), settings, codec or Codec())
    try:
        cursors: dict[str, Any] = dict(writer.open() or {})
        newest: int | None = None
        source = make(dict(cursors))
        behind = set(source.dids)
        async for item in _with_silence(source.items(), settings.idle_timeout_ms / 1000):
            if item is None:
                if not behind:
                    writer.idle()
                continue
            if item.event is not None:
                writer.send(topics.records, item.event)
                newest = max(newest or item.event.ts, item.event.ts)
            elif item.refused is not None:
                bad = item.refused
                origin = f"{bad.origin}#{bad.message_id or ''}"
                key = item.tenant.encode()
                writer.dead_letter(key, bad.raw, bad.cause, bad.detail, origin)
            if item.cursor is not None:
                cursors[item.tenant] = item.cursor
            if item.caught_up:
                behind.discard(item.tenant)
            bound = None if newest is None or behind else newest - settings.lateness_ms
            writer.commit(cursors, bound)
            wrote(1)
        writer.idle()
    finally:
        writer.close()


async def _with_silence(
    items: AsyncIterator[DwnItem], seconds: float
) -> AsyncIterator[DwnItem | None]:
    """The items, and one None each time that nothing has come for ``seconds``."""
    while True:
        following = asyncio.ensure_future(anext(items, _END))
        done, _ = await asyncio.wait({following}, timeout=seconds)
        if not done:
            yield None
        item = await following
        if item is _END:
            return
        yield item


_END: Any = object()


def retire(settings: EngineSettings, name: str) -> None:
    """Declare a source that will not come back idle, so that it no longer holds time back."""
    writer = SourceWriter(name, topics.SOURCES, settings, Codec())
    try:
        writer.open()
        writer.idle()
    finally:
        writer.close()
