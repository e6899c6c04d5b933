"""How what was published becomes equal to what a node says: the decisions, pure.

The chain goes step by step: each step looks at the published tip and at the node's active chain,
and is one block. The mempool goes at once, when the chains are equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from enum import Enum, auto
from typing import NamedTuple

from streams.chain.mempool import Change, Mempool
from streams.chain.parse import RawTx
from streams.chain.tip import Link


class Place(NamedTuple):
    """A block by height; ``hash`` None: the node could not say any more."""

    height: int
    hash: str | None


class ChainView(NamedTuple):
    """A node's active chain, seen from a published tip."""

    top: Place
    """Its highest block."""
    here: str | None
    """Its block at the published tip's height, None above its top."""
    after: str | None
    """Its block one higher, None above its top."""
    dropped: bool = False
    """The node knows the published tip and has ruled it out (``invalidateblock``)."""


class Move(Enum):
    """What to do next."""

    EQUAL = auto()
    """Nothing: the tips are the same."""
    CONNECT = auto()
    """Publish the node's block after the published tip."""
    UNDO = auto()
    """Withdraw the published tip: it is not on the node's active chain."""
    WAIT = auto()
    """The node is behind: what it has agrees with what was published, as far as can be seen."""


def next_move(links: Sequence[Link], view: ChainView) -> Move:
    """The step from the published ``links`` (oldest first) towards the node's active chain.

    A node that is merely behind, as after a crash or while it verifies its blocks again, is waited
    for: withdrawing what it is about to have again would alarm everyone downstream for nothing.
    """
    tip = links[-1] if links else None
    if tip is None or view.here == tip.hash:
        return Move.CONNECT if view.after is not None else Move.EQUAL
    if view.here is not None or view.dropped:
        return Move.UNDO
    ours = {link.height: link.hash for link in links}
    agrees = view.top.height < links[0].height or ours.get(view.top.height) == view.top.hash
    return Move.WAIT if agrees else Move.UNDO


class Pool(Mempool):
    """A mempool that can be taken up again, and compared with a node's as a whole."""

    def restore(self, txid: str, tx: RawTx | None, ts: int) -> None:
        """Take over what was published as added."""
        if tx is not None:
            self.rawtx(tx)
        self.added(txid, 0, ts)

    def reconcile(
        self, present: Set[str], newcomers: Iterable[RawTx], sequence: int, ts: int
    ) -> list[Change]:
        """What became of everything that the node no longer has, removals held back included.

        ``newcomers`` are the bodies of what the node has more. A transaction was replaced when one
        that the node has now spends an outpoint of it or of an ancestor that went with it;
        otherwise it expired by its age, or was evicted.
        """
        spends = dict(self._spender)
        for tx in [*self._newcomers, *newcomers]:
            spends |= {(previous, index): tx.txid for previous, index, *_ in tx.inputs}
        self._newcomers = []
        for txid in sorted(self.txids - present, key=lambda one: (self._entries[one].ts, one)):
            for key in self._keys(txid):
                if spends.get(key) == txid:
                    del spends[key]
            self.removed(txid, sequence, ts)
        return self._settle(spends, "replaced", None)

    def _keys(self, txid: str) -> list[tuple[str, int]]:
        tx = self.body(txid)
        return [(previous, index) for previous, index, *_ in tx.inputs] if tx else []
