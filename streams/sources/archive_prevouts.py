"""Prevouts files: what the inputs of one block spend, listed by somebody who knew.

``<height or hash>.json[.xz]`` lists every input of that block, in block order without the coinbase:
``[value, script_pubkey hex, creation height, is_coinbase, creation time or null]``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from schemas.events import Prevout
from schemas.units import MAX_MONEY_SAT
from streams.chain.build import prevout
from streams.chain.parse import MAX_BLOCK_BYTES, MAX_HEIGHT, RawBlock
from streams.sources.archive_files import read_raw
from streams.sources.errors import SourceError

_MAX_BYTES = 64 * MAX_BLOCK_BYTES
_REMEDY = "give a JSON list of prevouts, see the format in the documentation"


class _Row(msgspec.Struct, array_like=True, frozen=True):
    """One line of a file."""

    value: Annotated[int, msgspec.Meta(ge=0, le=MAX_MONEY_SAT)]
    script: str
    height: Annotated[int, msgspec.Meta(ge=0, le=MAX_HEIGHT)]
    is_coinbase: bool


class PrevoutFiles:
    """Finds and reads the prevouts file of a block by its height or hash."""

    def __init__(self, paths: Sequence[Path], network: str) -> None:
        files = [file for path in paths for file in _files(path)]
        self._paths = {path.name.split(".")[0]: path for path in files}
        self._named = {path.name.split(".")[0] for path in paths if not path.is_dir()}
        self._network = network

    def check(self, has: Callable[[str], bool]) -> None:
        """Refuse a file that was named and belongs to no block; ``has`` knows heights and hashes.

        Raises SourceError.
        """
        stray = sorted(name for name in self._named if not has(name))
        if stray:
            raise SourceError(
                f"prevouts {self._paths[stray[0]]} belong to no given block",
                "name the file <height>.json.xz or <block hash>.json.xz",
            )

    def of(self, height: int, raw: RawBlock) -> Iterator[Prevout] | None:
        """The listed prevouts of a block in input order, or None when it has no file."""
        path = self._paths.get(str(height)) or self._paths.get(raw.header.hash)
        if path is None:
            return None
        listed = _listed(path)
        expected = sum(len(tx.inputs) for tx in raw.transactions[1:])
        if len(listed) != expected:
            raise SourceError(f"{path} does not list {expected} prevouts", "take the block's own")
        return (_prevout(row, path, self._network) for row in listed)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted([*path.glob("*.json"), *path.glob("*.json.xz")])


def _listed(path: Path) -> list[_Row]:
    try:
        return msgspec.json.decode(read_raw(path, _MAX_BYTES), type=list[_Row])
    except (ValueError, RecursionError) as problem:
        raise SourceError(f"{path}: {problem}", _REMEDY) from problem


def _prevout(row: _Row, path: Path, network: str) -> Prevout:
    try:
        script = bytes.fromhex(row.script)
    except ValueError as problem:
        raise SourceError(f"{path}: bad script {row.script[:80]!r}", _REMEDY) from problem
    return prevout(row.value, script, network, row.height, row.is_coinbase)
