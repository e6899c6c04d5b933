"""Parsing: real blocks to the last byte, hostile bytes refused by a typed error."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.chain.check import check_block, merkle_root, target_of
from streams.chain.parse import ParseError, bip34_height, parse_block, parse_header, parse_tx
from tests.bitcoin.data import HEIGHTS, manifest, raw_block, read_json

# The transaction of BIP 143's P2WPKH example, signed.
SEGWIT_TX = bytes.fromhex(
    "01000000000102fff7f7881a8099afa6940d42d1e7f6362bec38171ea3edf433541db4e4ad969f00000000494830"
    "450221008b9d1dc26ba6a9cb62127b02742fa9d754cd3bebf337f7a55d114c8e5cdd30be022040529b194ba3f928"
    "1a99f2b1c0a19c0489bc22ede944ccf4ecbab4cc618ef3ed01eeffffffef51e1b804cc89d182d279655c3aa89e81"
    "5b1b309fe287d9b2b55d57b90ec68a0100000000ffffffff02202cb206000000001976a9148280b37df378db99f6"
    "6f85c95a783a76ac7a6d5988ac9093510d000000001976a9143bde42dbee7e4dbe6a21b2d50ce2f0167faa815988"
    "ac000247304402203609e17b84f6a7d30c80bfa610b5b4542f32a8a0d5447a12fb1366d7f01cc44a0220573a954c"
    "4518331561406f90300e8f3358f51928d43c212a8caed02de67eebee0121025476c2e83188368da1ff3e292e7aca"
    "fcdb3566bb0ad253f62fc70f07aeee635711000000"
)


@pytest.mark.parametrize("height", HEIGHTS)
def test_real_block_parses_to_its_last_byte(height: int) -> None:
    """Each real block parses completely, agrees with the manifest and keeps its commitments."""
    raw = raw_block(height)
    block = parse_block(raw)
    row = manifest()[height]
    counts = (len(block.transactions), sum(len(tx.inputs) for tx in block.transactions))
    assert block.header.hash == row["hash"]
    assert counts == (int(row["txs"]), int(row["inputs"]))
    assert block.size == len(raw) == int(row["bytes"])
    check_block(block)


def test_weight_of_real_block_is_at_most_the_limit() -> None:
    """The weight of the taproot-era block is below and near the 4,000,000 of BIP 141."""
    assert parse_block(raw_block(866342)).weight == 3993209


def test_bip34_height_is_read_from_real_coinbases() -> None:
    """From version 2 on, the coinbase of every real block states the block's height."""
    stated = [bip34_height(parse_block(raw_block(h)).transactions[0]) for h in HEIGHTS[1:]]
    assert stated == list(HEIGHTS[1:])


def test_segwit_transaction_has_both_ids_and_its_weight() -> None:
    """The BIP 143 example gives its known txid, and witness bytes weigh one unit."""
    tx = parse_tx(SEGWIT_TX)
    assert tx.txid == "e8151a2af31c368a35053ddd4bdb285a8595c769a3ad83e0fa02314a602d4609"
    assert (tx.size, tx.weight) == (343, 3 * 233 + 343)
    assert [len(witness) for *_, witness in tx.inputs] == [0, 2]
    assert tx.locktime == 17


def test_regtest_node_agrees_on_weights_and_ids() -> None:
    """Txid, wtxid, size and weight equal what a node's RPC said of the same transactions."""
    told = read_json("regtest_sample", "rpc.json.xz")
    transactions = [tx for block in _blocks_with_hex(told) for tx in block["tx"]]
    parsed = [parse_tx(bytes.fromhex(tx["hex"])) for tx in transactions]
    expected = [(tx["txid"], tx["hash"], tx["size"], tx["weight"]) for tx in transactions]
    assert len(expected) > 0
    assert [(tx.txid, tx.wtxid, tx.size, tx.weight) for tx in parsed] == expected


