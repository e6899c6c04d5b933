"""What an archive consists of: files with one raw block each, and a node's own blk*.dat files.

A node's file is a row of frames: 4 bytes of network magic, the length (4 bytes, little-endian), the
block; then, in rev*.dat, 32 bytes of checksum. Since version 28 Bitcoin Core writes these files
XORed with the 8 bytes of ``xor.dat`` beside them, by place in the file; room that it took in
advance is plain zeros (Bitcoin Core, ``node/blockstorage.cpp``).
"""

from __future__ import annotations

import lzma
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from streams.chain.parse import HEADER_BYTES, MAX_BLOCK_BYTES
from streams.sources.errors import SourceError

MAGIC = {
    "main": bytes.fromhex("f9beb4d9"),
    "test": bytes.fromhex("0b110907"),
    "testnet4": bytes.fromhex("1c163f28"),
    "signet": bytes.fromhex("0a03cf40"),
    "regtest": bytes.fromhex("fabfb5da"),
}
"""First bytes of each frame (Bitcoin Core, ``chainparams.cpp``); signet's is the default signet."""
PEEK = HEADER_BYTES + 9
"""Header and transaction count: what is read of every block before any is taken in whole."""
CHECKSUM_BYTES = 32
_RAW = (".raw", ".bin", ".hex", ".raw.xz", ".bin.xz", ".hex.xz")
_NO_KEY = bytes(8)
_FIRST_WINDOW, _WINDOW = 1 << 12, 1 << 20
"""What is looked through for the next frame: a little at first, since it is mostly near."""
_LENGTH = struct.Struct("<I")
_LARGEST = {".rev": 64 * MAX_BLOCK_BYTES, ".blk": MAX_BLOCK_BYTES}


class BlockStore(NamedTuple):
    """One file that holds blocks; ``number`` is that of a node's file, None for a raw block."""

    path: Path
    number: int | None = None
    key: bytes = _NO_KEY


class Frame(NamedTuple):
    """One frame of a node's file: place and length of what it holds, and how that begins."""

    offset: int
    size: int
    head: bytes


class Damage(NamedTuple):
    """Bytes of a node's file that are no frame."""

    offset: int
    size: int
    words: str


def gather(paths: Sequence[Path]) -> list[BlockStore]:
    """The block files among ``paths``, of folders all that have a known name; raises SourceError.

    Known names are ``blk*.dat`` and what ends in .raw, .bin or .hex, with .xz or without. A file
    that is named itself may have any name.
    """
    stores = [store for path in paths for store in _of(path)]
    unique = list(dict.fromkeys(stores))
    if not unique:
        raise SourceError("no block files are given", "name files, or folders that hold some")
    return unique


def _of(path: Path) -> list[BlockStore]:
    if not path.is_dir():
        return [_store(path)]
    found = sorted(inner for inner in path.iterdir() if inner.is_file() and _is_known(inner))
    if not found:
        remedy = "give one with blk*.dat files, or with <height>.raw, .hex or .raw.xz"
        raise SourceError(f"no block files in {path}", remedy)
    return [_store(inner) for inner in found]


def _is_known(path: Path) -> bool:
    return path.name.endswith(_RAW) or _number(path, "blk") is not None


def _store(path: Path) -> BlockStore:
    number = _number(path, "blk")
    return BlockStore(path, number, key_beside(path) if number is not None else _NO_KEY)


def _number(path: Path, kind: str) -> int | None:
    digits = path.stem.removeprefix(kind)
    is_node = path.suffix == ".dat" and path.stem.startswith(kind)
    return int(digits) if is_node and digits.isascii() and digits.isdigit() else None


def undo_file(store: BlockStore) -> Path | None:
    """The rev file of a node's block file, when it is there."""
    if store.number is None:
        return None
    path = store.path.with_name(store.path.name.replace("blk", "rev", 1))
    return path if path.is_file() else None


def key_beside(path: Path) -> bytes:
    """The key in the ``xor.dat`` of the file's folder, zeros where there is none."""
    place = path.with_name("xor.dat")
    if not place.exists():
        return _NO_KEY
    key = _read_file(place, 64)
    if len(key) != len(_NO_KEY):
        raise SourceError(f"{place} has {len(key)} bytes, not 8", "copy it again from the node")
    return key


