"""The ledger of the live source: one that can be taken up again, and numbered without repeats."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence, Set
from typing import Any

import msgspec

from schemas.envelope import Event
from schemas.ids import digest_id
from streams.chain.build import BlockEvents, Spent, transaction_value
from streams.chain.ledger import MEMPOOL_TYPE, Ledger
from streams.chain.mempool import EXPIRY_MS
from streams.chain.parse import RawBlock
from streams.chain.tip import HORIZON, Chain
from streams.sources.bitcoin_node import Arrival
from streams.sources.bitcoin_position import Position, cursor_of, held_of, links_of, raw_of
from streams.sources.bitcoin_reconcile import Pool


class SourceLedger(Ledger):
    """A ``Ledger`` with a memory (``memory``, ``resumed``) and a comparison (``reconcile``).

    Published mempool numbers never repeat, though a node that restarts counts anew: they are the
    node's own, plus a base that grows when the node's have fallen.
    """

    mempool: Pool

    def __init__(self, chain: Chain, node: str = "", expiry_ms: int = EXPIRY_MS) -> None:
        super().__init__(chain, node, expiry_ms)
        self.mempool = Pool(expiry_ms)
        self._base, self._highest = 0, -1
        self._undone: deque[str] = deque(maxlen=HORIZON)

    @classmethod
    def resumed(cls, position: Position, node: str, expiry_ms: int) -> SourceLedger:
        """The ledger as it stood when ``position`` was written. Raises SourceError."""
        said = cursor_of(position)
        ledger = cls(Chain(said.network, links_of(position)), node, expiry_ms)
        ledger.watermark, ledger._first = said.watermark, said.first
        ledger._undone_height, ledger._last_ts = said.undone_height, said.last_ts
        ledger._base, ledger._highest = said.base, said.highest
        ledger._undone.extend(said.undone)
        for txid, held in held_of(position).items():
            if held.transaction is None:
                ledger.mempool.restore(txid, None, held.ts)
            else:
                ledger._values[txid] = held.transaction
                ledger.mempool.restore(txid, raw_of(held.transaction), held.ts)
        return ledger

    def memory(self) -> dict[str, Any]:
        """The cursor's part of what ``resumed`` needs."""
        return {
            "network": self.chain.network,
            "watermark": self.watermark,
            "first": self._first,
            "undone_height": self._undone_height,
            "undone": list(self._undone),
            "last_ts": self._last_ts,
            "base": self._base,
            "highest": self._highest,
        }

    def number(self, sequence: int) -> int:
        """The published number of a node's mempool sequence."""
        number = self._base + sequence
        self._highest = max(self._highest, number)
        return number

    def reconcile(
        self,
        present: Set[str],
        arrivals: Sequence[tuple[Arrival, Sequence[Spent]]],
        sequence: int,
        now: int,
    ) -> list[Event]:
        """Become equal to the node's mempool: what it no longer has ends, what it has more begins.

        ``present``: all its txids; ``arrivals``: those not known here, parents first, with what
        they spend; ``sequence``: its next mempool sequence; ``now``: observer's time in ms.
        """
        gone = self.mempool.txids - present
        if gone or arrivals or self.mempool.undecided:
            self._base = max(self._base, self._highest + 1 - sequence)
        number, at = self.number(sequence), self._now(now)
        for arrival, spent in arrivals:
            value = transaction_value(arrival.tx, self.chain.network, spent)
            self._values[value.txid] = value
        newcomers = [arrival.tx for arrival, _ in arrivals]
        changes = self.mempool.reconcile(present, newcomers, number, at)
        for tx, ts in (arrival for arrival, _ in arrivals):
            self.mempool.rawtx(tx)
            changes += self.mempool.added(tx.txid, number, ts)
        return self._events(changes)

    def connect(
        self, raw: RawBlock, height: int, spent: Sequence[Sequence[Spent]], now: int
    ) -> list[Event]:
        """As ``Ledger.connect``; a block that was undone before ends transactions by new ids."""
        events = super().connect(raw, height, spent, now)
        if raw.header.hash in self._undone:
            self._highest += 1
            events = [self._again(event) for event in events]
        return events

    def disconnect(
        self, raw: RawBlock, height: int, spent: Sequence[Sequence[Spent]]
    ) -> list[Event]:
        """As ``Ledger.disconnect``."""
        events = super().disconnect(raw, height, spent)
        self._left(raw.header.hash, height)
        return events

    def withdraw(self, block: BlockEvents | None) -> list[Event]:
        """Undo the tip by the events that published it (None: it never was published)."""
        *links, tip = self.chain.links
        self.chain = Chain(self.chain.network, tuple(links), (*self.chain.undone, tip))
        self._undone_height = max(self._undone_height, tip.height)
        self._left(tip.hash, tip.height)
        settled = self._events(self.mempool.disconnected())
        published = [*reversed(block.transactions), block.block] if block else []
        for event in published:
            event.op, event.correction = "retract", True
        return settled + published

    def _left(self, block_hash: str, height: int) -> None:
        """Remember an undone block; whatever takes its height from now on is published."""
        self._undone.append(block_hash)
        self._first = min(self._first, height)

    @property
    def tip_was_published(self) -> bool:
        """Whether the tip's events are in the topics: it is not from before the first start."""
        return self.chain.tip is not None and self.chain.tip.height >= self._first

    def _again(self, event: Event) -> Event:
        """A mempool event of a block gets a number, since its id of the first time is taken."""
        value = event.value
        if event.type != MEMPOOL_TYPE or value.mempool_sequence is not None:
            return event
        event.value = msgspec.structs.replace(value, mempool_sequence=self._highest)
        parts = (value.network, value.txid, value.kind, self._highest)
        event.id = digest_id("bitcoin.mempool", *parts)
        return event
