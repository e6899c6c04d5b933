"""Real transactions for the pattern tests; a test skips by name when a file is not there."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import pytest

from schemas.events import Prevout, Transaction, TxInput, TxOutput
from streams.chain.address import address_of
from streams.chain.build import Place, prevout, transaction_value
from streams.chain.parse import RawTx, parse_block

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "bitcoin"
NO_PREVOUTS = "not in this data set"


def read(*parts: str) -> bytes:
    """Bytes of a shared file, unpacked; skips the test, naming the file, when it is not there."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"shared data not present: {'/'.join(parts)}")
    return lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()


@cache
def coinjoins() -> list[tuple[str, Transaction]]:
    """Every labelled CoinJoin-like transaction with its kind."""
    lines = read("coinjoin", "coinjoins.jsonl.xz").decode().splitlines()
    return [(row["kind"], _coinjoin(row)) for row in map(json.loads, lines)]


@lru_cache(maxsize=4)
def block(height: int, with_prevouts: bool = False) -> list[Transaction]:
    """A real block's transactions, with or without every prevout."""
    raw = parse_block(read("blocks", f"{height}.raw.xz"))
    spent = iter(json.loads(read("prevouts", f"{height}.json.xz"))) if with_prevouts else None
    return [transaction_value(tx, "main", _spent(tx, spent)) for tx in raw.transactions]


def api_transactions(name: str) -> list[Transaction]:
    """Transactions of an explorer's API, with prevouts and addresses."""
    return [_api(row) for row in json.loads(read("mempool", name))]


def _spent(tx: RawTx, rows: Iterator[Any] | None) -> list[Prevout | str]:
    if tx.is_coinbase:
        return ["coinbase"]
    if rows is None:
        return [NO_PREVOUTS] * len(tx.inputs)
    return [
        prevout(value, bytes.fromhex(script), "main", height, coinbase)
        for value, script, height, coinbase, _ in (next(rows) for _ in tx.inputs)
    ]


def _coinjoin(row: dict[str, Any]) -> Transaction:
    inputs = [
        TxInput(txid, index, 0xFFFFFFFF, b"", [], _prevout(value, bytes.fromhex(script)))
        for txid, index, value, script in row["in"]
    ]
    outputs = [_output(value, bytes.fromhex(script)) for value, script in row["out"]]
    return _transaction(row["txid"], inputs, outputs)


def _api(row: dict[str, Any]) -> Transaction:
    inputs = [
        TxInput(
            i["txid"], i["vout"], i["sequence"], b"", [],
            _prevout(i["prevout"]["value"], bytes.fromhex(i["prevout"]["scriptpubkey"])),
        )
        for i in row["vin"]
    ]  # fmt: skip
    outputs = [_output(o["value"], bytes.fromhex(o["scriptpubkey"])) for o in row["vout"]]
    return _transaction(row["txid"], inputs, outputs)


def _transaction(txid: str, inputs: list[TxInput], outputs: list[TxOutput]) -> Transaction:
    fee = sum(i.prevout.value_sat for i in inputs if i.prevout) - sum(o.value_sat for o in outputs)
    return Transaction(
        network="main", txid=txid, wtxid=txid, version=2, locktime=0, size_bytes=200,
        weight_wu=561, vsize_vb=141, is_coinbase=False, inputs=inputs, outputs=outputs, fee_sat=fee,
    )  # fmt: skip


def _prevout(value: int, script: bytes) -> Prevout:
    return Prevout(value, script, address_of(script, "main"))


def _output(value: int, script: bytes) -> TxOutput:
    return TxOutput(value, script, address_of(script, "main"))


@lru_cache(maxsize=2)
def block_alone(height: int) -> list[Transaction]:
    """A real block's transactions with the prevouts that the block itself holds."""
    raw = parse_block(read("blocks", f"{height}.raw.xz"))
    made = {tx.txid: tx.outputs for tx in block(height)}
    block_hash = f"{height:064x}"
    return [
        transaction_value(tx, "main", _within(tx, made), Place(block_hash, height, position))
        for position, tx in enumerate(raw.transactions)
    ]


def _within(tx: RawTx, made: dict[str, list[TxOutput]]) -> list[Prevout | str]:
    spent: list[Prevout | str] = []
    for prev_txid, prev_vout, *_ in tx.inputs:
        found = made.get(prev_txid)
        if found is None:
            spent.append(NO_PREVOUTS)
        else:
            output = found[prev_vout]
            spent.append(Prevout(output.value_sat, output.script, output.address))
    return spent
