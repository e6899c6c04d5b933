"""The live source: one Bitcoin node's chain and mempool as events, reorgs undone.

``sequence`` notifications drive it, in their order; blocks and missing bodies are fetched by RPC.
The notifications of whole blocks are not used, since the node sends only the last block of a
reorg. Whatever was lost, by a full queue or a restart of the node, is found by a jump of the
mempool sequence or a block that does not fit, and made good by a comparison with the node
(``_resync``), which is also how the source starts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from schemas.envelope import Event
from streams.chain.build import Spent
from streams.chain.ledger import Ledger
from streams.chain.mempool import EXPIRY_MS
from streams.chain.parse import RawTx, parse_tx
from streams.chain.tip import Chain, Link
from streams.sources.batch import SourceBatch
from streams.sources.bitcoin_identity import check_branch, check_identity
from streams.sources.bitcoin_node import BitcoinNode, Snapshot
from streams.sources.bitcoin_zmq import Feed, Frame
from streams.sources.errors import SourceError

MAX_EVENTS = 5_000
"""A batch ends with the notification that reaches this many events; a block is never split."""

Clock = Callable[[], int]


def wall_clock() -> int:
    """Milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


class BitcoinSource:
    """Follows one node. Give ``from_height`` to begin with a block below the node's tip.

    Without it nothing of the chain so far is published: the source begins with the node's mempool
    and goes on with its next block. Single-threaded: use one instance from one thread.
    """

    def __init__(
        self,
        node: BitcoinNode,
        feed: Feed,
        *,
        name: str = "",
        from_height: int | None = None,
        checkpoints: Mapping[int, str] | None = None,
        expiry_ms: int = EXPIRY_MS,
        clock: Clock = wall_clock,
        poll_ms: int = 100,
        reconcile_ms: int = 30_000,
    ) -> None:
        """``name`` tells several observing nodes apart.

        ``poll_ms``: how long the node must be silent before a removal counts as unexplained.
        ``reconcile_ms``: how often a silent node's tip is compared with ours.
        """
        self._node, self._feed, self._name = node, feed, name
        self._from_height, self._checkpoints = from_height, checkpoints
        self._expiry_ms, self._clock = expiry_ms, clock
        self._poll_ms, self._reconcile_ms = poll_ms, reconcile_ms
        self._ledger: Ledger
        self._sequence = 0
        self.resyncs = 0
        """How often the node was compared as a whole; the start is the first."""
        self._reconciled = 0
        self._doubt = False

    def batches(self, stop: Callable[[], bool] = lambda: False) -> Iterator[SourceBatch]:
        """Yield batches until ``stop()``. Raises SourceError.

        The one that ends the catching up may be without events; no other is.
        """
        try:
            check_identity(self._node.rpc, self._node.network, self._checkpoints)
            self._feed.open()
            self._start()
            yield from map(self._batch, self._resync())
            while not stop():
                yield from map(self._batch, filter(None, self._next()))
        finally:
            self._feed.close()
            self._node.rpc.close()

    def _start(self) -> None:
        height, top = self._from_height, self._node.height()
        if height is not None and not 0 <= height <= top + 1:
            raise SourceError(f"no block {height}, the node's tip is {top}", "lower from_height")
        below = top if height is None else height - 1
        links = self._node.links(below) if below >= 0 else ()
        chain = Chain(self._node.network, links)
        self._ledger = Ledger(chain, self._name, self._expiry_ms)

    def _batch(self, events: list[Event]) -> SourceBatch:
        tip = self._ledger.chain.tip
        cursor: dict[str, Any] = {"network": self._node.network, "sequence": self._sequence}
        cursor |= {"height": tip.height, "hash": tip.hash, "ts": tip.ts} if tip else {}
        return SourceBatch(events, self._ledger.watermark, cursor)

    def _next(self) -> Iterator[list[Event]]:
        """What the node says next: a burst of frames in one list, or a comparison."""
        frame = self._feed.receive(self._poll_ms)
        if frame is None:
            yield self._ledger.flush()
            yield from self._reconcile()
        self._doubt = self._doubt and frame is None
        events: list[Event] = []
        while frame is not None:
            if not self._fits(frame):
                yield events
                yield from self._resync()
                return
            events += self._frame(frame)
            frame = self._feed.receive(0) if len(events) < MAX_EVENTS else None
        yield events

    def _fits(self, frame: Frame) -> bool:
        """Whether the frame continues what is known: nothing lost, and its block in place."""
        if frame.label is None:
            return True
        if frame.lost or (frame.mempool_sequence or 0) > self._sequence:
            return False
        return frame.label in "AR" or self._block_fits(frame)

    def _block_fits(self, frame: Frame) -> bool:
        """A known block may only be undone at the tip, an unknown one only follow it."""
        tip, known = self._ledger.chain.tip, self._ledger.chain.find(frame.hash)
        if frame.label == "D":
            return known is None or known == tip
        previous = self._node.previous(frame.hash)
        return known is not None or previous == (tip.hash if tip else None)

    def _frame(self, frame: Frame) -> list[Event]:
        if frame.label is None:
            self._ledger.mempool.rawtx(parse_tx(frame.body))
            return []
        if frame.label in "CD":
            known = self._ledger.chain.find(frame.hash) is not None
            if frame.label == "C":
                return [] if known else self._connect(frame.hash)
            return self._disconnect(frame.hash) if known else []
        if frame.mempool_sequence is None or frame.mempool_sequence < self._sequence:
            return []
        self._sequence = frame.mempool_sequence + 1
        if frame.label == "R":
            return self._ledger.removed(frame.hash, frame.mempool_sequence, self._clock())
        return self._added(frame.hash, frame.mempool_sequence)

    def _added(self, txid: str, sequence: int) -> list[Event]:
        tx = self._ledger.mempool.announced(txid)
        if tx is None:
            tx = next(iter(self._node.bodies([txid])), None)
        return self._ledger.seen(txid, sequence, self._clock(), tx, self._spent(tx))

    def _spent(self, tx: RawTx | None) -> list[Spent]:
        return self._node.spent(tx, self._ledger.mempool.body) if tx else []

    def _connect(self, block_hash: str) -> list[Event]:
        raw, height, spent = self._node.block(block_hash)
        check_branch(self._node.network, raw.header, height)
        before = len(self._ledger.mempool)
        events = self._ledger.connect(raw, height, spent, self._clock())
        # The node numbers what a block includes too, though it sends no notification for it.
        self._sequence += before - len(self._ledger.mempool)
        return events

    def _disconnect(self, block_hash: str) -> list[Event]:
        raw, height, spent = self._node.block(block_hash)
        return self._ledger.disconnect(raw, height, spent)

    def _reconcile(self) -> Iterator[list[Event]]:
        """Compare tips with a silent node from time to time.

        A difference counts when it lasts over a second silence, since a notification may follow
        what the node already says.
        """
        now = self._clock()
        if not self._doubt and now - self._reconciled < self._reconcile_ms:
            return
        self._reconciled = now
        tip = self._ledger.chain.tip
        differs = tip is None or self._node.hash_at(self._node.height()) != tip.hash
        if differs and self._doubt:
            yield from self._resync()
        self._doubt = differs and not self._doubt

    def _resync(self) -> Iterator[list[Event]]:
        """Become equal to the node: first its chain, a block at a time, then its mempool."""
        self.resyncs += 1
        while True:
            yield from self._follow_chain()
            snapshot = self._node.snapshot()
            tip = self._ledger.chain.tip
            if tip is not None and snapshot.best_hash == tip.hash:
                break
        yield self._follow_mempool(snapshot)

    def _follow_mempool(self, snapshot: Snapshot) -> list[Event]:
        """Drop what the node no longer has, add what it has more, oldest first."""
        ledger, sequence = self._ledger, snapshot.sequence
        gone = sorted(ledger.mempool.txids - snapshot.times.keys())
        events = [e for txid in gone for e in ledger.removed(txid, sequence, self._clock())]
        new = [txid for txid in snapshot.times if txid not in ledger.mempool]
        bodies = {tx.txid: tx for tx in self._node.bodies(new)}
        for txid in new:
            tx, ts = bodies.get(txid), snapshot.times[txid]
            events += ledger.added(txid, sequence, ts, tx, self._spent(tx))
        self._sequence = sequence
        events += ledger.flush()
        ledger.declare()
        return events

    def _follow_chain(self) -> Iterator[list[Event]]:
        """Undo blocks that the node's active chain does not hold, connect those it has more."""
        while True:
            tip = self._ledger.chain.tip
            if tip is not None and self._node.hash_at(tip.height) != tip.hash:
                yield self._undo(tip)
                continue
            following = self._node.hash_at(tip.height + 1 if tip else 0)
            if following is None:
                return
            if self._node.previous(following) == (tip.hash if tip else None):
                yield self._connect(following)

    def _undo(self, tip: Link) -> list[Event]:
        events = self._disconnect(tip.hash)
        if self._ledger.chain.tip is None:
            raise SourceError(
                f"the node's chain forks more than {len(self._ledger.chain.undone)} blocks back",
                "start again from a height below the fork",
            )
        return events
