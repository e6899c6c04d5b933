"""What one node's chain and mempool mean as events: pure state between a node and the topics.

Blocks come as asserts, undone blocks as retracts of the block and of each of its transactions, in
the reverse of the order in which they came. Blocks that take the place of undone ones, and
everything below the declared event time, carry the mark ``correction`` (SEMANTICS 1, 2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from schemas.envelope import Event
from schemas.events import MempoolEvent, Transaction
from schemas.ids import digest_id
from streams.chain import tip
from streams.chain.build import (
    BlockEvents,
    Place,
    Spent,
    block_event,
    block_ts,
    block_value,
    transaction_event,
    transaction_value,
)
from streams.chain.mempool import EXPIRY_MS, Change, Mempool
from streams.chain.parse import RawBlock, RawTx

MEMPOOL_TYPE = "bitcoin.mempool.v1"


class Ledger:
    """Folds what the node reports; each method returns the events to publish, in order."""

    def __init__(self, chain: tip.Chain, node: str = "", expiry_ms: int = EXPIRY_MS) -> None:
        """``chain`` holds blocks that were not published: undoing one gives no event."""
        self.chain = chain
        self.mempool = Mempool(expiry_ms)
        self.watermark: int | None = None
        """Event time (ms) declared so far; it never falls."""
        self._node = node
        self._first = chain.tip.height + 1 if chain.tip else 0
        self._undone_height = -1
        self._last_ts = 0
        self._values: dict[str, Transaction] = {}

    def connect(
        self, raw: RawBlock, height: int, spent: Sequence[Sequence[Spent]], now: int
    ) -> list[Event]:
        """C: the block, its transactions, then what it did to the mempool.

        Raises ChainError when the block does not follow the tip, and leaves all as it was.
        """
        parent = self.chain.tip
        ts = block_ts(raw.header.time, parent.ts if parent else None)
        corrects = height <= self._undone_height or self._below(ts)
        block, transactions = self._block(raw, height, spent, ts, corrects)
        self.chain = tip.apply(self.chain, block).chain
        self.declare()
        changes = self.mempool.connected(raw.header.hash, raw.transactions, self._now(now))
        included = {event.key: event.value for event in transactions}
        return [block, *transactions, *self._events(changes, included)]

    def disconnect(
        self, raw: RawBlock, height: int, spent: Sequence[Sequence[Spent]]
    ) -> list[Event]:
        """D: retracts of the block's transactions, last first, and of the block.

        Raises ChainError when the block is not the tip, and leaves all as it was.
        """
        ts = self.chain.tip.ts if self.chain.tip else 0
        block, transactions = self._block(raw, height, spent, ts, True)
        block.op = "retract"
        for event in transactions:
            event.op = "retract"
        self.chain = tip.apply(self.chain, block).chain
        self._undone_height = max(self._undone_height, height)
        settled = self._events(self.mempool.disconnected())
        return settled + ([*reversed(transactions), block] if height >= self._first else [])

    def added(
        self, txid: str, sequence: int, at: int, tx: RawTx | None, spent: Sequence[Spent]
    ) -> list[Event]:
        """A: ``tx`` is None when the node no longer had the body; ``at`` is the time in ms."""
        if tx is not None:
            self.mempool.rawtx(tx)
            self._values[txid] = transaction_value(tx, self.chain.network, spent)
        return self._events(self.mempool.added(txid, sequence, at))

    def seen(
        self, txid: str, sequence: int, now: int, tx: RawTx | None, spent: Sequence[Spent]
    ) -> list[Event]:
        """A, as it happens: like ``added``, at the observer's time."""
        return self.added(txid, sequence, self._now(now), tx, spent)

    def removed(self, txid: str, sequence: int, now: int) -> list[Event]:
        """R: usually no event yet, since what follows decides why."""
        return self._events(self.mempool.removed(txid, sequence, self._now(now)))

    def flush(self) -> list[Event]:
        """The node has been silent: settle the removals held back."""
        return self._events(self.mempool.flush())

    def declare(self) -> None:
        """Declare the tip's event time: no block below it will come, corrections excepted."""
        ts = self.chain.tip.ts if self.chain.tip else None
        if ts is not None and (self.watermark is None or ts > self.watermark):
            self.watermark = ts

    def _block(
        self, raw: RawBlock, height: int, spent: Sequence[Sequence[Spent]], ts: int, corrects: bool
    ) -> BlockEvents:
        network, block_hash = self.chain.network, raw.header.hash
        block = block_event(block_value(raw, network, height), ts, correction=corrects)
        transactions = [
            transaction_event(
                transaction_value(tx, network, of, Place(block_hash, height, i)), block
            )
            for i, (tx, of) in enumerate(zip(raw.transactions, spent, strict=True))
        ]
        return BlockEvents(block, transactions)

    def _below(self, ts: int) -> bool:
        return self.watermark is not None and ts < self.watermark

    def _now(self, now: int) -> int:
        """The observer's time, but never before what was observed last."""
        self._last_ts = max(self._last_ts, now)
        return self._last_ts

    def _events(
        self, changes: Sequence[Change], included: Mapping[str, Transaction] | None = None
    ) -> list[Event]:
        """Mempool events; ``included`` are the transactions of the block that caused them."""
        return [self._event(change, included or self._values) for change in changes]

    def _event(self, change: Change, others: Mapping[str, Transaction]) -> Event:
        network, txid, kind = self.chain.network, change.txid, change.kind
        body = self._values.get(txid) if kind == "added" else self._values.pop(txid, None)
        place = change.block_hash if change.sequence is None else change.sequence
        value = MempoolEvent(
            network=network, txid=txid, kind=kind,
            transaction=None if kind == "confirmed" else body,
            replaced_by=change.by, replacement=others.get(change.by) if change.by else None,
            block_hash=change.block_hash, mempool_sequence=change.sequence, node=self._node,
        )  # fmt: skip
        block = change.block_hash
        return Event(
            id=digest_id("bitcoin.mempool", network, txid, kind, place), key=txid, ts=change.ts,
            op="assert", value=value, correction=self._below(change.ts), type=MEMPOOL_TYPE,
            correlation_id=txid,
            causation_id=digest_id("bitcoin.block", network, block) if block else None,
        )  # fmt: skip
