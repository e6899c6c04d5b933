"""Base58Check: a payload and the first four bytes of its double SHA-256, in 58 letters."""

from __future__ import annotations

from hashlib import sha256

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VALUE = {char: value for value, char in enumerate(_ALPHABET)}
_MAX_LENGTH = 128


def encode(payload: bytes) -> str:
    """Text of a payload.

    >>> encode(bytes(21))
    '1111111111111111111114oLvT2'
    """
    return encode_raw(payload + _checksum(payload))


def decode(text: str) -> bytes:
    """Payload of a text; ValueError for a foreign character or a wrong checksum."""
    if len(text) > _MAX_LENGTH:
        raise ValueError(f"longer than {_MAX_LENGTH} characters")
    data = decode_raw(text)
    if len(data) < 4 or _checksum(data[:-4]) != data[-4:]:
        raise ValueError("wrong checksum")
    return data[:-4]


def encode_raw(data: bytes) -> str:
    """Base58 without checksum: each leading zero byte is one leading ``1``."""
    number, letters = int.from_bytes(data, "big"), []
    while number:
        number, digit = divmod(number, 58)
        letters.append(_ALPHABET[digit])
    zeros = len(data) - len(data.lstrip(b"\0"))
    return "1" * zeros + "".join(reversed(letters))


def decode_raw(text: str) -> bytes:
    """The reverse of ``encode_raw``; ValueError for a foreign character."""
    number = 0
    for char in text:
        if char not in _VALUE:
            raise ValueError(f"{char!r} is outside the base58 alphabet")
        number = number * 58 + _VALUE[char]
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _checksum(payload: bytes) -> bytes:
    return sha256(sha256(payload).digest()).digest()[:4]
