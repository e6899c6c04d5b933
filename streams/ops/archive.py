"""An archive of blocks into its topics: transactions of several blocks, each with its position."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

import msgspec
from platformdirs import user_data_path

from schemas.wire import Codec
from streams import topics
from streams.chain.build import BLOCK_TYPE
from streams.engine.settings import EngineSettings
from streams.ops.taken import BROKER_PATIENCE_S, until_taken
from streams.sources.archive import Archive, Portion, Wanted
from streams.sources.names import of_archive
from streams.sources.writer import SourceWriter

MOST_EVENTS = 10_000
"""Events a Kafka transaction, reached by whole blocks."""
MOST_BYTES = 32 << 20
"""Bytes of blocks a Kafka transaction, reached likewise."""
_TOLD = 20


class Watcher(Protocol):
    """Hears how a run goes on."""

    def begins(self, archive: Archive, size: int) -> None:
        """The headers are read; ``size`` bytes of blocks are to be written."""

    def fills(self, blocks: int) -> None:
        """So many earlier blocks were read for their outputs."""

    def wrote(self, size: int, transactions: int, height: int) -> None:
        """A block of ``size`` bytes was handed to Kafka."""


class Summary(msgspec.Struct):
    """What a run did; plain data for ``--json``."""

    network: str
    blocks: int = 0
    """Blocks of the chain that were written."""
    transactions: int = 0
    events: int = 0
    disconnected: int = 0
    """Stale blocks that were written, connected and undone."""
    first: int | None = None
    last: int | None = None
    last_hash: str | None = None
    resumed: str = ""
    missing: list[str] = []
    """Gaps: the first block above each, and the parent that is not there."""
    stale: list[str] = []
    stale_count: int = 0
    repeated: int = 0
    """Blocks that stand in the archive more than once."""
    damaged: list[str] = []
    unknown_prevouts: int = 0
    """Inputs of which nothing knew what they spend."""
    too_deep: list[str] = []
    """Branches that were left out, because nobody could undo them."""
    seconds: float = 0.0


def run_archive(
    settings: EngineSettings,
    paths: Sequence[Path],
    prevouts: Sequence[Path] = (),
    wanted: Wanted | None = None,
    name: str | None = None,
    watcher: Watcher | None = None,
    stop: Callable[[], bool] = lambda: False,
    codec: Codec | None = None,
    table: Path | None = None,
) -> Summary:
    """Write an archive to bitcoin.blocks and bitcoin.transactions; raises SourceError.

    A run that was ended goes on behind the last block that was committed: its position is part of
    the transaction that holds the events. ``table`` is the file of outputs, by default one for the
    application and ``name`` in the user's data folder.
    """
    wanted = wanted or Wanted()
    name = of_archive(wanted.network, name)
    writer = SourceWriter(
        name, (topics.blocks, topics.transactions), settings, codec or Codec(), stop
    )
    try:
        cursor = writer.open()
        table = table or table_path(settings.application, name)
        with (
            _few_collections(),
            closing(Archive(paths, prevouts, wanted, cursor, table)) as archive,
        ):
            run = _Run(writer, archive, watcher, stop)
            run.all()
            return run.summary
    finally:
        writer.close()


def table_path(application: str, name: str) -> Path:
    """Where the outputs of an archive are kept; STREAMS_HOME moves it."""
    base = os.environ.get("STREAMS_HOME")
    home = Path(base).absolute() if base else user_data_path("streams")
    return home / "archive" / f"{application}-{name}.sqlite"


@contextmanager
def _few_collections() -> Iterator[None]:
    """Look for cycles once a transaction only: events hold none, and looking took a third."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class _Run:
    """Collects portions into transactions and counts them."""

    def __init__(
        self,
        writer: SourceWriter,
        archive: Archive,
        watcher: Watcher | None,
        stop: Callable[[], bool],
    ) -> None:
        self.writer, self.archive, self.watcher, self._stop = writer, archive, watcher, stop
        self.summary = Summary(archive.wanted.network, resumed=archive.standing.words)
        self._waiting = self._bytes = 0
        self._began = time.monotonic()
        self._last: Portion | None = None

    def all(self) -> None:
        """Write everything that is left, or until it is told to stop."""
        self._find()
        if self.watcher is not None:
            self.watcher.begins(self.archive, self._size())
        told = self.watcher.fills if self.watcher is not None else lambda blocks: None
        ended = False
        for portion in self.archive.portions(told):
            self._take(portion)
            ended = self._stop()
            if ended:
                break
        self._commit()
        self.archive.stored(at_end=True)
        if not ended:
            until_taken(self.writer.idle, BROKER_PATIENCE_S, self._stop)
        self._finish()

    def _take(self, portion: Portion) -> None:
        for event in portion.events:
            topic = topics.blocks if event.type == BLOCK_TYPE else topics.transactions
            self.writer.send(topic, event)
        self._last = portion
        self._waiting += len(portion.events)
        self._count(portion)
        self._bytes += portion.size
        if self._waiting >= MOST_EVENTS or self._bytes >= MOST_BYTES:
            self._commit()

    def _commit(self) -> None:
        if self._last is not None:
            write = partial(self.writer.commit, self._last.cursor, self._last.watermark_ts)
            until_taken(write, BROKER_PATIENCE_S, self._stop)
            self.archive.stored()
            gc.collect(0)
        self._waiting, self._bytes, self._last = 0, 0, None

    def _count(self, portion: Portion) -> None:
        summary, step, cursor = self.summary, portion.step, portion.cursor
        summary.events += len(portion.events)
        summary.disconnected += step.undo
        if not step.stale:
            summary.blocks += 1
            summary.transactions += len(portion.events) - 1
            summary.first = cursor["height"] if summary.first is None else summary.first
            summary.last, summary.last_hash = cursor["height"], cursor["hash"]
        if self.watcher is not None:
            self.watcher.wrote(portion.size, len(portion.events) - 1, cursor["height"])

    def _find(self) -> None:
        """What the headers told."""
        archive, summary, forest = self.archive, self.summary, self.archive.forest
        summary.missing = [
            f"below {gap.height}: {gap.parent}" for gap in archive.chain.missing[:_TOLD]
        ]
        stale = archive.chain.stale
        summary.stale_count = len(stale)
        summary.stale = [f"{forest.height[n]}: {forest.hash(n)}" for n in stale[:_TOLD]]
        summary.repeated = archive.index.repeated
        summary.damaged = [str(spoilt) for spoilt in archive.index.spoilt[:_TOLD]]

    def _finish(self) -> None:
        archive = self.archive
        self.summary.unknown_prevouts = archive.spends.missing
        self.summary.too_deep = [archive.forest.hash(n) for n in archive.plan.too_deep]
        self.summary.seconds = round(time.monotonic() - self._began, 3)

    def _size(self) -> int:
        """Bytes of the chain's blocks that are left."""
        place = self.archive.standing.upto + 1
        blocks = self.archive.chain.blocks[place : self.archive.plan.end]
        return sum(map(self.archive.index.size, blocks))
