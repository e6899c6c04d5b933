"""Features: complete, finite, deterministic, and never a 0 for what is unknown."""

from __future__ import annotations

import json
import lzma
from math import isfinite, log10
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import Prevout, Transaction, TxInput, TxOutput
from schemas.units import MAX_MONEY_SAT
from streams.chain.build import prevout, transaction_value
from streams.chain.parse import parse_block
from streams.features import GROUPS, WORDS, extract

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "bitcoin"

NEED_PREVOUTS = {
    name
    for name in WORDS
    if name.startswith(("input_share_", "distinct_", "self_output_")) or "_input_sat" in name
}

amounts = st.integers(0, MAX_MONEY_SAT)
scripts = st.binary(max_size=40) | st.sampled_from(
    [b"\x00\x14" + bytes(20), b"\x51\x20" + bytes(32), b"\x6a", b"\x76\xa9\x14" + bytes(20)]
)
prevouts = st.builds(Prevout, amounts, scripts)
inputs = st.builds(
    TxInput,
    prev_txid=st.just("ef" * 32),
    prev_vout=st.integers(0, 0xFFFFFFFF),
    sequence=st.integers(0, 0xFFFFFFFF),
    script_sig=st.binary(max_size=3),
    witness=st.lists(st.binary(max_size=3), max_size=2),
    prevout=st.none() | prevouts,
    prevout_missing=st.none() | st.just("pruned"),
)
transactions = st.builds(
    Transaction,
    network=st.just("regtest"),
    txid=st.just("ab" * 32),
    wtxid=st.just("ab" * 32),
    version=st.integers(-(2**31), 2**31 - 1),
    locktime=st.integers(0, 0xFFFFFFFF),
    size_bytes=st.integers(60, 4_000_000),
    weight_wu=st.integers(240, 4_000_000),
    vsize_vb=st.integers(60, 1_000_000),
    is_coinbase=st.booleans(),
    inputs=st.lists(inputs, min_size=1, max_size=4),
    outputs=st.lists(st.builds(TxOutput, amounts, scripts), max_size=4),
    fee_sat=st.none() | amounts,
)


def simple(**changes: object) -> Transaction:
    """One P2WPKH input of 100,000 sat to two outputs, fee 1,000 sat."""
    own, payee = b"\x00\x14" + bytes(20), b"\x51\x20" + bytes(32)
    tx = Transaction(
        network="regtest", txid="ab" * 32, wtxid="ab" * 32, version=2, locktime=0, size_bytes=200,
        weight_wu=561, vsize_vb=141, is_coinbase=False,
        inputs=[TxInput("ef" * 32, 0, 0xFFFFFFFD, b"", [b"s"], Prevout(100_000, own))],
        outputs=[TxOutput(60_000, payee), TxOutput(39_000, own)], fee_sat=1_000,
    )  # fmt: skip
    return msgspec.structs.replace(tx, **changes)


@given(transactions)
def test_every_feature_has_a_finite_value_or_a_reason(tx: Transaction) -> None:
    """For any transaction the names are the same, each with a value or a reason, never both."""
    found = extract(tx)
    assert set(WORDS) == found.values.keys() | found.missing.keys()
    assert not found.values.keys() & found.missing.keys()
    assert all(isfinite(value) for value in found.values.values())
    assert all(found.missing.values())


@given(transactions)
def test_extraction_is_a_pure_function(tx: Transaction) -> None:
    """The same transaction gives the same features, in the same order."""
    assert list(extract(tx).values.items()) == list(extract(tx).values.items())


@given(transactions)
def test_shares_are_shares(tx: Transaction) -> None:
    """Whatever is called a share lies in [0, 1]."""
    shares = {k: v for k, v in extract(tx).values.items() if "share" in k}
    assert all(0.0 <= share <= 1.0 for share in shares.values()), shares


def test_a_simple_payment_in_numbers() -> None:
    """The features of a hand-made transaction are the ones counted by hand."""
    values = extract(simple()).values
    expected = {
        "log10_output_sat": log10(99_001), "log10_input_sat": log10(100_001),
        "max_output_share": 60 / 99, "round_output_count": 0.0, "fee_sat": 1_000.0,
        "feerate_msat_per_vb": 7_092.0, "fee_share": 0.01, "input_count": 1.0,
        "output_count": 2.0, "vsize_vb": 141.0, "replaceable": 1.0, "self_output_count": 1.0,
        "self_output_value_share": 39 / 99, "output_share_p2tr": 0.5, "input_share_p2wpkh": 1.0,
    }  # fmt: skip
    assert expected == {name: values[name] for name in expected}


