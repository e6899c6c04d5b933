"""Many raw blocks to events: in the order of their chain, with what their inputs spend.

Blocks come from files of one block each and from a node's own blk*.dat files, in whatever order.
Their headers are read first; the chain with the most work is written, what is beside it is stale. A
prevout comes from the outputs of earlier blocks (a table on disk), from the node's rev*.dat files,
or from prevouts files; where none has it, the event says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from schemas.envelope import Event
from streams.chain.build import (
    BlockEvents,
    Place,
    block_event,
    block_value,
    transaction_event,
    transaction_value,
)
from streams.chain.parse import NULL_HASH, ParseError
from streams.sources.archive_headers import Anchor
from streams.sources.archive_index import Index
from streams.sources.archive_outpoints import OutpointStore
from streams.sources.archive_plan import Plan, Standing, Step, anchors_of, cursor_of
from streams.sources.archive_prevouts import PrevoutFiles
from streams.sources.archive_spends import NOT_IN_ARCHIVE, Spends
from streams.sources.errors import SourceError

ALL = 2**31 - 1
"""Above every height."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of an archive, and how."""

    network: str = "main"
    first: int = 0
    """Lowest height to write; blocks below only give prevouts."""
    last: int = ALL
    tip: str | None = None
    """Hash of the block with which the chain ends, whatever has more work."""
    forks: bool = False
    """Write stale branches too, connected and undone."""
    parent_ts: int | None = None
    """Event time (ms) of the first block's parent, where the archive does not have it."""
    skip_damaged: bool = False
    table: bool | None = None
    """Keep a table of outputs; None: only where undo files do not give all prevouts."""


class Portion(NamedTuple):
    """The events of one step, in the order in which they are written."""

    step: Step
    events: list[Event]
    watermark_ts: int
    cursor: dict[str, Any]
    size: int
    """Bytes that the block takes in its file."""


class Archive:
    """One archive, its headers read; ``portions`` reads the blocks. Raises SourceError."""

    def __init__(
        self,
        paths: Sequence[Path],
        prevouts: Sequence[Path] = (),
        wanted: Wanted | None = None,
        cursor: dict[str, Any] | None = None,
        table: Path | None = None,
    ) -> None:
        self.wanted = wanted = wanted or Wanted()
        self.index = Index(paths, wanted.network, wanted.skip_damaged)
        self.forest = self.index.forest
        fits = cursor is not None and cursor.get("network") == wanted.network and "op" in cursor
        cursor = cursor if fits else None
        anchors = anchors_of(cursor)
        self.chain = self.index.settle(anchors, wanted.parent_ts, wanted.tip)
        self._base = self._base_of(anchors)
        self.plan = Plan(self.forest, self.chain, wanted.first, wanted.last, wanted.forks)
        self.standing: Standing = self.plan.start(cursor)
        self._files = PrevoutFiles(prevouts, wanted.network)
        self._files.check(self._has)
        keep = wanted.table if wanted.table is not None else not self.index.has_undo()
        store = OutpointStore(table, wanted.network) if keep else None
        self.spends = Spends(self.index, self._files, store, wanted.network)

    def close(self) -> None:
        """Close all files."""
        self.index.close()
        if self.spends.table is not None:
            self.spends.table.close()

    def portions(self, told: Callable[[int], None] = lambda blocks: None) -> Iterator[Portion]:
        """What is left to write, a block at a time.

        The table of outputs is saved when the caller says by ``stored`` that all is written.
        ``told`` hears of each earlier block that is read for its outputs alone. Raises SourceError.
        """
        self._fill(told)
        for step in self.standing.steps:
            yield self._portion(step)

    def stored(self, at_end: bool = False) -> None:
        """Everything that was given out is committed: save the table when it is large.

        ``at_end``: in any case, so that later blocks find it without the earlier ones.
        """
        table = self.spends.table
        if table is not None and (at_end or table.is_full) and self._last is not None:
            table.save(self._last)

    _last: str | None = None
    """The last block of the chain whose outputs are in the table, while no stale one stands."""

    def _portion(self, step: Step) -> Portion:
        number = step.block
        raw, height = self.index.block(number), self.forest.height[number]
        spent = self.spends.of(number, raw, height, step.stale)
        ts, network = self.forest.ts[number], self.wanted.network
        block = block_event(block_value(raw, network, height), ts, correction=step.corrects)
        block.op = "retract" if step.undo else "assert"
        try:
            transactions = [
                transaction_event(
                    transaction_value(tx, network, of, Place(raw.header.hash, height, i)), block
                )
                for i, (tx, of) in enumerate(zip(raw.transactions, spent, strict=True))
            ]
        except ParseError as problem:
            cause = f"{self.index.where(number)}: {problem}"
            raise SourceError(cause, "check its prevouts file") from problem
        self._last = raw.header.hash if not step.stale else None
        events = [*reversed(transactions), block] if step.undo else [block, *transactions]
        cursor = cursor_of(self.forest, step, network, self._base)
        return Portion(step, events, ts, cursor, self.index.size(number))

    def _fill(self, told: Callable[[int], None]) -> None:
        """Bring the table to where the earlier run stands."""
        table, upto = self.spends.table, self.standing.upto
        if table is None:
            return
        begin = self._filled(table.block)
        if begin is None or begin > upto + 1:
            table.clear()
            begin = 0
        for place in range(begin, upto + 1):
            number = self.chain.blocks[place]
            self.spends.apply(self.index.block(number), self.forest.height[number])
            self._last = self.forest.hash(number)
            self.stored()
            told(1)
        for number in self.standing.connected:
            self.spends.apply(self.index.block(number), self.forest.height[number], stale=True)
            self._last = None

    def _filled(self, block: str | None) -> int | None:
        """The first place in the chain whose outputs the table lacks; None: it is of no use."""
        if block is None or not self.chain.blocks:
            return None
        if block == self.forest.missing_parent(self.chain.blocks[0]):
            return 0
        number = self.forest.find(block)
        place = None if number is None else self.plan.place_of(number)
        return None if place is None else place + 1

    def _base_of(self, anchors: Sequence[Anchor]) -> Anchor | None:
        """The parent of the chain's first block as this run takes it."""
        if not self.chain.blocks:
            return None
        root = self.chain.blocks[0]
        parent = self.forest.missing_parent(root)
        if parent == NULL_HASH:
            return None
        known = next((a for a in anchors if a.hash == parent), None)
        return known or Anchor(parent, self.forest.height[root] - 1, self.wanted.parent_ts)

    def _has(self, name: str) -> bool:
        """Whether a height or hash is that of a block here."""
        if len(name) == 64:
            return self.forest.find(name) is not None
        return name.isascii() and name.isdigit() and int(name) in set(self.forest.height)


def read_blocks(
    paths: Sequence[Path], prevouts: Sequence[Path] = (), network: str = "main"
) -> Iterator[BlockEvents]:
    """Yield one ``BlockEvents`` a block of the best chain. Raises SourceError."""
    with closing(Archive(paths, prevouts, Wanted(network=network))) as archive:
        for portion in archive.portions():
            archive.stored()
            yield BlockEvents(portion.events[0], portion.events[1:])


__all__ = ["ALL", "NOT_IN_ARCHIVE", "Archive", "Portion", "Wanted", "read_blocks"]
