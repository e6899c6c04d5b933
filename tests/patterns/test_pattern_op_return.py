"""OP_RETURN: each protocol by its bytes, and the counts in real blocks."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.patterns.op_return import OpReturnConfig, classify, detect, protocols, pushed
from streams.patterns.rc4 import rc4

from .build import PREVIOUS, p2wpkh, transaction
from .data import block

KEY = bytes.fromhex(PREVIOUS)


def script(data: bytes) -> bytes:
    """OP_RETURN and one push."""
    size = len(data)
    return b"\x6a" + (bytes([size]) if size <= 75 else b"\x4c" + bytes([size])) + data


CASES = {
    "runes": b"\x6a\x5d\x07\x14\xc0\xa2\x33",
    "omni": script(b"omni" + bytes(16)),
    "counterparty": script(rc4(KEY, b"CNTRPRTY" + bytes(20))),
    "stacks": script(b"X2[" + bytes(77)),
    "blockstack_names": script(b"id:" + b"name.id"),
    "open_assets": script(b"OA\x01\x00\x01\x05\x00"),
    "veriblock": script(bytes.fromhex("000177dc0002") + bytes(range(74))),
    "thorchain": script(b"=:ETH.ETH:0xabc"),
    "witness_commitment": script(b"\xaa\x21\xa9\xed" + bytes(32)),
    "ion": script(b"ion:12.QmVn3yVKY8eg"),
    "rsk": script(b"RSKBLOCK:" + bytes(32)),
    "eternity_wall": script(b"EW hello"),
    "hash32": script(bytes(range(32))),
    "text": script(b"hello"),
    "empty": b"\x6a",
    "unknown": script(b"\xff\xfe\x01"),
}

NEAR_MISSES = {
    "text": [b"omn", b"X2", b"idname", b"=:", b"note: lunch", b"CNTRPRT", b"io:1"],
    "unknown": [b"\x00" * 31, b"\xff" * 33, b"\xff" * 80, b"\xaa\x21\xa9" + b"\xff" * 33],
}

BLOCKS = {
    413567: {"counterparty": 3},
    481815: {"witness_commitment": 1, "omni": 5, "counterparty": 7, "hash32": 2,
             "open_assets": 14, "text": 1},
    514485: {"rsk": 1, "witness_commitment": 1, "omni": 83, "counterparty": 17, "text": 1,
             "hash32": 4, "factom": 2},
    540107: {"witness_commitment": 1, "omni": 11, "hash32": 3},
    574200: {"witness_commitment": 1, "omni": 418, "blockstack_names": 2, "poet": 1,
             "veriblock": 550, "komodo": 2, "factom": 2},
    866342: {"witness_commitment": 1, "stacks": 6, "runes": 3949, "hash32": 4, "hemi": 1,
             "unknown": 1, "text": 2, "counterparty": 7},
}  # fmt: skip


@pytest.mark.parametrize("protocol", CASES)
def test_each_protocol_by_its_bytes(protocol: str) -> None:
    """The bytes that a protocol writes are given its name."""
    assert protocol == classify(CASES[protocol], KEY)


@pytest.mark.parametrize(
    ("expected", "data"), [(k, d) for k, several in NEAR_MISSES.items() for d in several]
)
def test_near_misses_keep_no_protocols_name(expected: str, data: bytes) -> None:
    """A prefix cut short or a length off by one is not taken for the protocol."""
    assert expected == classify(script(data), KEY)


def test_counterparty_needs_the_first_inputs_txid() -> None:
    """With another key the message stays unknown: the key is part of the mark."""
    assert classify(CASES["counterparty"], KEY) == "counterparty"
    assert classify(CASES["counterparty"], bytes(32)) == "unknown"
    assert classify(CASES["counterparty"], None) == "unknown"


def test_one_match_for_each_protocol_of_a_transaction() -> None:
    """Two outputs of one protocol are one match; ignored classes make none."""
    outputs = [CASES["omni"], CASES["text"], CASES["omni"], CASES["runes"]]
    tx = transaction([(1_000, p2wpkh(1))], [(0, data) for data in outputs])
    found = detect(tx)
    assert [match.pattern for match in found] == ["op_return.omni", "op_return.runes"]
    assert found[0].reasons[0] == "output 0 carries omni data (2 such outputs, 44 bytes of script)"
    assert {"info"} == {match.severity for match in found}


def test_a_transaction_without_data_has_no_match() -> None:
    """Payments alone say nothing here, whatever is not ignored."""
    tx = transaction([(1_000, p2wpkh(1))], [(900, p2wpkh(2))])
    assert detect(tx, OpReturnConfig(ignored=frozenset())) == []


@pytest.mark.parametrize("height", BLOCKS)
def test_counts_in_real_blocks(height: int) -> None:
    """Every data output of a real block, by class."""
    assert BLOCKS[height] == Counter(p for tx in block(height) for _, p in protocols(tx))


@given(st.binary(max_size=120))
def test_any_bytes_have_a_class(data: bytes) -> None:
    """No script, however broken, raises; what is pushed is part of it."""
    assert classify(b"\x6a" + data, KEY)
    assert pushed(b"\x6a" + data) in data
