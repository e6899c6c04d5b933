"""From a node's notifications, and from comparisons with it, to events.

``sequence`` notifications drive it, in their order; blocks and missing bodies are fetched by RPC.
The notifications of whole blocks are not used, since the node sends only the last block of a
reorg. Whatever was lost is found by a gap in a counter or a block that does not fit, and made good
by a comparison with the node (``resync``). Every method raises NodeAway when the node is away, and
then leaves the ledger as it stood after the last whole step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from schemas.envelope import Event
from streams.chain.build import BlockEvents, Spent
from streams.chain.parse import ParseError, RawTx, parse_tx
from streams.chain.tip import Chain, ChainError, Link
from streams.sources.bitcoin_away import NodeAway, Say
from streams.sources.bitcoin_identity import check_branch
from streams.sources.bitcoin_ledger import SourceLedger
from streams.sources.bitcoin_node import TRIES, BitcoinNode, Snapshot
from streams.sources.bitcoin_reconcile import ChainView, Move, next_move
from streams.sources.bitcoin_zmq import Feed, Frame
from streams.sources.errors import SourceError

MAX_EVENTS = 5_000
"""A batch ends with the notification that reaches this many events; a block is never split."""

Clock = Callable[[], int]
Recall = Callable[[str, int], BlockEvents | None]
"""Finds the events of a published block by its hash and the time (ms) of its publication."""
_PRUNED = "use a node that is not pruned"


class Follower:
    """Keeps a ledger equal to a node; each list that it yields is one burst of events."""

    def __init__(
        self,
        node: BitcoinNode,
        feed: Feed,
        clock: Clock,
        poll_ms: int,
        reconcile_ms: int,
        say: Say,
    ) -> None:
        self._node, self._feed, self._clock, self._say = node, feed, clock, say
        self._poll_ms, self._reconcile_ms = poll_ms, reconcile_ms
        self.ledger = SourceLedger(Chain(node.network))
        self.sequence = 0
        """The node's mempool sequence below which everything has been taken into account."""
        self.resyncs = 0
        self._recall: Recall = lambda block_hash, at: None
        self._published_at: dict[str, int] = {}
        self._burst: list[Event] = []
        self._compared = 0
        self._doubt = False

    def take(self, ledger: SourceLedger, published_at: Mapping[str, int] | None = None) -> None:
        """Begin with this ledger; ``published_at`` says when each block was published (ms)."""
        self.ledger, self._published_at = ledger, dict(published_at or {})

    def recall_by(self, recall: Recall) -> None:
        """Where to find the events of a block that the node no longer has."""
        self._recall = recall

    def take_burst(self) -> list[Event]:
        """The events of a burst that has not been handed out yet."""
        events, self._burst = self._burst, []
        return events

    def following(self) -> Iterator[list[Event]]:
        """What the node says next: a burst of frames in one list, or a comparison."""
        frame = self._feed.receive(self._poll_ms)
        if frame is None:
            yield self.ledger.flush()
            yield from self._compare()
        self._doubt = self._doubt and frame is None
        while frame is not None:
            if not self._fits(frame):
                yield self.take_burst()
                yield from self.resync()
                return
            self._burst += self._frame(frame)
            frame = self._feed.receive(0) if len(self._burst) < MAX_EVENTS else None
        yield self.take_burst()

    # Notifications --------------------------------------------------------------------------------

    def _fits(self, frame: Frame) -> bool:
        """Whether the frame continues what is known: nothing lost, and its block in place."""
        if frame.label is None:
            return True
        if frame.lost:
            self._say(f"{frame.lost} notifications were lost: comparing with the node")
            return False
        if frame.lost is None and not self._is_next(frame):
            return False
        return frame.label in "AR" or self._block_fits(frame)

    def _is_next(self, frame: Frame) -> bool:
        """The first frame tells nothing of its forerunners, unless its mempool sequence does."""
        return frame.mempool_sequence is not None and frame.mempool_sequence <= self.sequence

    def _block_fits(self, frame: Frame) -> bool:
        """A known block may only be undone at the tip, an unknown one only follow it."""
        tip, known = self.ledger.chain.tip, self.ledger.chain.find(frame.hash)
        if frame.label == "D":
            return known is None or known == tip
        return known is not None or self._node.follows(frame.hash, tip)

    def _frame(self, frame: Frame) -> list[Event]:
        if frame.label is None:
            self._remember(frame.body)
            return []
        known = self.ledger.chain.find(frame.hash)
        if frame.label == "C":
            return [] if known else self._connect(frame.hash)
        if frame.label == "D":
            return self._undo(known) if known else []
        sequence = frame.mempool_sequence
        if sequence is None or sequence < self.sequence:
            return []
        take = self._removed if frame.label == "R" else self._added
        events = take(frame.hash, sequence)
        self.sequence = sequence + 1
        return events

    def _removed(self, txid: str, sequence: int) -> list[Event]:
        return self.ledger.removed(txid, self.ledger.number(sequence), self._clock())

    def _added(self, txid: str, sequence: int) -> list[Event]:
        tx = self.ledger.mempool.announced(txid)
        if tx is None:
            tx = next(iter(self._node.bodies([txid])), None)
        spent = self._spent([tx])[0] if tx else []
        with _believed(f"transaction {txid}"):
            return self.ledger.seen(txid, self.ledger.number(sequence), self._clock(), tx, spent)

    def _spent(self, txs: list[RawTx]) -> list[list[Spent]]:
        new = {tx.txid: tx for tx in txs}
        return self._node.spent(txs, lambda txid: new.get(txid) or self.ledger.mempool.body(txid))

    def _connect(self, block_hash: str) -> list[Event]:
        block = self._node.block(block_hash)
        if block is None:
            raise SourceError(f"node has no block {block_hash}", _PRUNED)
        check_branch(self._node.network, block.raw.header, block.height)
        tip = self.ledger.chain.tip
        with _believed(f"block {block_hash}"):
            if tip is not None and block.height != tip.height + 1:
                raise ChainError(f"it is said to be at {block.height}, the tip is {tip.height}")
            events = self.ledger.connect(block.raw, block.height, block.spent, self._clock())
        at = {**self._published_at, block_hash: self._clock()}
        self._published_at = {link.hash: at.get(link.hash, 0) for link in self.ledger.chain.links}
        return events

    def _undo(self, tip: Link) -> list[Event]:
        block = self._node.block(tip.hash)
        if block is not None:
            with _believed(f"block {tip.hash}"):
                if block.height != tip.height:
                    raise ChainError(f"it is said to be at {block.height}, it was at {tip.height}")
                return self.ledger.disconnect(block.raw, block.height, block.spent)
        if not self.ledger.tip_was_published:
            return self.ledger.withdraw(None)
        published = self._recall(tip.hash, self._published_at.get(tip.hash, self._clock()))
        if published is None:
            cause = f"neither the node nor the topics have block {tip.hash}, which is to be undone"
            raise SourceError(cause, "connect a node that has it")
        return self.ledger.withdraw(published)

    # Comparisons ----------------------------------------------------------------------------------

    def _compare(self) -> Iterator[list[Event]]:
        """Compare with a silent node from time to time.

        A difference counts when it lasts over a second silence, since a notification may follow
        what the node already says.
        """
        now = self._clock()
        if not self._doubt and now - self._compared < self._reconcile_ms:
            return
        self._compared = now
        tip = self.ledger.chain.tip
        differs = tip is None or self._node.hash_at(self._node.height()) != tip.hash
        if differs and self._doubt:
            yield from self.resync()
        self._doubt = differs and not self._doubt

    def resync(self) -> Iterator[list[Event]]:
        """Become equal to the node: first its chain, a block at a time, then its mempool."""
        self.resyncs += 1
        self._check_common()
        for _ in range(TRIES):
            yield from self._follow_chain()
            self._drain()
            snapshot = self._node.snapshot()
            tip = self.ledger.chain.tip
            if tip is not None and snapshot.best_hash == tip.hash:
                yield from self._follow_mempool(snapshot)
                return
        raise _restless()

    def _check_common(self) -> None:
        """Refuse a node whose chain left ours so far back that it cannot be undone."""
        links = self.ledger.chain.links
        if not links:
            return
        found = self._node.hash_at(links[0].height)
        if found not in (None, links[0].hash):
            cause = f"the node's chain is another one already {len(links)} blocks below {links[-1]}"
            raise SourceError(cause, "connect the node of before, or choose another --name")

    def _follow_chain(self) -> Iterator[list[Event]]:
        """Undo blocks that the node's active chain does not hold, connect those it has more."""
        misfits = 0
        while misfits < TRIES:
            tip = self.ledger.chain.tip
            view = self._node.view(tip)
            move = next_move(self.ledger.chain.links, view)
            if move is Move.EQUAL:
                return
            if move is Move.WAIT:
                raise _behind(view, tip)
            if move is Move.UNDO and tip is not None:
                yield self._undo(tip)
            elif view.after is not None and self._node.follows(view.after, tip):
                yield self._connect(view.after)
            else:
                misfits += 1
        raise _restless()

    def _drain(self) -> None:
        """Take what has been notified until now: the snapshot to come has it already."""
        while (frame := self._feed.receive(0)) is not None:
            if frame.label is None:
                self._remember(frame.body)

    def _remember(self, body: bytes) -> None:
        with _believed("a notified transaction"):
            self.ledger.mempool.rawtx(parse_tx(body))

    def _follow_mempool(self, snapshot: Snapshot) -> Iterator[list[Event]]:
        """End what the node no longer has, add what it has more; split, as there may be much."""
        ledger = self.ledger
        new = [txid for txid in snapshot.txids if txid not in ledger.mempool]
        arrivals = self._node.arrivals(new)
        spent = self._spent([arrival.tx for arrival in arrivals])
        pairs = list(zip(arrivals, spent, strict=True))
        present = set(snapshot.txids)
        with _believed("the mempool"):
            events = ledger.reconcile(present, pairs, snapshot.sequence, self._clock())
        self.sequence = snapshot.sequence
        ledger.declare()
        while len(events) > MAX_EVENTS:
            head, events = events[:MAX_EVENTS], events[MAX_EVENTS:]
            yield head
        yield events


def _behind(view: ChainView, tip: Link | None) -> NodeAway:
    published = tip.height if tip else 0
    cause = f"it is at block {view.top.height}, published is up to {published}"
    return NodeAway(cause, "let it catch up")


def _restless() -> NodeAway:
    return NodeAway("its chain changed each time that it was read", "let it settle")


@contextmanager
def _believed(what: str) -> Iterator[None]:
    """What a node says fits what it said before; raises SourceError where it does not."""
    try:
        yield
    except (ChainError, ParseError) as problem:
        raise SourceError(f"{what}: {problem}", "check the node") from problem
