"""A node's rev*.dat files: what the inputs of each block spend.

A record undoes one block: for every transaction but the coinbase, for every input, the output that
it spent, compressed (Bitcoin Core: ``undo.h``, ``compressor.cpp``). Nothing in it names its block,
but its checksum is over the hash of the block's parent and the record.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from schemas.units import is_amount
from streams.chain.parse import MAX_HEIGHT, ParseError, double_sha256
from streams.sources.archive_files import CHECKSUM_BYTES, Damage, FrameReader
from streams.sources.errors import SourceError

PRIME = 2**256 - 2**32 - 977
"""The field of secp256k1."""
_SPECIAL = {0: 20, 1: 20, 2: 32, 3: 32, 4: 32, 5: 32}
"""Bytes that follow the script kinds that have a short form."""
_MAX_SCRIPT = 10_000
_MOST_TRIED = 4096
"""Records that are looked at for one block: a node writes them nearly in the order of its blocks,
so what is further away is of a file that was made to keep us busy."""
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
        self._records: dict[int, list[UndoRecord]] = {}
        self._last: dict[int, int] = {}
        """By number of transactions, where in their row the last record was found."""
        for frame in self._reader.frames():
            count = None if isinstance(frame, Damage) else _count(frame.head)
            if isinstance(frame, Damage) or count is None:
                continue  # a block whose record is missing is told by the block
            record = UndoRecord(frame.offset, frame.size, count)
            self._records.setdefault(count, []).append(record)

    def close(self) -> None:
        self._reader.close()

    def spent(self, previous: str, inputs: list[int]) -> list[list[Coin]] | None:
        """The coins of the block after ``previous``, by transaction; None where there is no record.

        ``inputs`` counts the inputs of each transaction but the coinbase. Raises SourceError when
        the record is there and does not fit.
        """
        if not inputs:
            return []
        records = self._records.get(len(inputs), [])
        for place in _nearest(self._last.get(len(inputs), 0), len(records)):
            record = records[place]
            data = self._reader.read(record.offset, record.size + CHECKSUM_BYTES)
            body, checksum = data[: record.size], data[record.size :]
            if double_sha256(bytes.fromhex(previous)[::-1] + body) == checksum:
                self._last[len(inputs)] = place
                return self._coins(record, body, inputs)
        return None

    def _coins(self, record: UndoRecord, body: bytes, inputs: list[int]) -> list[list[Coin]]:
        try:
            return list(parse_undo(body, inputs))
        except ParseError as problem:
            cause = f"{self.path} at {record.offset}: {problem}"
            raise SourceError(cause, _REMEDY) from problem


def _count(head: bytes) -> int | None:
    """For how many transactions a record is; None for bytes that are no record."""
    try:
        return _Bytes(head).compact_size()
    except ParseError:
        return None


def _nearest(start: int, count: int) -> Iterator[int]:
    """Places in a row of ``count``, those beside ``start`` first.

    >>> list(_nearest(2, 5))
    [2, 1, 3, 0, 4]
    """
    for step in range(min(count, _MOST_TRIED)):
        yield from (n for n in (start + step, start - step - 1) if 0 <= n < count)


def parse_undo(data: bytes, inputs: Sequence[int] | None = None) -> Iterator[list[Coin]]:
    """The coins of every transaction of a record, in the block's order; raises ParseError.

    ``inputs``: how many each transaction has, all but the coinbase.
    """
    reader = _Bytes(data)
    for number in range(reader.compact_size()):
        count = reader.compact_size()
        if inputs is not None and [count] != [*inputs[number : number + 1]]:
            raise ParseError("it does not undo the inputs of its block")
        yield [_coin(reader) for _ in range(count)]
    if reader.place != len(data):
        raise ParseError(f"{len(data) - reader.place} bytes after the undo record")


def _coin(reader: _Bytes) -> Coin:
    code = reader.varint()
    if code >> 1:
        reader.varint()  # a version that Core no longer uses
    value = amount_of(reader.varint())
    if not is_amount(value) or code >> 1 > MAX_HEIGHT:
        raise ParseError(f"an output of {value} sat from height {code >> 1}")
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
