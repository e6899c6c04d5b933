"""Which blocks an archive holds and where: one pass over all headers, none over the bodies."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from streams.chain.check import check_block, target_of
from streams.chain.parse import (
    MAX_BLOCK_BYTES,
    MAX_HEIGHT,
    NULL_HASH,
    ParseError,
    RawBlock,
    RawHeader,
    bip34_height,
    parse_block,
    parse_header,
)
from streams.sources.archive_files import (
    PEEK,
    BlockStore,
    Damage,
    FrameReader,
    gather,
    read_raw,
    undo_file,
)
from streams.sources.archive_headers import Anchor, Chain, Forest, best_chain
from streams.sources.archive_undo import UndoFile
from streams.sources.errors import SourceError

NAMING = "name the file <height>.raw or <height>.raw.xz"
_LIMITS = {"signet": 0x1E0377AE, "regtest": 0x207FFFFF}
_LIMIT = 0x1D00FFFF
"""Easiest target of main and the test networks, in its short form."""
_OPEN = 8
_MOST_SPOILT = 10_000
"""Places that are listed; a file can be made to have millions of them."""


class Spoilt(NamedTuple):
    """A place of an archive that holds no usable block, and why."""

    path: Path
    offset: int
    words: str

    def __str__(self) -> str:
        return f"{self.path} at {self.offset}: {self.words}"


class Index:
    """All blocks by number: in which file they stand, from where on, and how long they are."""

    def __init__(self, paths: Sequence[Path], network: str, skip_damaged: bool = False) -> None:
        """Reads every header. Raises SourceError at the first damage, or skips and lists it."""
        self.network, self.stores = network, gather(paths)
        self.forest = Forest()
        self.spoilt: list[Spoilt] = []
        self.repeated = 0
        """Blocks that stand there more than once."""
        self._skip = skip_damaged
        self._limit = target_of(_LIMITS.get(network, _LIMIT))
        self._file, self._offset, self._size = array("L"), array("Q"), array("L")
        for place, store in enumerate(self.stores):
            self._take_all(place, store)
        self.forest.join()
        self._files = _Open(self.stores, network)

    def close(self) -> None:
        """Close all files."""
        self._files.close()

    def settle(self, anchors: Sequence[Anchor], parent_ts: int | None, tip: str | None) -> Chain:
        """Heights, times and the best chain; ``anchors`` are blocks that an earlier run knew.

        ``parent_ts`` (ms) is the event time of the first block's parent, if the archive lacks it.
        Raises SourceError.
        """
        forest, times = self.forest, dict[int, int]()
        known = {anchor.hash: anchor for anchor in anchors}
        parents = {root: known.get(forest.missing_parent(root)) for root in forest.roots()}
        heights = {root: self._root_height(root, parent) for root, parent in parents.items()}
        lowest = min(heights.values(), default=0)
        for root, parent in parents.items():
            ts = parent_ts if parent is None and heights[root] == lowest else None
            ts = parent.ts if parent is not None else ts
            if ts is not None:
                times[root] = ts
        forest.settle(heights, times)
        return best_chain(forest, tip)

    def size(self, number: int) -> int:
        """Bytes that a block takes in its file."""
        return self._size[number]

    def where(self, number: int) -> str:
        """File and offset of a block, for messages."""
        path = self.stores[self._file[number]].path
        offset = self._offset[number]
        return f"{path} at {offset}" if offset else str(path)

    def block(self, number: int) -> RawBlock:
        """A block whose header has proved its transactions; raises SourceError."""
        try:
            raw = parse_block(self._bytes(number))
            check_block(raw)
        except ParseError as problem:
            cause = f"{self.where(number)}: {problem}"
            raise SourceError(cause, "fetch the block again") from problem
        return raw

    def undo(self, number: int) -> UndoFile | None:
        """The undo file that belongs to the block's file, when it is there."""
        return self._files.undo(self._file[number])

    def has_undo(self) -> bool:
        """Whether each of the files has an undo file beside it."""
        return all(undo_file(store) is not None for store in self.stores)

    def _bytes(self, number: int) -> bytes:
        place = self._file[number]
        store = self.stores[place]
        if store.number is None:
            return read_raw(store.path, MAX_BLOCK_BYTES + 1)
        return self._files.blocks(place).read(self._offset[number], self._size[number])

    def _take_all(self, place: int, store: BlockStore) -> None:
        if store.number is None:
            self._take(place, 0, _size_of(store.path), read_raw(store.path, PEEK))
            return
        reader = FrameReader(store.path, store.key, self.network)
        try:
            for found in reader.frames():
                if isinstance(found, Damage):
                    self._damaged(Spoilt(store.path, found.offset, found.words))
                else:
                    self._take(place, found.offset, found.size, found.head)
        finally:
            reader.close()

    def _take(self, place: int, offset: int, size: int, head: bytes) -> None:
        path = self.stores[place].path
        try:
            header = parse_header(head)
            self._check_limit(header)
            number = self.forest.add(header)
        except ParseError as problem:
            self._damaged(Spoilt(path, offset, str(problem)))
            return
        if number is None:
            self.repeated += 1
            return
        self._file.append(place)
        self._offset.append(offset)
        self._size.append(size)

    def _check_limit(self, header: RawHeader) -> None:
        if target_of(header.bits) > self._limit:
            raise ParseError(f"target {header.bits:08x} is too easy for network {self.network}")

    def _damaged(self, spoilt: Spoilt) -> None:
        if not self._skip:
            remedy = "copy the file again, name the right --network, or say --skip-damaged"
            raise SourceError(str(spoilt), remedy)
        if len(self.spoilt) >= _MOST_SPOILT:
            cause = f"{spoilt.path} is damaged at more than {_MOST_SPOILT} places"
            raise SourceError(cause, "copy it again: that is no file of blocks")
        self.spoilt.append(spoilt)

    def _root_height(self, root: int, parent: Anchor | None) -> int:
        """The genesis block's, that of a known parent, the file's number, or the coinbase's."""
        if self.forest.missing_parent(root) == NULL_HASH:
            return 0
        if parent is not None:
            return parent.height + 1
        store = self.stores[self._file[root]]
        stem = store.path.name.split(".")[0]
        named = store.number is None and stem.isascii() and stem.isdigit()
        height = int(stem) if named else self._stated_height(root)
        if height > MAX_HEIGHT:
            raise SourceError(
                f"{self.where(root)} has the height {height}, which no block has", NAMING
            )
        return height

    def _stated_height(self, root: int) -> int:
        """What the coinbase states (BIP 34)."""
        stated = None
        if self.forest.version(root) >= 2:
            stated = bip34_height(self.block(root).transactions[0])
        if stated is None:
            raise SourceError(f"{self.where(root)} does not state its height", NAMING)
        return stated


class _Open:
    """Files held open while blocks are read: a node's own files lie nearly in chain order."""

    def __init__(self, stores: Sequence[BlockStore], network: str) -> None:
        self._stores, self._network = stores, network
        self._readers: dict[int, FrameReader] = {}
        self._undo: dict[int, UndoFile | None] = {}

    def blocks(self, place: int) -> FrameReader:
        store = self._stores[place]
        if place not in self._readers:
            if len(self._readers) >= _OPEN:
                self._readers.pop(next(iter(self._readers))).close()
            self._readers[place] = FrameReader(store.path, store.key, self._network)
        return self._readers[place]

    def undo(self, place: int) -> UndoFile | None:
        if place not in self._undo:
            if len(self._undo) >= _OPEN:
                _close(self._undo.pop(next(iter(self._undo))))
            store = self._stores[place]
            path = undo_file(store)
            self._undo[place] = UndoFile(path, store.key, self._network) if path else None
        return self._undo[place]

    def close(self) -> None:
        for reader in self._readers.values():
            reader.close()
        for undo in self._undo.values():
            _close(undo)


def _close(undo: UndoFile | None) -> None:
    if undo is not None:
        undo.close()


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