def _blocks_with_hex(told: object) -> list[dict]:  # type: ignore[type-arg]
    """Every getblock answer with transaction bodies, wherever the recording keeps it."""
    if isinstance(told, dict):
        if "tx" in told and told["tx"] and isinstance(told["tx"][0], dict):
            return [told]
        return [found for value in told.values() for found in _blocks_with_hex(value)]
    if isinstance(told, list):
        return [found for value in told for found in _blocks_with_hex(value)]
    return []


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (SEGWIT_TX[:-1], "cut short"),
        (SEGWIT_TX + b"\0", "1 bytes after"),
        (SEGWIT_TX[:5] + b"\x02" + SEGWIT_TX[6:], "unknown flag 2"),
        (SEGWIT_TX[:6] + b"\xfd\x02\x00" + SEGWIT_TX[7:], "shortest form"),
        (SEGWIT_TX[:6] + b"\xff" + b"\xff" * 8 + SEGWIT_TX[7:], "announced"),
        (SEGWIT_TX[:6] + b"\x00" + SEGWIT_TX[7:], "without inputs"),
    ],
)
def test_malformed_transaction_is_refused_by_name(data: bytes, cause: str) -> None:
    """Truncation, trailing bytes, odd flags, long counts and wild counts are ParseErrors."""
    with pytest.raises(ParseError, match=cause):
        parse_tx(data)


def test_every_truncation_is_refused() -> None:
    """No prefix of a transaction parses."""
    for length in range(len(SEGWIT_TX)):
        with pytest.raises(ParseError):
            parse_tx(SEGWIT_TX[:length])


@given(st.binary(max_size=300))
def test_random_bytes_parse_or_raise_parse_error(data: bytes) -> None:
    """Whatever the bytes, the only error is ParseError."""
    for parse in (parse_tx, parse_block, parse_header):
        try:
            parse(data)
        except ParseError:
            continue


@settings(max_examples=300)
@given(st.integers(0, len(SEGWIT_TX) - 1), st.integers(0, 255))
def test_mutated_transaction_parses_to_all_its_bytes_or_is_refused(at: int, byte: int) -> None:
    """One changed byte gives another transaction of the same size, or a ParseError."""
    data = SEGWIT_TX[:at] + bytes([byte]) + SEGWIT_TX[at + 1 :]
    try:
        assert parse_tx(data).size == len(data)
    except ParseError:
        return


@pytest.mark.parametrize("height", [413567, 866342])
def test_one_changed_byte_breaks_a_commitment(height: int) -> None:
    """A block with a byte changed in its middle or at its end does not pass its checks."""
    raw = raw_block(height)
    for at in (0, 40, len(raw) // 2, len(raw) - 1):
        changed = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        with pytest.raises(ParseError):
            check_block(parse_block(changed))


def test_changed_witness_breaks_the_witness_commitment() -> None:
    """A changed witness byte keeps the merkle root but not the witness commitment."""
    raw = raw_block(866342)
    item = parse_block(raw).transactions[5].inputs[0][4][0]
    at = raw.index(item)
    changed = parse_block(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
    with pytest.raises(ParseError, match="witness commitment differs"):
        check_block(changed)


def test_repeated_transactions_are_refused() -> None:
    """A block mutated by repeating its last transactions has the same root and is refused."""
    three = ["11" * 32, "22" * 32, "33" * 32]
    assert merkle_root(three) != merkle_root(three[:2])
    with pytest.raises(ParseError, match="CVE-2012-2459"):
        merkle_root([*three, three[-1]])


@pytest.mark.parametrize(
    ("bits", "target"),
    [(0x1D00FFFF, 0xFFFF << 208), (0x01800000, 0), (0x207FFFFF, 0x7FFFFF << 232), (0x01003456, 0)],
)
def test_compact_target_is_expanded_as_core_does(bits: int, target: int) -> None:
    """Genesis, negative, regtest and vanishing targets expand as in Core's SetCompact."""
    assert target_of(bits) == target
