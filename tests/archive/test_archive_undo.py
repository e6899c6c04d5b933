"""A node's undo files: numbers, amounts and scripts; and what does not fit."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from coincurve import PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from schemas.units import MAX_MONEY_SAT
from streams.chain.parse import ParseError
from streams.sources.archive_undo import Coin, UndoFile, amount_of, parse_undo

from .building import Builder, compressed, undo_frame, undo_record, varint


@given(st.integers(0, MAX_MONEY_SAT) | st.integers(0, 21_000_000).map(lambda n: n * 10**8))
def test_amounts_come_back(amount: int) -> None:
    """Every amount of money survives its compression."""
    assert amount == amount_of(compressed(amount))


KEY = PrivateKey(b"k" * 32).public_key
SHORT, LONG = KEY.format(True), KEY.format(False)
HASH = bytes(range(20))
SCRIPTS = {
    "p2pkh": (b"\x00" + HASH, b"\x76\xa9\x14" + HASH + b"\x88\xac"),
    "p2sh": (b"\x01" + HASH, b"\xa9\x14" + HASH + b"\x87"),
    "p2pk": (SHORT, b"\x21" + SHORT + b"\xac"),
    "p2pk, long key": (bytes([SHORT[0] + 2]) + SHORT[1:], b"\x41" + LONG + b"\xac"),
    "any other": (varint(6 + 3) + b"abc", b"abc"),
    "nothing": (varint(6), b""),
    "too long to be spent": (varint(6 + 10_001) + bytes(10_001), b"\x6a"),
}


@pytest.mark.parametrize("kind", SCRIPTS)
def test_scripts_come_back(kind: str) -> None:
    """Each short form becomes the script that it stands for; a long key gets its other half."""
    short, script = SCRIPTS[kind]
    coin = Coin(5_000, script, 123_456, kind == "p2pk")
    assert [[coin]] == list(parse_undo(undo_record([(coin, short)])))


@given(st.binary(max_size=200))
def test_nothing_but_a_parse_error(data: bytes) -> None:
    """Whatever the bytes, they parse or are refused."""
    try:
        list(parse_undo(data))
    except ParseError as error:
        assert str(error)


def test_a_key_off_the_curve_is_refused() -> None:
    """An x without a point on the curve is no public key."""
    coin = Coin(1, b"", 1, False)
    with pytest.raises(ParseError, match="no point of the curve"):
        list(parse_undo(undo_record([(coin, b"\x04" + (5).to_bytes(32, "big"))])))


@pytest.mark.parametrize(
    "coin", [Coin(MAX_MONEY_SAT + 1, b"", 1, False), Coin(1, b"", 1 << 31, False)]
)
def test_an_output_that_cannot_be_is_refused(coin: Coin) -> None:
    """More than all money, or from a height that no block has: no event could hold it."""
    with pytest.raises(ParseError, match="an output of"):
        list(parse_undo(undo_record([(coin, varint(6))])))


def test_a_record_of_more_inputs_than_its_block_has_is_refused_before_it_is_read() -> None:
    """The first count that does not fit ends it, however much follows."""
    with pytest.raises(ParseError, match="does not undo the inputs of its block"):
        list(parse_undo(b"\x01\xfe\xff\xff\xff\x7f", [1]))


def test_a_frame_without_a_count_is_no_record(tmp_path: Path) -> None:
    """It is passed over as damage is; others are found, whether later or earlier than the last."""
    blocks = Builder(seed=4, per_block=1).grow(9)[1:]
    bodies = [undo_record([(Coin(n, b"", n, False), varint(6))]) for n in range(len(blocks))]
    path = tmp_path / "rev00000.dat"
    frames = [undo_frame(made.previous, body) for made, body in zip(blocks, bodies, strict=True)]
    path.write_bytes(undo_frame("00" * 32, b"\xfd") + b"".join(frames))
    with closing(UndoFile(path, bytes(8), "regtest")) as found:
        for n in (0, 1, 2, 7, 6, 3):
            assert [[Coin(n, b"", n, False)]] == found.spent(blocks[n].previous, [1])
        assert found.spent("00" * 32, [1]) is None
