"""The live source: one Bitcoin node's chain and mempool as events, reorgs undone.

It lives in sessions. Each begins with a check of the node's identity and a comparison with the node
as a whole, and follows its notifications (``bitcoin_follow``). A session ends when the node is
away; then it is waited for. What a source has published and where it stands come in one batch, so
that it goes on after ``kill -9`` with nothing lost and nothing doubled.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from schemas.envelope import Event
from streams.chain.mempool import EXPIRY_MS
from streams.chain.tip import Chain, Link
from streams.sources.batch import SourceBatch
from streams.sources.bitcoin_away import Backoff, NodeAway, Say, Waiting
from streams.sources.bitcoin_follow import Clock, Follower, Recall
from streams.sources.bitcoin_identity import check_identity, check_publishes
from streams.sources.bitcoin_ledger import SourceLedger
from streams.sources.bitcoin_node import BitcoinNode
from streams.sources.bitcoin_position import (
    FORM,
    Position,
    changes,
    cursor_of,
    links_of,
    published_at,
)
from streams.sources.bitcoin_zmq import Feed, NoPublisher
from streams.sources.errors import SourceError

CLOCK = "observer"
"""Whose clock mempool events have: the source's own, which never falls. What a comparison finds
new in the mempool has the node's time of entry."""

Stop = Callable[[], bool]


def wall_clock() -> int:
    """Milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


class BitcoinSource:
    """Follows one node. Give ``from_height`` to begin with a block below the node's tip.

    Without it nothing of the chain so far is published: the source begins with the node's mempool
    and goes on with its next block. With a position (``resume``) it goes on from there instead.
    Single-threaded: use one instance from one thread.
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
        say: Say = lambda words: None,
        backoff: Backoff | None = None,
    ) -> None:
        """``name`` tells several observing nodes apart.

        ``poll_ms``: how long the node must be silent before a removal counts as unexplained.
        ``reconcile_ms``: how often a silent node is compared. ``say`` gets a line when the node is
        away, or notifications were lost.
        """
        self._node, self._feed, self._name = node, feed, name
        self._from_height, self._checkpoints = from_height, checkpoints
        self._expiry_ms, self._clock = expiry_ms, clock
        self._say, self._waiting = say, Waiting(node.rpc.where, say, backoff)
        self._follower = Follower(node, feed, clock, poll_ms, reconcile_ms, say)
        self._links: tuple[Link, ...] = ()
        self._began = self._reached = False

    @property
    def resyncs(self) -> int:
        """How often the node was compared as a whole; the start is the first."""
        return self._follower.resyncs

    def recall_by(self, recall: Recall) -> None:
        """Where to find the events of a published block that the node no longer has."""
        self._follower.recall_by(recall)

    def resume(self, position: Position) -> None:
        """Go on from a position of an earlier run. Raises SourceError for another network's."""
        network = cursor_of(position).network
        if network != self._node.network:
            cause = f"what was published is of {network}, configured is {self._node.network}"
            raise SourceError(cause, "set the network, or give the source another --name")
        ledger = SourceLedger.resumed(position, self._name, self._expiry_ms)
        self._follower.take(ledger, published_at(position))
        self._links, self._began = links_of(position), True
        tip, pool = ledger.chain.tip, len(ledger.mempool)
        at = f"block {tip.height} {tip.hash}" if tip else "the beginning"
        self._say(f"resuming after {at} with {pool} transactions in the mempool")

    def batches(self, stop: Stop = lambda: False) -> Iterator[SourceBatch]:
        """Yield batches until ``stop()``, which is asked behind each of them.

        The one that ends a comparison may be without events; no other is. Raises SourceError for
        what waiting cannot mend.
        """
        try:
            while not stop():
                try:
                    yield from self._session(stop)
                except NodeAway as away:
                    yield from self._batches([self._follower.take_burst()])
                    self._waiting.wait(away.cause, stop)
        finally:
            self._feed.close()
            self._node.rpc.close()

    def _session(self, stop: Stop) -> Iterator[SourceBatch]:
        """Follow the node for as long as it is there."""
        check_identity(self._node.rpc, self._node.network, self._checkpoints)
        check_publishes(self._node.rpc)
        self._open_feed()
        if not self._began:
            self._follower.take(self._begun())
            self._began = True
        for burst in self._follower.resync():
            yield self._batch(burst)
            if stop():  # a catch-up may be of years
                return
        self._waiting.over()
        while not stop():
            for batch in self._batches(self._follower.following()):
                yield batch
                if stop():
                    return

    def _open_feed(self) -> None:
        try:
            self._feed.open()
        except NoPublisher as gone:
            self._node.height()  # a node that went away meanwhile is waited for
            if self._reached:
                raise NodeAway(gone.cause, gone.remedy) from gone
            raise
        self._reached = True

    def _begun(self) -> SourceLedger:
        height, top = self._from_height, self._node.height()
        if height is not None and not 0 <= height <= top + 1:
            raise SourceError(f"no block {height}, the node's tip is {top}", "lower from_height")
        below = top if height is None else height - 1
        links = self._node.links(below) if below >= 0 else ()
        self._say(f"beginning with block {below + 1}; times of mempool events: this clock")
        return SourceLedger(Chain(self._node.network, links), self._name, self._expiry_ms)

    def _batches(self, bursts: Iterable[list[Event]]) -> Iterator[SourceBatch]:
        return map(self._batch, filter(None, bursts))

    def _batch(self, events: list[Event]) -> SourceBatch:
        ledger = self._follower.ledger
        before, self._links = self._links, ledger.chain.links
        kept = changes(before, self._links, events, self._clock())
        cursor = {"form": FORM, "clock": CLOCK, **ledger.memory()}
        cursor["sequence"] = self._follower.sequence
        tip = ledger.chain.tip
        cursor |= {"height": tip.height, "hash": tip.hash, "ts": tip.ts} if tip else {}
        return SourceBatch(events, ledger.watermark, cursor, kept)
