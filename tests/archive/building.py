"""Small block chains made by hand: real headers and proofs of work of regtest, plain payments."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from streams.chain.check import merkle_root, target_of
from streams.chain.parse import NULL_HASH, double_sha256, parse_block
from streams.sources.archive_files import MAGIC, unmask
from streams.sources.archive_undo import Coin

BITS = 0x207FFFFF
GENESIS_S = 1_600_000_000
COIN = 100_000_000
FEE = 2


class Made(NamedTuple):
    """A block that was built."""

    raw: bytes
    height: int

    @property
    def hash(self) -> str:
        return parse_block(self.raw).header.hash

    @property
    def previous(self) -> str:
        return parse_block(self.raw).header.previous

    @property
    def header(self) -> bytes:
        return self.raw[:80]


def size(count: int) -> bytes:
    """A compact size."""
    return bytes([count]) if count < 253 else b"\xfd" + struct.pack("<H", count)


def transaction(inputs: Sequence[tuple[str, int, bytes]], outputs: Sequence[tuple[int, bytes]]):
    """A transaction without witness: inputs (txid, index, script), outputs (value, script)."""
    body = [struct.pack("<i", 2), size(len(inputs))]
    for txid, index, script in inputs:
        outpoint = bytes.fromhex(txid)[::-1] + struct.pack("<I", index)
        body.append(outpoint + size(len(script)) + script + b"\xff\xff\xff\xff")
    body.append(size(len(outputs)))
    body += [struct.pack("<q", value) + size(len(script)) + script for value, script in outputs]
    return b"".join([*body, struct.pack("<I", 0)])


def txid(raw: bytes) -> str:
    """The id of a transaction without witness."""
    return double_sha256(raw)[::-1].hex()


def coinbase(height: int, script: bytes, value: int = 50 * COIN, extra: int = 0) -> bytes:
    """A coinbase that states its height (BIP 34); ``extra`` makes it another one."""
    number = height.to_bytes((height.bit_length() // 8) + 1, "little")
    stated = bytes([len(number)]) + number + struct.pack("<Q", extra)
    return transaction([(NULL_HASH, 0xFFFFFFFF, stated)], [(value, script)])


def block(previous: str, height: int, transactions: Sequence[bytes], time_s: int) -> Made:
    """A block whose nonce meets regtest's target."""
    root = bytes.fromhex(merkle_root([txid(raw) for raw in transactions]))[::-1]
    start = struct.pack("<i", 4) + bytes.fromhex(previous)[::-1] + root
    for nonce in range(1_000_000):
        header = start + struct.pack("<III", time_s, BITS, nonce)
        if int.from_bytes(double_sha256(header), "little") <= target_of(BITS):
            break
    return Made(header + size(len(transactions)) + b"".join(transactions), height)


def key_script(number: int) -> bytes:
    """A pay-to-witness-public-key-hash script."""
    return b"\x00\x14" + random.Random(number).randbytes(20)


class Builder:
    """Grows a chain; every payment spends an output of an earlier block."""

    def __init__(self, seed: int = 1, per_block: int = 3, scripts: int = 1 << 30) -> None:
        self.random, self.per_block, self.scripts = random.Random(seed), per_block, scripts
        self.unspent: list[tuple[str, int, int]] = []
        self.blocks: list[Made] = []

    def grow(self, count: int, time_step_s: int = 600) -> list[Made]:
        """Add blocks to the end."""
        previous = self.blocks[-1].hash if self.blocks else NULL_HASH
        for height in range(len(self.blocks), len(self.blocks) + count):
            payments = self._payments()
            first = coinbase(height, key_script(height))
            self.unspent.append((txid(first), 0, 50 * COIN))
            time_s = GENESIS_S + height * time_step_s
            self.blocks.append(block(previous, height, [first, *payments], time_s))
            previous = self.blocks[-1].hash
        return self.blocks

    def _payments(self) -> list[bytes]:
        found = []
        for _ in range(min(self.per_block, len(self.unspent))):
            place = self.random.randrange(len(self.unspent))
            self.unspent[place], self.unspent[-1] = self.unspent[-1], self.unspent[place]
            spent, index, value = self.unspent.pop()
            half = max(value // 2 - FEE // 2, 0)
            outputs = [(half, key_script(self.random.randrange(self.scripts))) for _ in range(2)]
            found.append(transaction([(spent, index, b"")], outputs))
            self.unspent += [(txid(found[-1]), place, half) for place in range(2)]
        return found


def branch(blocks: Sequence[Made], fork: int, count: int, extra: int = 7) -> list[Made]:
    """``count`` empty blocks beside the chain, the first one above height ``fork``."""
    made: list[Made] = []
    previous = blocks[fork].hash
    for height in range(fork + 1, fork + 1 + count):
        raw = [coinbase(height, key_script(height), extra=extra)]
        made.append(block(previous, height, raw, GENESIS_S + height * 600 + 1))
        previous = made[-1].hash
    return made


def write_raw(folder: Path, blocks: Iterable[Made]) -> list[Path]:
    """One file a block, named by its height; a second one of that height gets a letter."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for made in blocks:
        path = folder / f"{made.height}.raw"
        path = path if not path.exists() else folder / f"{made.height}.b.raw"
        path.write_bytes(made.raw)
        paths.append(path)
    return paths


def blk(blocks: Iterable[Made], key: bytes = bytes(8), padding: int = 0) -> bytes:
    """The bytes of a node's file; what was taken in advance stays plain zeros."""
    frames = (MAGIC["regtest"] + struct.pack("<I", len(m.raw)) + m.raw for m in blocks)
    return unmask(b"".join(frames), 0, key) + bytes(padding)


def node_folder(folder: Path, files: Sequence[Sequence[Made]], key: bytes | None = None) -> Path:
    """A node's folder of blocks, one list a file."""
    folder.mkdir(parents=True, exist_ok=True)
    if key is not None:
        (folder / "xor.dat").write_bytes(key)
    for number, blocks in enumerate(files):
        path = folder / f"blk{number:05}.dat"
        path.write_bytes(blk(blocks, key or bytes(8), padding=4096))
    return folder


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


def undo_record(*transactions: Sequence[tuple[Coin, bytes]]) -> bytes:
    """An undo record: the coins of each transaction, each with its script in short form."""
    parts = [size(len(transactions))]
    for coins in transactions:
        parts.append(size(len(coins)))
        for coin, script in coins:
            parts.append(varint(coin.height * 2 + coin.is_coinbase))
            parts.append(varint(0) if coin.height else b"")
            parts.append(varint(compressed(coin.value_sat)) + script)
    return b"".join(parts)


def undo_frame(previous: str, body: bytes) -> bytes:
    """An undo record as it stands in a rev file; ``previous`` is the parent of its block."""
    checksum = double_sha256(bytes.fromhex(previous)[::-1] + body)
    return MAGIC["regtest"] + struct.pack("<I", len(body)) + body + checksum
