"""Play sources into their topics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from schemas.wire import Codec
from streams import topics
from streams.engine.settings import EngineSettings
from streams.sources.archive import read_blocks
from streams.sources.writer import SourceWriter

Played = Callable[[int], None]
"""Told how many events were written by each transaction."""


def play_archive(
    settings: EngineSettings,
    files: Sequence[Path],
    prevouts: Iterable[Path] = (),
    network: str = "main",
    played: Played = lambda count: None,
) -> int:
    """Write block files to bitcoin.blocks and bitcoin.transactions, one transaction a block.

    Returns the number of events. Blocks that were written before are written again: their ids are
    the same, so they count as duplicates.
    """
    writes = (topics.blocks, topics.transactions)
    writer = SourceWriter(f"archive-{network}", writes, settings, Codec())
    total = 0
    try:
        writer.open()
        for block in read_blocks(files, tuple(prevouts), network):
            writer.send(topics.blocks, block.block)
            for transaction in block.transactions:
                writer.send(topics.transactions, transaction)
            writer.commit({"block": block.block.value.hash}, block.block.ts)
            total += 1 + len(block.transactions)
            played(1 + len(block.transactions))
        writer.idle()
    finally:
        writer.close()
    return total