def unmask(data: bytes, offset: int, key: bytes) -> bytes:
    """The plain bytes of what stands XORed at ``offset`` of a file.

    >>> unmask(unmask(b"block", 3, b"12345678"), 3, b"12345678")
    b'block'
    """
    if key == _NO_KEY or not data:
        return data
    turned = key[offset % 8 :] + key[: offset % 8]
    pad = (turned * (len(data) // 8 + 1))[: len(data)]
    mixed = int.from_bytes(data, "little") ^ int.from_bytes(pad, "little")
    return mixed.to_bytes(len(data), "little")


def read_raw(path: Path, limit: int) -> bytes:
    """At most ``limit`` bytes of a file that holds one block: plain, hex, and either in xz."""
    is_hex = ".hex" in path.suffixes[-2:]
    data = _read_file(path, 2 * limit + 2 if is_hex else limit)
    if not is_hex:
        return data
    text = data.strip()
    try:
        return bytes.fromhex(text[: len(text) & ~1].decode("ascii"))[:limit]
    except ValueError as problem:
        raise SourceError(f"{path} is not hex: {problem}", "write the block again") from problem


def _read_file(path: Path, limit: int) -> bytes:
    """So that no archive can fill the memory, at most ``limit`` bytes."""
    try:
        with lzma.open(path) if path.suffix == ".xz" else path.open("rb") as stream:
            return stream.read(limit)
    except (OSError, EOFError, lzma.LZMAError, MemoryError) as problem:
        raise SourceError(f"cannot read {path}: {problem}", "check the path and the file") from (
            problem
        )


class FrameReader:
    """The frames of one of a node's files."""

    def __init__(self, path: Path, key: bytes, network: str, undo: bool = False) -> None:
        self.path, self._key, self._magic = path, key, MAGIC[network]
        self._trailer = CHECKSUM_BYTES if undo else 0
        self._least = 1 if undo else HEADER_BYTES + 1
        self._most = _LARGEST[".rev" if undo else ".blk"]
        self._stream = _open(path)
        self._end = os.fstat(self._stream.fileno()).st_size

    def close(self) -> None:
        self._stream.close()

    def read(self, offset: int, size: int) -> bytes:
        """Plain bytes at a place; fewer where the file ends."""
        return unmask(self._raw(offset, size), offset, self._key)

    def frames(self) -> Iterator[Frame | Damage]:
        """Every frame in the file's order, and what lies between them that is none."""
        place = 0
        while place < self._end:
            start = self._raw(place, 8)
            if not any(start):
                place = self._after_zeros(place)
                continue
            found = self._frame(place, unmask(start, place, self._key))
            yield found
            place = found.offset + found.size
            place += self._trailer if isinstance(found, Frame) else 0

    def _frame(self, place: int, start: bytes) -> Frame | Damage:
        if len(start) < 8:
            return Damage(place, len(start), f"cut short: {len(start)} bytes are left")
        if start[:4] != self._magic:
            return self._garbage(place, self._words(start))
        size = _LENGTH.unpack_from(start, 4)[0]
        if not self._least <= size <= self._most:
            return self._garbage(place, f"a frame of {size} bytes")
        if place + 8 + size + self._trailer > self._end:
            there = self._end - place - 8
            words = f"cut short: {size + self._trailer} bytes announced, {there} there"
            return Damage(place, self._end - place, words)
        return Frame(place + 8, size, self.read(place + 8, min(size, PEEK)))

    def _words(self, start: bytes) -> str:
        for network, magic in MAGIC.items():
            if start[:4] == magic:
                return f"blocks of network {network}"
        return "bytes that are no block"

    def _garbage(self, place: int, words: str) -> Damage:
        """From here to where the next frame may begin, or to the end."""
        at, most = place + 1, _FIRST_WINDOW
        while at < self._end:
            window = self.read(at, most)
            found = self._begins(window)
            if found >= 0:
                return Damage(place, at + found - place, words)
            at, most = at + max(len(window) - 7, 1), min(2 * most, _WINDOW)
        return Damage(place, self._end - place, words)

    def _begins(self, window: bytes) -> int:
        """Where in these bytes a magic stands with a length that a frame may have, or -1."""
        found = window.find(self._magic)
        while 0 <= found <= len(window) - 8:
            if self._least <= _LENGTH.unpack_from(window, found + 4)[0] <= self._most:
                return found
            found = window.find(self._magic, found + 1)
        return -1

    def _after_zeros(self, place: int) -> int:
        most = _FIRST_WINDOW
        while place < self._end:
            window = self._raw(place, most)
            rest = window.lstrip(b"\0")
            if rest:
                return place + len(window) - len(rest)
            place, most = place + len(window), min(2 * most, _WINDOW)
        return self._end

    def _raw(self, offset: int, size: int) -> bytes:
        try:
            return os.pread(self._stream.fileno(), size, offset)
        except OSError as problem:
            raise SourceError(f"cannot read {self.path}: {problem}", "check the disk") from problem


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb", buffering=0)
    except OSError as problem:
        raise SourceError(f"cannot read {path}: {problem}", "check the path and the file") from (
            problem
        )
