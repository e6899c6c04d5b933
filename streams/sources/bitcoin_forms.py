"""The forms of a node's answers, as far as they are read: what has another form is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from schemas.units import MAX_MONEY_SAT, Sat
from streams.chain.parse import MAX_HEIGHT
from streams.sources.bitcoin_zmq import MAX_SEQUENCE
from streams.sources.errors import SourceError

_COIN = 100_000_000
_T = TypeVar("_T")

Hash = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Height = Annotated[int, Meta(ge=0, le=MAX_HEIGHT)]
Seconds = Annotated[int, Meta(ge=0, lt=1 << 32)]
"""Since 1970 UTC."""
Sequence = Annotated[int, Meta(ge=0, lt=MAX_SEQUENCE)]


class Hex(bytes):
    """Bytes, which a node writes as hex."""


class Amount(int):
    """Satoshi, which a node writes as bitcoin."""


class Header(msgspec.Struct, frozen=True):
    """``getblockheader``"""

    hash: Hash
    height: Height
    time: Seconds
    previousblockhash: Hash | None = None


class Script(msgspec.Struct, frozen=True):
    """An output's script."""

    hex: Hex


class Spent(msgspec.Struct, frozen=True):
    """What an input of a block spends."""

    value: Amount
    scriptPubKey: Script  # noqa: N815 - the node's name for it
    height: Height
    generated: bool


class Input(msgspec.Struct, frozen=True):
    """One input of a block's transaction."""

    coinbase: str | None = None
    prevout: Spent | None = None


class BlockTx(msgspec.Struct, frozen=True):
    """One transaction of a block."""

    vin: list[Input]


class VerboseBlock(msgspec.Struct, frozen=True):
    """``getblock`` with prevouts (verbosity 3)."""

    height: Height
    tx: list[BlockTx]


class Unspent(msgspec.Struct, frozen=True):
    """``gettxout``"""

    bestblock: Hash
    confirmations: Height
    value: Amount
    scriptPubKey: Script  # noqa: N815 - the node's name for it
    coinbase: bool


class Listed(msgspec.Struct, frozen=True):
    """``getrawmempool`` with its sequence."""

    txids: list[Hash]
    mempool_sequence: Sequence


class Entry(msgspec.Struct, frozen=True):
    """``getmempoolentry``"""

    time: Seconds
    ancestorcount: int


class VerboseTx(msgspec.Struct, frozen=True):
    """``getrawtransaction`` in full."""

    hex: Hex
    blockhash: Hash | None = None


class Branch(msgspec.Struct, frozen=True):
    """One of ``getchaintips``."""

    status: str
    height: Height


class MempoolInfo(msgspec.Struct, frozen=True):
    """``getmempoolinfo``"""

    loaded: bool = True


class ChainInfo(msgspec.Struct, frozen=True):
    """``getblockchaininfo``"""

    chain: Annotated[str, Meta(max_length=100)]


class NetworkInfo(msgspec.Struct, frozen=True):
    """``getnetworkinfo``"""

    subversion: Annotated[str, Meta(max_length=1000)]


class Notification(msgspec.Struct, frozen=True):
    """One of ``getzmqnotifications``."""

    type: str


def formed(kind: type[_T], answer: Any, method: str, where: str) -> _T:
    """A node's answer in the form that the method has; raises SourceError."""
    try:
        return msgspec.convert(answer, kind, dec_hook=_made)
    except ValueError as problem:
        raise misfit(method, str(problem), where) from problem


def misfit(method: str, words: str, where: str) -> SourceError:
    """An answer that no Bitcoin node gives."""
    cause = f"{where} does not answer {method} as a Bitcoin node: {words}"
    return SourceError(cause, "check the address of its RPC, and the node")


def satoshi(amount: Decimal | int) -> Sat:
    """An RPC amount in bitcoin as satoshi, exactly.

    >>> satoshi(Decimal("0.00004500"))
    4500
    """
    if not 0 <= amount <= MAX_MONEY_SAT // _COIN:
        raise SourceError(f"amount {str(amount)[:40]} is none of bitcoin", "check the node")
    value = Decimal(amount) * _COIN
    if value != int(value):
        raise SourceError(
            f"amount {str(amount)[:40]} is no whole number of satoshi", "check the node"
        )
    return Sat(int(value))


def _made(kind: type, plain: Any) -> Any:
    """What JSON has no form for."""
    if kind is Hex and isinstance(plain, str):
        return Hex.fromhex(plain)
    if kind is Amount and isinstance(plain, Decimal | int) and not isinstance(plain, bool):
        return Amount(satoshi(plain))
    raise ValueError(f"{type(plain).__name__} is none")
