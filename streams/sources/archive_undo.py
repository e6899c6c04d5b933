"""A node's rev*.dat files: what the inputs of each block spend.

A record undoes one block: for every transaction but the coinbase, for every input, the output that
it spent, compressed (Bitcoin Core: ``undo.h``, ``compressor.cpp``). Nothing in it names its block,
but its checksum is over the hash of the block's parent and the record.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from streams.chain.parse import ParseError, double_sha256
from streams.sources.archive_files import CHECKSUM_BYTES, Damage, FrameReader
from streams.sources.errors import SourceError

PRIME = 2**256 - 2**32 - 977
"""The field of secp256k1."""
_SPECIAL = {0: 20, 1: 20, 2: 32, 3: 32, 4: 32, 5: 32}
"""Bytes that follow the script kinds that have a short form."""
_MAX_SCRIPT = 10_000
_REMEDY = "copy blk and rev files of one node, or leave the rev files out"


class Coin(NamedTuple):
    """An output that a block spent."""

    value_sat: int
    script: bytes
    height: int
    is_coinbase: bool


class UndoRecord(NamedTuple):
    """Where one block's undo record stands, and for how many transactions it is."""

    offset: int
    size: int
    transactions: int


class UndoFile:
    """One rev file: its records, found again by the parent of their block."""

    def __init__(self, path: Path, key: bytes, network: str) -> None:
        self.path = path
        self._reader = FrameReader(path, key, network, undo=True)
        self._waiting: dict[int, list[UndoRecord]] = {}
        for frame in self._reader.frames():
            if isinstance(frame, Damage):
                continue  # a block whose record is missing is told by the block
            count = _Bytes(frame.head).compact_size()
            record = UndoRecord(frame.offset, frame.size, count)
            self._waiting.setdefault(count, []).append(record)

    def close(self) -> None:
        self._reader.close()

    def spent(self, previous: str, inputs: list[int]) -> list[list[Coin]] | None:
        """The coins of the block after ``previous``, by transaction; None where there is no record.

        ``inputs`` counts the inputs of each transaction but the coinbase. Raises SourceError when
        the record is there and does not fit.
        """
        if not inputs:
            return []
        waiting = self._waiting.get(len(inputs), [])
        for record in waiting:
            data = self._reader.read(record.offset, record.size + CHECKSUM_BYTES)
            body, checksum = data[: record.size], data[record.size :]
            if double_sha256(bytes.fromhex(previous)[::-1] + body) == checksum:
                return self._coins(record, body, inputs)
        return None

    def _coins(self, record: UndoRecord, body: bytes, inputs: list[int]) -> list[list[Coin]]:
        try:
            coins = list(parse_undo(body))
        except ParseError as problem:
            cause = f"{self.path} at {record.offset}: {problem}"
            raise SourceError(cause, _REMEDY) from problem
        if [len(of) for of in coins] != inputs:
            cause = f"{self.path} at {record.offset} does not undo the inputs of its block"
            raise SourceError(cause, _REMEDY)
        return coins


def parse_undo(data: bytes) -> Iterator[list[Coin]]:
    """The coins of every transaction of a record, in the block's order; raises ParseError."""
    reader = _Bytes(data)
    for _ in range(reader.compact_size()):
        yield [_coin(reader) for _ in range(reader.compact_size())]
    if reader.place != len(data):
        raise ParseError(f"{len(data) - reader.place} bytes after the undo record")


def _coin(reader: _Bytes) -> Coin:
    code = reader.varint()
    if code >> 1:
        reader.varint()  # a version that Core no longer uses
    value = amount_of(reader.varint())
    kind = reader.varint()
    script = (
        _script(kind, reader.take(_SPECIAL[kind])) if kind in _SPECIAL else _plain(reader, kind)
    )
    return Coin(value, script, code >> 1, bool(code & 1))


def _plain(reader: _Bytes, kind: int) -> bytes:
    size = kind - len(_SPECIAL)
    if size > _MAX_SCRIPT:  # never spendable; Core writes OP_RETURN in its place
        reader.take(size)
        return b"\x6a"
    return reader.take(size)


def _script(kind: int, body: bytes) -> bytes:
    match kind:
        case 0:
            return b"\x76\xa9\x14" + body + b"\x88\xac"
        case 1:
            return b"\xa9\x14" + body + b"\x87"
        case 2 | 3:
            return b"\x21" + bytes([kind]) + body + b"\xac"
        case _:
            return b"\x41\x04" + body + _other_half(body, kind - 4) + b"\xac"


def _other_half(x_bytes: bytes, odd: int) -> bytes:
    """The y of a point on secp256k1 from its x and whether y is odd; raises ParseError."""
    x = int.from_bytes(x_bytes, "big")
    square = (pow(x, 3, PRIME) + 7) % PRIME
    y = pow(square, (PRIME + 1) // 4, PRIME)
    if y * y % PRIME != square or x >= PRIME:
        raise ParseError("a public key that is no point of the curve")
    return int(y if y % 2 == odd else PRIME - y).to_bytes(32, "big")


def amount_of(compressed: int) -> int:
    """Satoshi of a compressed amount (``DecompressAmount``).

    >>> [amount_of(n) for n in (0, 1, 7, 9, 0x32)]
    [0, 1, 1000000, 100000000, 5000000000]
    """
    if compressed == 0:
        return 0
    rest, exponent = divmod(compressed - 1, 10)
    if exponent < 9:
        rest, digit = divmod(rest, 9)
        return int((rest * 10 + digit + 1) * 10**exponent)
    return int((rest + 1) * 10**exponent)


class _Bytes:
    """A place in bytes, and the numbers that stand there; running off the end is a ParseError."""

    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0

    def take(self, count: int) -> bytes:
        found = self.data[self.place : self.place + count]
        if len(found) != count:
            raise ParseError(f"cut short: {count} bytes announced, {len(found)} there")
        self.place += count
        return found

    def varint(self) -> int:
        """Core's own: base 128, the highest first, one subtracted from every continued digit."""
        value = 0
        for _ in range(10):
            byte = self._byte()
            value = (value << 7) | (byte & 0x7F)
            if byte < 0x80:
                return value
            value += 1
        raise ParseError("a number of more than 10 bytes")

    def compact_size(self) -> int:
        first = self._byte()
        if first < 253:
            return first
        return int.from_bytes(self.take(1 << (first - 252)), "little")

    def _byte(self) -> int:
        if self.place >= len(self.data):
            raise ParseError("cut short inside a number")
        self.place += 1
        return self.data[self.place - 1]
