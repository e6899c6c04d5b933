"""Consensus bytes to block headers and transactions: fast, pure, safe on hostile input.

The serialisation is that of Bitcoin Core (``serialize.h``, ``transaction.h``) with the witness form
of BIP 144. Everything comes out as plain tuples; hashes are hex in display order, scripts and
witness items are bytes, amounts are satoshi.

>>> parse_block(b"")
Traceback (most recent call last):
...
streams.chain.parse.ParseError: block header cut short: 0 of 80 bytes
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from hashlib import sha256
from struct import Struct
from typing import NamedTuple, TypeVar

from schemas.units import MAX_MONEY_SAT

MAX_BLOCK_BYTES = 4_000_000
"""A block's weight is at most 4,000,000 and no byte weighs less than one unit (BIP 141)."""

MAX_HEIGHT = 1 << 30
"""No chain is that high; what says so of a block lies."""

HEADER_BYTES = 80
NULL_HASH = "00" * 32
"""Previous txid of a coinbase input, previous block of a genesis block."""

RawInput = tuple[str, int, bytes, int, tuple[bytes, ...]]
"""Previous txid, previous output index, script_sig, sequence, witness items."""

RawOutput = tuple[int, bytes]
"""Value in satoshi, script_pubkey."""

_T = TypeVar("_T")
_MIN_INPUT, _MIN_OUTPUT, _MIN_TX = 41, 9, 60
_HEADER = Struct("<i32s32sIII")
_VERSION, _U16, _U32, _U64 = (Struct(form).unpack_from for form in ("<i", "<H", "<I", "<Q"))
_OUTPOINT = Struct("<32sI").unpack_from


class ParseError(ValueError):
    """The bytes are not one well-formed block or transaction; the message names what is wrong."""


class RawTx(NamedTuple):
    """One transaction as it stands in its bytes."""

    txid: str
    wtxid: str
    version: int
    inputs: list[RawInput]
    outputs: list[RawOutput]
    locktime: int
    size: int
    """Bytes with the witness."""
    weight: int
    """Weight units (BIP 141): three times the stripped size plus the size."""

    @property
    def is_coinbase(self) -> bool:
        """Whether this creates new coin: one input that spends the null outpoint."""
        return self.inputs[0][0] == NULL_HASH and self.inputs[0][1] == 0xFFFFFFFF

    @property
    def has_witness(self) -> bool:
        """Whether any input carries witness items."""
        return self.txid != self.wtxid


class RawHeader(NamedTuple):
    """The 80-byte header; ``hash`` and ``merkle_root`` in display order, ``time`` in seconds."""

    hash: str
    version: int
    previous: str
    merkle_root: str
    time: int
    bits: int
    nonce: int


class RawBlock(NamedTuple):
    """A block: header, transactions in order, and sizes."""

    header: RawHeader
    transactions: list[RawTx]
    size: int
    weight: int


def double_sha256(data: bytes) -> bytes:
    """The hash of blocks and transactions, in internal byte order."""
    return sha256(sha256(data).digest()).digest()


def display(internal: bytes) -> str:
    """Hex of a hash in display order, which is the internal order reversed."""
    return internal[::-1].hex()


def parse_block(data: bytes) -> RawBlock:
    """Read one block to its last byte, without checking commitments (``check.check_block``).

    Raises ParseError for truncated, oversized, non-canonical or trailing bytes.
    """
    header = parse_header(data)
    if len(data) > MAX_BLOCK_BYTES:
        raise ParseError(f"block of {len(data)} bytes exceeds {MAX_BLOCK_BYTES}")
    transactions, pos = _guarded(_transactions, data, HEADER_BYTES)
    if pos != len(data):
        raise ParseError(f"{len(data) - pos} bytes after the block's last transaction")
    return RawBlock(header, transactions, len(data), _block_weight(len(data), transactions))


def parse_header(data: bytes) -> RawHeader:
    """Read the first 80 bytes as a block header."""
    if len(data) < HEADER_BYTES:
        raise ParseError(f"block header cut short: {len(data)} of {HEADER_BYTES} bytes")
    version, previous, root, time, bits, nonce = _HEADER.unpack_from(data)
    block_hash = display(double_sha256(data[:HEADER_BYTES]))
    return RawHeader(block_hash, version, display(previous), display(root), time, bits, nonce)


def parse_tx(data: bytes) -> RawTx:
    """Read one transaction to its last byte. Raises ParseError."""
    if len(data) > MAX_BLOCK_BYTES:
        raise ParseError(f"transaction of {len(data)} bytes exceeds {MAX_BLOCK_BYTES}")
    tx, pos = _guarded(_tx, data, 0)
    if pos != len(data):
        raise ParseError(f"{len(data) - pos} bytes after the transaction's lock time")
    return tx


def bip34_height(tx: RawTx) -> int | None:
    """The height that a version 2 block's coinbase states first in its script (BIP 34).

    None when the script does not begin with a number pushed in the form BIP 34 asks for; whether
    the number is a height is for the caller to know (the rule holds from block 227,931 on).
    """
    script = tx.inputs[0][2]
    if not script:
        return None
    if 0x51 <= script[0] <= 0x60:
        return script[0] - 0x50
    length = script[0]
    if length > 5 or len(script) < 1 + length:
        return None
    height = int.from_bytes(script[1 : 1 + length], "little", signed=True)
    return height if height >= 0 else None


