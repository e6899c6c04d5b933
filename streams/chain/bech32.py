"""Bech32 and Bech32m (BIP 173, BIP 350): a human-readable part, 5-bit symbols and a checksum."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

BECH32, BECH32M = 1, 0x2BC830A3
"""The constants that tell the two checksums apart."""

_CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUE = {char: value for value, char in enumerate(_CHARSET)}
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_MAX_LENGTH = 90


def _mixed(top: int) -> int:
    mix = 0
    for bit, generator in enumerate(_GENERATOR):
        if top >> bit & 1:
            mix ^= generator
    return mix


_MIX = tuple(_mixed(top) for top in range(32))


def encode(prefix: str, symbols: Sequence[int], constant: int) -> str:
    """Join a lower-case prefix and 5-bit symbols with the checksum of ``constant``."""
    state = _polymod(symbols, _polymod(_expanded(prefix), 1))
    state = _polymod((0,) * 6, state) ^ constant
    checksum = [state >> 5 * (5 - i) & 31 for i in range(6)]
    return f"{prefix}1" + "".join([_CHARSET[s] for s in (*symbols, *checksum)])


def decode(text: str) -> tuple[str, list[int], int]:
    """Prefix, symbols without checksum, and the constant; ValueError for anything malformed."""
    if len(text) > _MAX_LENGTH or (text.lower() != text and text.upper() != text):
        raise ValueError("too long, or mixes upper and lower case")
    prefix, found, rest = text.lower().rpartition("1")
    if not found or not prefix or len(rest) < 6 or not text.isascii():
        raise ValueError("no prefix, or no room for a checksum")
    if any(char not in _VALUE for char in rest):
        raise ValueError("a character outside the bech32 alphabet")
    symbols = [_VALUE[char] for char in rest]
    constant = _polymod(symbols, _polymod(_expanded(prefix), 1))
    if constant not in (BECH32, BECH32M):
        raise ValueError("wrong checksum")
    return prefix, symbols[:-6], constant


def to_symbols(data: bytes) -> list[int]:
    """Bytes as 5-bit symbols, padded with zero bits."""
    count = (len(data) * 8 + 4) // 5
    number = int.from_bytes(data, "big") << (count * 5 - len(data) * 8)
    return [number >> 5 * i & 31 for i in range(count - 1, -1, -1)]


def to_bytes(symbols: Sequence[int]) -> bytes:
    """The reverse; ValueError when the padding is too long or not zero."""
    number = 0
    for symbol in symbols:
        number = number << 5 | symbol
    length, padding = divmod(len(symbols) * 5, 8)
    if padding > 4 or number & ((1 << padding) - 1):
        raise ValueError("padding longer than 4 bits, or not zero")
    return (number >> padding).to_bytes(length, "big")


def _expanded(prefix: str) -> list[int]:
    return [*(ord(c) >> 5 for c in prefix), 0, *(ord(c) & 31 for c in prefix)]


def _polymod(values: Iterable[int], state: int) -> int:
    for value in values:
        state = (state & 0x1FFFFFF) << 5 ^ value ^ _MIX[state >> 25]
    return state
