"""Block files to events: raw consensus bytes, one block a file, plain or xz.

Blocks come out in chain order wherever their headers connect, and by height otherwise. An input's
prevout comes from the block's own or an earlier given block, or from a prevouts file; where
neither has it the event says so. A prevouts file ``<height or hash>.json[.xz]`` lists what every
input of that block spends, in block order without the coinbase:
``[value, script_pubkey hex, creation height, is_coinbase, creation time or null]``.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from schemas.events import Prevout
from streams.chain.build import COINBASE, BlockEvents, Spent, block_events, block_ts, prevout
from streams.chain.check import check_block
from streams.chain.outpoints import OutpointTable
from streams.chain.parse import (
    HEADER_BYTES,
    MAX_BLOCK_BYTES,
    ParseError,
    RawBlock,
    RawHeader,
    RawTx,
    bip34_height,
    parse_block,
    parse_header,
)
from streams.sources.errors import SourceError

NOT_IN_ARCHIVE = "not in archive"
_MAX_PREVOUTS_BYTES = 64 * MAX_BLOCK_BYTES
_NAMING = "name the file <height>.raw or <height>.raw.xz"


class BlockFile(NamedTuple):
    """A block file whose header has been read; ``height`` is known once files are in order."""

    path: Path
    header: RawHeader
    height: int = -1


def read_blocks(
    paths: Sequence[Path], prevouts: Sequence[Path] = (), network: str = "main"
) -> Iterator[BlockEvents]:
    """Yield one ``BlockEvents`` a file, in chain order. Raises SourceError.

    Nothing but headers is held for later blocks. A block's event time is the greatest header time
    of it and the given blocks before it.
    """
    files = in_chain_order([BlockFile(path, _peek(path)) for path in paths])
    spends = _PrevoutFiles(prevouts, files)
    outpoints, ts = OutpointTable(network), None
    for file in files:
        raw = _load(file.path)
        ts = block_ts(raw.header.time, ts)
        listed = spends.of(file, raw)
        spent = [_spent(tx, outpoints, file.height, listed, network) for tx in raw.transactions]
        try:
            yield block_events(raw, network, file.height, ts, spent)
        except ParseError as problem:
            raise SourceError(f"{file.path}: {problem}", "check its prevouts file") from problem


def in_chain_order(files: Sequence[BlockFile]) -> list[BlockFile]:
    """Order files by their headers, give each its height. Raises SourceError for a fork."""
    children = _children(files)
    hashes = {file.header.hash for file in files}
    heads = [(_height(file), file) for file in files if file.header.previous not in hashes]
    ordered: list[BlockFile] = []
    for height, head in sorted(heads):
        if ordered and ordered[-1].height >= height:
            raise SourceError(f"{head.path} and {ordered[-1].path} overlap in height", _NAMING)
        ordered.extend(_segment(head, height, children))
    return ordered


def _children(files: Sequence[BlockFile]) -> dict[str, BlockFile]:
    """Each file by the block that it follows."""
    children: dict[str, BlockFile] = {}
    for file in files:
        other = children.setdefault(file.header.previous, file)
        if other is not file:
            cause = f"{other.path} and {file.path} follow the same block"
            raise SourceError(cause, "give the files of one branch, each once")
    return children


def _segment(head: BlockFile, height: int, children: dict[str, BlockFile]) -> Iterator[BlockFile]:
    """A file and all that follow it without a gap, with their heights."""
    file: BlockFile | None = head
    while file is not None:
        yield file._replace(height=height)
        height, file = height + 1, children.get(file.header.hash)


def _height(file: BlockFile) -> int:
    """From the file's name when that is a number, else what the coinbase states (BIP 34)."""
    stem = file.path.name.split(".")[0]
    if stem.isascii() and stem.isdigit():
        return int(stem)
    stated = bip34_height(_load(file.path).transactions[0]) if file.header.version >= 2 else None
    if stated is None:
        raise SourceError(f"{file.path} does not state its height", _NAMING)
    return stated


def _peek(path: Path) -> RawHeader:
    try:
        return parse_header(_read(path, HEADER_BYTES))
    except ParseError as problem:
        raise SourceError(f"{path}: {problem}", "give raw block files, one block each") from problem


def _load(path: Path) -> RawBlock:
    try:
        raw = parse_block(_read(path, MAX_BLOCK_BYTES + 1))
        check_block(raw)
    except ParseError as problem:
        raise SourceError(f"{path}: {problem}", "fetch the block again") from problem
    return raw


def _read(path: Path, limit: int) -> bytes:
    """At most ``limit`` bytes of a plain or xz file, so that no archive can fill the memory."""
    try:
        with lzma.open(path) if path.suffix == ".xz" else path.open("rb") as stream:
            return stream.read(limit)
    except (OSError, EOFError, lzma.LZMAError) as problem:
        raise SourceError(f"cannot read {path}: {problem}", "check the path and the file") from (
            problem
        )


class _PrevoutFiles:
    """Finds and reads the prevouts file of a block by its height or hash."""

    def __init__(self, paths: Sequence[Path], files: Iterable[BlockFile]) -> None:
        self._paths = {path.name.split(".")[0]: path for path in paths}
        known = {name for file in files for name in (str(file.height), file.header.hash)}
        stray = sorted(self._paths.keys() - known)
        if stray:
            raise SourceError(
                f"prevouts {self._paths[stray[0]]} belong to no given block",
                "name the file <height>.json.xz or <block hash>.json.xz",
            )

    def of(self, file: BlockFile, raw: RawBlock) -> Iterator[Any] | None:
        """The listed prevouts of a block in input order, or None when it has no file."""
        path = self._paths.get(str(file.height)) or self._paths.get(file.header.hash)
        if path is None:
            return None
        listed = _listed(path)
        expected = sum(len(tx.inputs) for tx in raw.transactions[1:])
        if not isinstance(listed, list) or len(listed) != expected:
            raise SourceError(f"{path} does not list {expected} prevouts", "take the block's own")
        return iter(listed)


def _listed(path: Path) -> Any:
    try:
        return json.loads(_read(path, _MAX_PREVOUTS_BYTES))
    except ValueError as problem:
        raise SourceError(f"{path}: {problem}", "give a JSON list of prevouts") from problem


def _spent(
    tx: RawTx, outpoints: OutpointTable, height: int, listed: Iterator[Any] | None, network: str
) -> list[Spent]:
    """What each input spends; then the transaction's own outputs become spendable."""
    if tx.is_coinbase:
        outpoints.add(tx, height)
        return [COINBASE]
    spent: list[Spent] = []
    for previous, index, *_ in tx.inputs:
        row = next(listed) if listed else None
        seen = outpoints.spend(previous, index)
        spent.append(seen or (NOT_IN_ARCHIVE if row is None else _row(row, network)))
    outpoints.add(tx, height)
    return spent


def _row(row: Any, network: str) -> Prevout:
    try:
        value, script, height, is_coinbase = row[:4]
        return prevout(int(value), bytes.fromhex(script), network, height, is_coinbase)
    except (TypeError, ValueError) as problem:
        raise SourceError(f"bad prevout {row!r}", "see the format in the documentation") from (
            problem
        )