def _guarded(read: Callable[[bytes, int], tuple[_T, int]], data: bytes, pos: int) -> tuple[_T, int]:
    """Run a reader; running off the end of the bytes becomes a ParseError."""
    try:
        return read(data, pos)
    except (IndexError, struct.error) as problem:
        raise ParseError(f"cut short: {len(data)} bytes end inside a field") from problem


def _transactions(data: bytes, pos: int) -> tuple[list[RawTx], int]:
    count, pos = _count(data, pos, _MIN_TX, "transactions")
    if count == 0:
        raise ParseError("block without transactions")
    transactions = []
    for _ in range(count):
        tx, pos = _tx(data, pos)
        transactions.append(tx)
    return transactions, pos


def _tx(data: bytes, start: int) -> tuple[RawTx, int]:
    version = _VERSION(data, start)[0]
    segwit = data[start + 4] == 0
    if segwit and data[start + 5] != 1:
        raise ParseError(f"transaction without inputs, or unknown flag {data[start + 5]}")
    inputs, pos = _inputs(data, start + 4 + 2 * segwit)
    outputs, end = _outputs(data, pos)
    pos = _witnesses(data, end, inputs) if segwit else end
    locktime = _U32(data, pos)[0]
    pos += 4
    full = data[start:pos]
    wtxid = display(double_sha256(full))
    size = pos - start
    if not segwit:
        return RawTx(wtxid, wtxid, version, inputs, outputs, locktime, size, 4 * size), pos
    stripped = full[:4] + data[start + 6 : end] + full[-4:]
    txid = display(double_sha256(stripped))
    weight = 3 * len(stripped) + size
    return RawTx(txid, wtxid, version, inputs, outputs, locktime, size, weight), pos


def _inputs(data: bytes, pos: int) -> tuple[list[RawInput], int]:
    count, pos = _count(data, pos, _MIN_INPUT, "inputs")
    if count == 0:
        raise ParseError("transaction without inputs")
    inputs: list[RawInput] = []
    for _ in range(count):
        previous, index = _OUTPOINT(data, pos)
        length = data[pos + 36]
        pos += 37
        if length > 252:
            length, pos = _long_count(data, pos, length)
        end = pos + length
        sequence = _U32(data, end)[0]
        inputs.append((previous[::-1].hex(), index, data[pos:end], sequence, ()))
        pos = end + 4
    return inputs, pos


def _outputs(data: bytes, pos: int) -> tuple[list[RawOutput], int]:
    count, pos = _count(data, pos, _MIN_OUTPUT, "outputs")
    if count == 0:
        raise ParseError("transaction without outputs")
    outputs: list[RawOutput] = []
    for _ in range(count):
        value = _U64(data, pos)[0]
        if value > MAX_MONEY_SAT:
            raise ParseError(f"output value {value} exceeds {MAX_MONEY_SAT}")
        length = data[pos + 8]
        pos += 9
        if length > 252:
            length, pos = _long_count(data, pos, length)
        end = pos + length
        outputs.append((value, data[pos:end]))
        pos = end
    return outputs, _bounded(data, pos)


def _witnesses(data: bytes, pos: int, inputs: list[RawInput]) -> int:
    """Read one stack for each input and put it into the input's tuple."""
    some = False
    for number, (previous, index, script, sequence, _) in enumerate(inputs):
        count, pos = _count(data, pos, 1, "witness items")
        if count == 0:
            continue
        some = True
        items = []
        for _ in range(count):
            length = data[pos]
            pos += 1
            if length > 252:
                length, pos = _long_count(data, pos, length)
            items.append(data[pos : pos + length])
            pos += length
        inputs[number] = (previous, index, script, sequence, tuple(items))
    if not some:
        raise ParseError("witness marker on a transaction without witness")
    return _bounded(data, pos)


def _count(data: bytes, pos: int, least: int, what: str) -> tuple[int, int]:
    """Read a count whose elements need at least ``least`` bytes each."""
    count = data[pos]
    pos += 1
    if count > 252:
        count, pos = _long_count(data, pos, count)
    if count * least > len(data) - pos:
        raise ParseError(f"{count} {what} announced, {len(data) - pos} bytes left")
    return count, pos


def _long_count(data: bytes, pos: int, marker: int) -> tuple[int, int]:
    """The rest of a compact size; only its shortest form is valid, as in Core."""
    if marker == 253:
        value, end, floor = _U16(data, pos)[0], pos + 2, 253
    elif marker == 254:
        value, end, floor = _U32(data, pos)[0], pos + 4, 0x10000
    else:
        value, end, floor = _U64(data, pos)[0], pos + 8, 0x100000000
    if value < floor:
        raise ParseError(f"compact size {value} is not in its shortest form")
    if value > len(data) - end:
        raise ParseError(f"size {value} announced, {len(data) - end} bytes left")
    return value, end


def _bounded(data: bytes, pos: int) -> int:
    if pos > len(data):
        raise ParseError(f"cut short: a field reaches {pos - len(data)} bytes past the end")
    return pos


def _block_weight(size: int, transactions: list[RawTx]) -> int:
    """Header and transaction count weigh four units a byte (BIP 141)."""
    overhead = size - sum(tx.size for tx in transactions)
    return 4 * overhead + sum(tx.weight for tx in transactions)
