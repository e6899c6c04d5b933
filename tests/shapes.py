"""Small named shapes: transactions, mempool events, blocks, as tests want them."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from schemas.catalog import BY_NAME
from schemas.envelope import Anchor, Event, Op
from schemas.events import Block, MempoolEvent, Prevout, Transaction, TxInput, TxOutput
from streams.agents.follow_lifecycle import HORIZON_MS
from streams.tuning import EngineTuning

UNDO_MS = EngineTuning().retract_grace_ms + HORIZON_MS
"""How far back corrections of facts lie: an undone block reveals what was there before."""
SCRIPT = bytes.fromhex("0014") + bytes(20)


def name(word: str) -> str:
    """A hash with a name: the same word gives the same 64 hex characters."""
    return sha256(word.encode()).hexdigest()


def tx(
    word: str,
    pays: dict[str, int] | None = None,
    spends: dict[str, int] | None = None,
    block: str | None = None,
    height: int | None = None,
    sequence: int = 0xFFFFFFFD,
) -> Transaction:
    """A transaction named by a word; ``pays`` and ``spends`` map addresses to satoshi."""
    outputs = [TxOutput(v, SCRIPT, a) for a, v in (pays or {"out": 1000}).items()]
    inputs = [
        TxInput(name(f"{word}<{a}"), 0, sequence, b"", [], Prevout(v, SCRIPT, a))
        for a, v in (spends or {"in": 2000}).items()
    ]
    paid, spent = sum(o.value_sat for o in outputs), sum(i.prevout.value_sat for i in inputs)  # type: ignore[union-attr]
    return Transaction(
        "regtest",
        name(word),
        name(word),
        2,
        0,
        200,
        800,
        200,
        False,
        inputs,
        outputs,
        fee_sat=max(0, spent - paid),
        block_hash=name(block) if block else None,
        block_height=height,
        block_position=1 if block else None,
    )


def confirmed(body: Transaction, ts: int, op: Op = "assert") -> Event:
    """The event of a confirmed transaction."""
    kind = BY_NAME["bitcoin.transaction.v1"]
    anchor = Anchor("regtest", body.block_height or 0, body.block_hash or "")
    return Event(
        kind.event_id(body) or "",
        body.txid,
        ts,
        op,
        body,
        correction=op == "retract",
        type=kind.name,
        anchor=anchor,
        correlation_id=body.txid,
    )


def seen(kind: str, word: str, ts: int, sequence: int | None, **more: Any) -> Event:
    """What a node's mempool saw."""
    type_ = BY_NAME["bitcoin.mempool.v1"]
    block = more.pop("block", None)
    value = MempoolEvent(
        "regtest",
        name(word),
        kind,
        mempool_sequence=sequence,
        block_hash=name(block) if block else None,
        **more,
    )
    return Event(type_.event_id(value) or "", value.txid, ts, "assert", value, type=type_.name)


def block(word: str, height: int, ts: int, op: Op = "assert") -> Event:
    """A block event."""
    kind = BY_NAME["bitcoin.block.v1"]
    value = Block(
        "regtest", name(word), height, name(f"before {word}"), 1, name("root"), ts // 1000, 0, 0, 1,
        300, 900,
    )  # fmt: skip
    return Event(
        kind.event_id(value) or "", "regtest", ts, op, value, correction=op == "retract",
        type=kind.name,
    )  # fmt: skip
