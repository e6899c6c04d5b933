"""What a value must satisfy beyond its schema; everything from outside is checked here once."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from schemas import events as e
from schemas.errors import BadValue
from schemas.units import is_amount

_HASH = re.compile(r"[0-9a-f]{64}")
NETWORKS = ("main", "test", "signet", "regtest")
MEMPOOL_KINDS = ("added", "replaced", "evicted", "expired", "conflicted", "confirmed")
MAX_HEIGHT = 1 << 31


def _hash(text: str | None, name: str) -> None:
    if text is None or not _HASH.fullmatch(text):
        raise BadValue(f"{name} is not 64 lower-case hex characters: {str(text)[:80]!r}")


def _amount(value: int | None, name: str, index: int | str = "") -> None:
    if value is not None and not is_amount(value):
        what = f"{name} {index}".strip()
        raise BadValue(f"{what} is not an amount between 0 and 21 million bitcoin: {value} sat")


def _network(value: Any) -> None:
    if value.network not in NETWORKS:
        raise BadValue(f"unknown network {value.network[:40]!r}; known: {', '.join(NETWORKS)}")


def _height(height: int | None) -> None:
    if height is not None and not 0 <= height < MAX_HEIGHT:
        raise BadValue(f"a height cannot be {height}")


def _block(v: e.Block) -> None:
    _network(v)
    _hash(v.hash, "hash")
    _hash(v.previous_hash, "previous_hash")
    _height(v.height)


def _body(v: e.Transaction) -> None:
    _network(v)
    _hash(v.txid, "txid")
    _height(v.block_height)
    if v.vsize_vb <= 0 or v.weight_wu <= 0:
        raise BadValue(f"a transaction has a positive size, not {v.vsize_vb} vB")
    total = 0
    for index, output in enumerate(v.outputs):
        _amount(output.value_sat, "output", index)
        total += output.value_sat
    _amount(total, "the sum of the outputs")
    for index, spent in enumerate(v.inputs):
        if spent.prevout is not None:
            _amount(spent.prevout.value_sat, "prevout", index)
        elif not v.is_coinbase and not spent.prevout_missing:
            raise BadValue(f"input {index} has neither a prevout nor a reason")
    _amount(v.fee_sat, "fee_sat")
    if v.fee_sat is None and not v.fee_missing and not v.is_coinbase:
        raise BadValue("fee_sat is null without a reason")


def _transaction(v: e.Transaction) -> None:
    _body(v)
    _hash(v.block_hash, "block_hash")
    if v.block_height is None:
        raise BadValue("a confirmed transaction needs block_height")


def _mempool(v: e.MempoolEvent) -> None:
    _network(v)
    _hash(v.txid, "txid")
    if v.kind not in MEMPOOL_KINDS:
        raise BadValue(f"unknown mempool kind {v.kind[:40]!r}; known: {', '.join(MEMPOOL_KINDS)}")
    if v.transaction is not None:
        _body(v.transaction)
        if v.transaction.txid != v.txid:
            raise BadValue("the transaction inside has another txid")


def _label(v: e.Label) -> None:
    _hash(v.subject, "subject")
    if not 0.0 <= v.confidence <= 1.0:
        raise BadValue(f"confidence must lie in [0, 1], not {v.confidence}")


_CHECKS: dict[type, Callable[[Any], None]] = {
    e.Block: _block,
    e.Transaction: _transaction,
    e.MempoolEvent: _mempool,
    e.Label: _label,
}


def validate(value: e.Value, key: str, key_of: Callable[[Any], str]) -> None:
    """Raise BadValue when ``value`` cannot be true, or ``key`` is not the key of its value."""
    check = _CHECKS.get(type(value))
    if check is not None:
        check(value)
    expected = key_of(value)
    if key != expected:
        raise BadValue(f"the key is {key[:80]!r}, the key of this value is {expected[:80]!r}")
