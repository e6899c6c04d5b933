"""Live sources into their topics: what a node says, with position and watermark."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from schemas.wire import Codec
from streams import topics
from streams.engine.settings import EngineSettings
from streams.ops.taken import BROKER_PATIENCE_S, until_taken
from streams.sources.bitcoin import BitcoinSource
from streams.sources.bitcoin_position import FORM, Position
from streams.sources.bitcoin_published import PublishedBlocks
from streams.sources.errors import SourceError
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

    Each batch is one transaction with the source's position, so that a run that was killed at any
    point is gone on with: nothing is lost, nothing comes twice. ``make`` gets None, or the height
    to begin with where an early release left a cursor that has nothing but a height. ``name`` is
    what it writes as (``sources.names``).
    """
    codec = codec or Codec()
    writer = SourceWriter(name, BITCOIN_WRITES, settings, codec, stop)
    try:
        cursor = writer.open() or {}
        whole = cursor.get("form") == FORM
        height = None if whole else cursor.get("height")
        source = make(height + 1 if isinstance(height, int) else None)
        source.recall_by(PublishedBlocks(settings, codec).find)
        if whole:
            source.resume(Position(cursor, writer.kept))
        writer.kept = {}
        for batch in source.batches(stop):
            for event in batch.events:
                writer.send(BY_TYPE[event.type], event)
            write = partial(writer.commit, batch.cursor, batch.watermark_ts, batch.kept)
            until_taken(write, BROKER_PATIENCE_S, stop)
            wrote(len(batch.events))
    finally:
        writer.close()


def retire(settings: EngineSettings, name: str) -> None:
    """Declare a source that will not come back idle, so that it no longer holds time back.

    Raises SourceError for one that has never written.
    """
    writer = SourceWriter(name, topics.SOURCES, settings, Codec())
    try:
        if not writer.is_known():
            raise SourceError(
                f"no source {name} has written here",
                "`streams lag` names who holds time back",
            )
        writer.open()
        writer.idle()
    finally:
        writer.close()
