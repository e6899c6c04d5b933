"""Prevouts files: what the inputs of one block spend, listed by somebody who knew.

``<height or hash>.json[.xz]`` lists every input of that block, in block order without the coinbase:
``[value, script_pubkey hex, creation height, is_coinbase, creation time or null]``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from schemas.events import Prevout
from streams.chain.build import prevout
from streams.chain.parse import MAX_BLOCK_BYTES, RawBlock
from streams.sources.archive_files import read_raw
from streams.sources.errors import SourceError

_MAX_BYTES = 64 * MAX_BLOCK_BYTES


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
        if not isinstance(listed, list) or len(listed) != expected:
            raise SourceError(f"{path} does not list {expected} prevouts", "take the block's own")
        return (_row(row, self._network) for row in listed)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted([*path.glob("*.json"), *path.glob("*.json.xz")])


def _listed(path: Path) -> Any:
    try:
        return json.loads(read_raw(path, _MAX_BYTES))
    except ValueError as problem:
        raise SourceError(f"{path}: {problem}", "give a JSON list of prevouts") from problem


def _row(row: Any, network: str) -> Prevout:
    try:
        value, script, height, is_coinbase = row[:4]
        return prevout(int(value), bytes.fromhex(script), network, height, is_coinbase)
    except (TypeError, ValueError) as problem:
        raise SourceError(f"bad prevout {row!r}", "see the format in the documentation") from (
            problem
        )
