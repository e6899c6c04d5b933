"""A node's undo files: numbers, amounts and scripts; and what does not fit."""

from __future__ import annotations

import pytest
from coincurve import PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from schemas.units import MAX_MONEY_SAT
from streams.chain.parse import ParseError
from streams.sources.archive_undo import Coin, amount_of, parse_undo

from .building import size


def varint(value: int) -> bytes:
    """Core's variable number: base 128, one subtracted from every continued digit."""
    digits = [value & 0x7F]
    while value > 0x7F:
        value = (value >> 7) - 1
        digits.append((value & 0x7F) | 0x80)
    return bytes(reversed(digits))


def compressed(amount: int) -> int:
    """``CompressAmount`` of Bitcoin Core."""
    if amount == 0:
        return 0
    exponent = 0
    while amount % 10 == 0 and exponent < 9:
        amount, exponent = amount // 10, exponent + 1
    if exponent < 9:
        return 1 + ((amount // 10) * 9 + amount % 10 - 1) * 10 + exponent
    return 1 + (amount - 1) * 10 + 9


def record(coins: list[tuple[Coin, bytes]]) -> bytes:
    """An undo record of one transaction; each coin with its script in short form."""
    parts = [size(1), size(len(coins))]
    for coin, script in coins:
        parts.append(varint(coin.height * 2 + coin.is_coinbase))
        parts.append(varint(0) if coin.height else b"")
        parts.append(varint(compressed(coin.value_sat)) + script)
    return b"".join(parts)


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
    assert [[coin]] == list(parse_undo(record([(coin, short)])))


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
        list(parse_undo(record([(coin, b"\x04" + (5).to_bytes(32, "big"))])))
