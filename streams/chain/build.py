"""Parsed blocks and transactions to the events of ``bitcoin.blocks`` and ``bitcoin.transactions``.

Ids come from what a record is about: a confirmed transaction's id holds its block's hash, so the
same transaction in two branches is two facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from schemas.envelope import Anchor, Event, Op
from schemas.events import Block, Prevout, Transaction, TxInput, TxOutput
from schemas.ids import digest_id
from schemas.units import vsize
from streams.chain.address import address_of
from streams.chain.parse import ParseError, RawBlock, RawTx

BLOCK_TYPE = "bitcoin.block.v1"
TRANSACTION_TYPE = "bitcoin.transaction.v1"

Spent = Prevout | str
"""What an input spends, or the reason why that is not known."""

COINBASE = "coinbase"
"""The reason why a coinbase input has no prevout and a coinbase transaction no fee."""


class Place(NamedTuple):
    """Where a confirmed transaction stands."""

    block_hash: str
    height: int
    position: int


class BlockEvents(NamedTuple):
    """One block's events: the block, then each of its transactions in block order."""

    block: Event
    transactions: list[Event]


def block_ts(header_time_s: int, parent_ts: int | None) -> int:
    """Event time of a block in ms: its header's time, but never before its parent's event time.

    >>> block_ts(10, 11_000), block_ts(10, None)
    (11000, 10000)
    """
    own = header_time_s * 1000
    return own if parent_ts is None else max(own, parent_ts)


def prevout(value_sat: int, script: bytes, network: str, height: int, is_coinbase: bool) -> Prevout:
    """A confirmed output, ready to be spent."""
    return Prevout(value_sat, script, address_of(script, network), height, is_coinbase)


def block_value(raw: RawBlock, network: str, height: int) -> Block:
    """The block's header and sizes as a record."""
    header = raw.header
    return Block(
        network=network, hash=header.hash, height=height, previous_hash=header.previous,
        version=header.version, merkle_root=header.merkle_root, header_time_s=header.time,
        bits=header.bits, nonce=header.nonce, tx_count=len(raw.transactions),
        size_bytes=raw.size, weight_wu=raw.weight,
    )  # fmt: skip


def transaction_value(
    raw: RawTx, network: str, spent: Sequence[Spent], place: Place | None = None
) -> Transaction:
    """The transaction as a record; ``spent`` has one element an input.

    Raises ParseError when the outputs exceed the inputs, since then a prevout is wrong.
    """
    fee, missing = _fee(raw, spent)
    at = place or (None, None, None)
    return Transaction(
        network=network, txid=raw.txid, wtxid=raw.wtxid, version=raw.version,
        locktime=raw.locktime, size_bytes=raw.size, weight_wu=raw.weight,
        vsize_vb=vsize(raw.weight), is_coinbase=raw.is_coinbase,
        inputs=_inputs(raw, spent),
        outputs=[TxOutput(value, script, address_of(script, network))
                 for value, script in raw.outputs],
        fee_sat=fee, fee_missing=missing,
        block_hash=at[0], block_height=at[1], block_position=at[2],
    )  # fmt: skip


def block_event(value: Block, ts: int, op: Op = "assert", correction: bool = False) -> Event:
    """A block as an event of its network's chain."""
    return Event(
        id=digest_id("bitcoin.block", value.network, value.hash),
        key=value.network, ts=ts, op=op, value=value, correction=correction, type=BLOCK_TYPE,
        anchor=Anchor(value.network, value.height, value.hash), correlation_id=value.hash,
    )  # fmt: skip


def transaction_event(value: Transaction, block: Event) -> Event:
    """A confirmed transaction: it shares op, ts, anchor and correction with its block's event."""
    return Event(
        id=digest_id("bitcoin.transaction", value.network, value.block_hash, value.txid),
        key=value.txid, ts=block.ts, op=block.op, value=value, correction=block.correction,
        type=TRANSACTION_TYPE, anchor=block.anchor, correlation_id=value.txid,
        causation_id=block.id,
    )  # fmt: skip


def _inputs(raw: RawTx, spent: Sequence[Spent]) -> list[TxInput]:
    return [
        TxInput(txid, index, sequence, script, list(witness), None, known)
        if isinstance(known, str)
        else TxInput(txid, index, sequence, script, list(witness), known, None)
        for (txid, index, script, sequence, witness), known in zip(raw.inputs, spent, strict=True)
    ]


def _fee(raw: RawTx, spent: Sequence[Spent]) -> tuple[int | None, str | None]:
    """Fee in satoshi, or why there is none."""
    paid = 0
    for known in spent:
        if isinstance(known, str):
            return None, known if known == COINBASE else f"prevout missing: {known}"
        paid += known.value_sat
    fee = paid - sum(value for value, _ in raw.outputs)
    if fee < 0:
        raise ParseError(f"transaction {raw.txid} spends {-fee} sat more than its prevouts hold")
    return fee, None