def test_an_unknown_prevout_leaves_features_out_with_its_reason() -> None:
    """What needs every prevout is missing, with the input and its reason, and is not 0."""
    known = simple().inputs[0]
    unknown = msgspec.structs.replace(known, prevout=None, prevout_missing="pruned")
    found = extract(simple(inputs=[known, unknown], fee_sat=None, fee_missing="prevout missing"))
    assert {k for k, why in found.missing.items() if "prevout: pruned" in why} == NEED_PREVOUTS
    assert found.missing["log10_input_sat"] == "input 1 has no prevout: pruned"
    assert found.missing["fee_sat"] == "the fee is unknown: prevout missing"


def test_a_coinbase_has_no_fee_and_no_inputs() -> None:
    """A coinbase pays no fee and spends nothing: both are said, neither is 0."""
    found = extract(simple(is_coinbase=True, fee_sat=None))
    assert found.missing["fee_sat"] == "a coinbase pays no fee"
    assert found.missing["log10_input_sat"] == "a coinbase spends no output"


@pytest.mark.parametrize(
    ("locktime", "sequence", "expected"),
    [
        (0, 0xFFFFFFFE, (0.0, 0.0, 0.0)),
        (866_341, 0xFFFFFFFE, (1.0, 0.0, 0.0)),
        (866_341, 0xFFFFFFFF, (0.0, 0.0, 0.0)),
        (499_999_999, 0xFFFFFFFD, (1.0, 0.0, 1.0)),
        (500_000_000, 0xFFFFFFFD, (0.0, 1.0, 1.0)),
    ],
)
def test_lock_times_and_replaceability(
    locktime: int, sequence: int, expected: tuple[float, ...]
) -> None:
    """A lock time counts only if a sequence is not final (BIP 65); 0xfffffffd signals (BIP 125)."""
    spent = msgspec.structs.replace(simple().inputs[0], sequence=sequence)
    values = extract(simple(locktime=locktime, inputs=[spent])).values
    names = ("locktime_height_set", "locktime_time_set", "replaceable")
    assert expected == tuple(values[name] for name in names)


@pytest.mark.parametrize(("version", "expected"), [(1, 0.0), (2, 1.0)])
def test_relative_locks_need_version_2(version: int, expected: float) -> None:
    """BIP 68 reads a sequence as a relative lock only from version 2 on."""
    spent = msgspec.structs.replace(simple().inputs[0], sequence=144)
    assert (
        expected == extract(simple(version=version, inputs=[spent])).values["relative_lock_count"]
    )


def test_each_group_names_its_features_and_no_others() -> None:
    """Names are unique across groups, and each phrase has a place for the value."""
    assert len(WORDS) == sum(len(group.words) for group in GROUPS.values())
    assert all(phrase.count("{}") == 1 for phrase in WORDS.values())


def test_a_real_block_with_every_prevout_misses_nothing() -> None:
    """In a real block only the coinbase has features missing."""
    found = [extract(tx) for tx in real_block(866342)]
    assert len(found) == 4864
    assert [index for index, features in enumerate(found) if features.missing] == [0]


def real_block(height: int) -> list[Transaction]:
    """A real block's transactions with every prevout."""
    blocks, spent = (
        SHARED / "blocks" / f"{height}.raw.xz",
        SHARED / "prevouts" / f"{height}.json.xz",
    )
    if not blocks.exists():
        pytest.skip(f"shared data not present: blocks/{height}.raw.xz")
    rows = iter(json.loads(lzma.decompress(spent.read_bytes())))
    return [
        transaction_value(
            raw,
            "main",
            ["coinbase"]
            if raw.is_coinbase
            else [
                prevout(value, bytes.fromhex(script), "main", height, coinbase)
                for value, script, height, coinbase, _ in (next(rows) for _ in raw.inputs)
            ],
        )
        for raw in parse_block(lzma.decompress(blocks.read_bytes())).transactions
    ]
