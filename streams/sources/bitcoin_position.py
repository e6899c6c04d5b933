"""Where the source stands, in a form that Kafka keeps: what is needed to go on after ``kill -9``.

It is written in the transaction of the events that led there. Small things are in the cursor; what
grows is kept by key, so that a batch writes only what it changed:

``block/<height>``  hash, event time, and time of publication of each block that may be undone
``tx/<txid>``       each transaction that was published as added and has not ended: body, event time
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from schemas.envelope import Event
from schemas.events import MempoolEvent, Transaction
from streams.chain.ledger import MEMPOOL_TYPE
from streams.chain.parse import RawTx
from streams.chain.tip import HORIZON, Link
from streams.sources.errors import SourceError

FORM = 2
"""Form of the cursor; the first had a height only."""

_BLOCK, _TX = "block/", "tx/"


class Position(NamedTuple):
    """What ``SourceWriter`` gave back."""

    cursor: dict[str, Any]
    kept: Mapping[str, bytes]


class Held(msgspec.Struct, frozen=True, array_like=True):
    """A transaction that was published as added."""

    ts: int
    """Event time (ms) of that event."""
    transaction: Transaction | None
    """None when the node no longer had the body."""


class Published(msgspec.Struct, frozen=True, array_like=True):
    """A block of the chain as the source stands on it."""

    hash: str
    ts: int
    at: int
    """The source's clock (ms) when it took the block over: where to look for its events."""


_held = msgspec.msgpack.Decoder(Held)
_published = msgspec.msgpack.Decoder(Published)


def links_of(position: Position) -> tuple[Link, ...]:
    """The chain that was published, oldest first. Raises SourceError when it has a gap."""
    blocks = sorted(
        (int(key.removeprefix(_BLOCK)), _published.decode(raw))
        for key, raw in position.kept.items()
        if key.startswith(_BLOCK)
    )
    links = tuple(Link(block.hash, height, block.ts) for height, block in blocks)
    first = links[0].height if links else 0
    if [link.height for link in links] != list(range(first, first + len(links))):
        raise SourceError("the source's own state has a gap", "start it under another --name")
    return links[-HORIZON:]


def published_at(position: Position) -> dict[str, int]:
    """When each block of the chain was taken over (ms), by hash."""
    blocks = [
        _published.decode(raw) for key, raw in position.kept.items() if key.startswith(_BLOCK)
    ]
    return {block.hash: block.at for block in blocks}


def held_of(position: Position) -> dict[str, Held]:
    """The published mempool by txid."""
    return {
        key.removeprefix(_TX): _held.decode(raw)
        for key, raw in position.kept.items()
        if key.startswith(_TX)
    }


def changes(
    before: Iterable[Link], after: Iterable[Link], events: Iterable[Event], at: int
) -> dict[str, bytes | None]:
    """What a batch changes of the kept state; None: forget it."""
    old, new = set(before), set(after)
    changed: dict[str, bytes | None] = {f"{_BLOCK}{link.height}": None for link in old - new}
    for link in new - old:
        block = Published(link.hash, link.ts, at)
        changed[f"{_BLOCK}{link.height}"] = msgspec.msgpack.encode(block)
    for event in events:
        if event.type == MEMPOOL_TYPE:
            changed[f"{_TX}{event.key}"] = _kept(event.value, event.ts)
    return changed


def _kept(value: MempoolEvent, ts: int) -> bytes | None:
    ended = value.kind != "added"
    return None if ended else msgspec.msgpack.encode(Held(ts, value.transaction))


def raw_of(tx: Transaction) -> RawTx:
    """The parsed form of a transaction, from its record."""
    inputs = [
        (one.prev_txid, one.prev_vout, one.script_sig, one.sequence, tuple(one.witness))
        for one in tx.inputs
    ]
    outputs = [(one.value_sat, one.script) for one in tx.outputs]
    return RawTx(
        tx.txid, tx.wtxid, tx.version, inputs, outputs, tx.locktime, tx.size_bytes, tx.weight_wu
    )
