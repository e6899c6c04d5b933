"""Small transactions for tests: amounts and scripts in, a whole Transaction out."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.events import Prevout, Transaction, TxInput, TxOutput

TXID, OTHER_TXID, PREVIOUS = "ab" * 32, "cd" * 32, "ef" * 32

Owned = tuple[int, bytes]
"""Amount in satoshi and script."""


def p2wpkh(n: int) -> bytes:
    """A P2WPKH script of its own for each ``n``."""
    return b"\x00\x14" + n.to_bytes(20, "big")


def transaction(
    spent: Sequence[Owned | None],
    outputs: Sequence[Owned],
    txid: str = TXID,
    coinbase: bool = False,
) -> Transaction:
    """A transaction of these inputs (None: prevout unknown) and outputs."""
    known = [owned for owned in spent if owned is not None]
    fee = (
        sum(v for v, _ in known) - sum(v for v, _ in outputs) if len(known) == len(spent) else None
    )
    return Transaction(
        network="regtest", txid=txid, wtxid=txid, version=2, locktime=0, size_bytes=200,
        weight_wu=561, vsize_vb=141, is_coinbase=coinbase,
        inputs=[_input(index, owned) for index, owned in enumerate(spent)],
        outputs=[TxOutput(v, script, address(script)) for v, script in outputs],
        fee_sat=fee, fee_missing=None if fee is not None else "prevout missing: pruned",
    )  # fmt: skip


def address(script: bytes) -> str | None:
    """A readable stand-in for an address: data scripts have none."""
    return None if script[:1] == b"\x6a" else f"addr-{script.hex()[-6:]}"


def _input(index: int, owned: Owned | None) -> TxInput:
    prevout = None if owned is None else Prevout(owned[0], owned[1], address(owned[1]))
    missing = "pruned" if owned is None else None
    return TxInput(PREVIOUS, index, 0xFFFFFFFD, b"", [b"sig"], prevout, missing)
