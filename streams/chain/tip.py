"""The chain as its block events tell it: a pure fold of connects and disconnects into a tip.

One network's events, in their topic's order. An assert connects the block on the tip, a retract
disconnects the tip.
"""

from __future__ import annotations

from typing import NamedTuple

from schemas.envelope import Event
from schemas.events import Block, Tip
from streams.chain.build import block_ts

HORIZON = 100
"""Blocks that can be undone: a reorg deeper than this is refused (SEMANTICS 6)."""


class ChainError(ValueError):
    """An event that does not fit the chain; the message says what was expected."""


class Link(NamedTuple):
    """One block of the chain; ``ts`` is its event time in ms."""

    hash: str
    height: int
    ts: int


class Chain(NamedTuple):
    """The last blocks of one network's chain, newest last, and the reorg under way."""

    network: str
    links: tuple[Link, ...] = ()
    undone: tuple[Link, ...] = ()
    """Blocks disconnected since the last connect, newest (highest) first."""

    @property
    def tip(self) -> Link | None:
        """The newest block, None before the first."""
        return self.links[-1] if self.links else None

    def find(self, block_hash: str) -> Link | None:
        """The block of that hash, when it is among the links."""
        return next((link for link in reversed(self.links) if link.hash == block_hash), None)


class Reorg(NamedTuple):
    """A branch took the place of another: ``depth`` blocks were disconnected above ``fork``."""

    depth: int
    fork: Link | None
    old: tuple[Link, ...]


class Step(NamedTuple):
    """What one event did: the new tip, and a reorg when this block begins the other branch."""

    chain: Chain
    tip: Tip | None
    reorg: Reorg | None = None
    missing: int = 0
    """Blocks between the old tip and this one that were never seen (archives with gaps)."""


def apply(chain: Chain, event: Event) -> Step:
    """Fold one block event. Raises ChainError when it does not fit.

    Connecting a block and disconnecting it gives the chain back, reorg state apart, as long as
    the chain holds fewer than ``HORIZON`` blocks; beyond that the oldest block is forgotten.
    """
    block: Block = event.value
    if block.network != chain.network:
        raise ChainError(f"block of network {block.network}, expected {chain.network}")
    return _disconnect(chain, block) if event.op == "retract" else _connect(chain, block, event.ts)


def _connect(chain: Chain, block: Block, ts: int) -> Step:
    missing = _check_connect(chain, block, ts)
    link = Link(block.hash, block.height, ts)
    grown = Chain(chain.network, (*chain.links, link)[-HORIZON:])
    reorg = Reorg(len(chain.undone), chain.tip, chain.undone) if chain.undone else None
    return Step(grown, _tip(grown), reorg, missing)


def _check_connect(chain: Chain, block: Block, ts: int) -> int:
    """How many blocks are missing below ``block``: 0 when it connects to the tip."""
    tip = chain.tip
    if tip is None:
        return 0
    if block.height <= tip.height:
        raise ChainError(f"block {block.hash} at {block.height}, tip is already at {tip.height}")
    if ts < tip.ts:
        raise ChainError(f"block {block.hash} has event time {ts}, before its ancestor's {tip.ts}")
    if block.height > tip.height + 1:
        return block.height - tip.height - 1
    if block.previous_hash != tip.hash:
        raise ChainError(f"block {block.hash} follows {block.previous_hash}, tip is {tip.hash}")
    expected = block_ts(block.header_time_s, tip.ts)
    if ts != expected:
        raise ChainError(f"block {block.hash} has event time {ts}, expected {expected}")
    return 0


def _disconnect(chain: Chain, block: Block) -> Step:
    tip = chain.tip
    if tip is None or tip.hash != block.hash:
        raise ChainError(f"disconnect of {block.hash}, tip is {tip.hash if tip else 'unknown'}")
    shrunk = Chain(chain.network, chain.links[:-1], (*chain.undone, tip))
    return Step(shrunk, _tip(shrunk))


def _tip(chain: Chain) -> Tip | None:
    return Tip(chain.network, chain.tip.height, chain.tip.hash) if chain.tip else None
