"""Where the source stands, in a form that Kafka keeps: what is needed to go on after ``kill -9``.

It is written in the transaction of the events that led there. Small things are in the cursor; what
grows is kept by key, so that a batch writes only what it changed:

``block/<height>``  hash, event time, and time of publication of each block that may be undone
``tx/<txid>``       each transaction that was published as added and has not ended: body, event time
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from schemas.envelope import Event
from schemas.events import MempoolEvent, Transaction
from streams.chain.ledger import MEMPOOL_TYPE
from streams.chain.parse import RawTx
from streams.chain.tip import HORIZON, Link
from streams.sources.errors import SourceError, unreadable

FORM = 2
"""Form of the cursor; the first had a height only."""

_BLOCK, _TX = "block/", "tx/"
Ms = Annotated[int, Meta(ge=0, lt=253_402_300_800_000)]
"""A time that a calendar has."""


class Position(NamedTuple):
    """What ``SourceWriter`` gave back."""

    cursor: dict[str, Any]
    kept: Mapping[str, bytes]


class Cursor(msgspec.Struct, frozen=True):
    """What the small part holds of a ledger (``SourceLedger.memory``)."""

    network: str
    watermark: Ms | None
    first: int
    undone_height: int
    undone: list[str]
    last_ts: Ms
    base: Annotated[int, Meta(ge=0, lt=1 << 60)]
    highest: Annotated[int, Meta(ge=-1, lt=1 << 60)]


class Held(msgspec.Struct, frozen=True, array_like=True):
    """A transaction that was published as added."""

    ts: Ms
    """Event time (ms) of that event."""
    transaction: Transaction | None
    """None when the node no longer had the body."""


class Published(msgspec.Struct, frozen=True, array_like=True):
    """A block of the chain as the source stands on it."""

    hash: str
    ts: Ms
    at: Ms
    """The source's clock (ms) when it took the block over: where to look for its events."""


_held = msgspec.msgpack.Decoder(Held)
_published = msgspec.msgpack.Decoder(Published)


def cursor_of(position: Position) -> Cursor:
    """The small part; raises SourceError."""
    try:
        return msgspec.convert(position.cursor, Cursor)
    except (ValueError, RecursionError) as error:
        raise unreadable(error) from error


def links_of(position: Position) -> tuple[Link, ...]:
    """The chain that was published, oldest first. Raises SourceError, also when it has a gap."""
    blocks = sorted(_blocks(position), key=lambda one: one[0])
    links = tuple(Link(block.hash, height, block.ts) for height, block in blocks)
    first = links[0].height if links else 0
    if [link.height for link in links] != list(range(first, first + len(links))):
        raise SourceError("the source's own state has a gap", "start it under another --name")
    return links[-HORIZON:]


def published_at(position: Position) -> dict[str, int]:
    """When each block of the chain was taken over (ms), by hash. Raises SourceError."""
    return {block.hash: block.at for _, block in _blocks(position)}


def _blocks(position: Position) -> list[tuple[int, Published]]:
    try:
        return [
            (int(key.removeprefix(_BLOCK)), _published.decode(raw))
            for key, raw in position.kept.items()
            if key.startswith(_BLOCK)
        ]
    except (ValueError, RecursionError) as error:
        raise unreadable(error) from error


def held_of(position: Position) -> dict[str, Held]:
    """The published mempool by txid. Raises SourceError."""
    try:
        return {
            key.removeprefix(_TX): _held.decode(raw)
            for key, raw in position.kept.items()
            if key.startswith(_TX)
        }
    except (ValueError, RecursionError) as error:
        raise unreadable(error) from error


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
