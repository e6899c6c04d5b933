"""Where the tests find real data, and how they say that it is not there."""

from __future__ import annotations

import csv
import json
import lzma
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data" / "bitcoin"
SHIPPED_BLOCK = ROOT / "streams" / "data" / "413567.raw.xz"
HEIGHTS = (
    227835, 227836, 277647, 367891, 413567, 481815, 481829, 514485, 540107, 574200, 866342,
)  # fmt: skip


def shared(*parts: str) -> Path:
    """A file of the shared data; skips the test, naming the file, when it is not there."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"shared data not present: {'/'.join(parts)}")
    return path


def raw_block(height: int) -> bytes:
    """Consensus bytes of a real block."""
    return read(SHIPPED_BLOCK if height == 413567 else shared("blocks", f"{height}.raw.xz"))


def read(path: Path) -> bytes:
    """Bytes of a plain or xz file."""
    return lzma.open(path).read() if path.suffix == ".xz" else path.read_bytes()


def read_json(*parts: str) -> Any:
    """Parsed JSON of a shared file."""
    return json.loads(read(shared(*parts)))


def manifest() -> dict[int, dict[str, str]]:
    """What the shared data says of each block, by height."""
    with shared("blocks", "MANIFEST.csv").open() as stream:
        return {int(row["height"]): row for row in csv.DictReader(stream)}
