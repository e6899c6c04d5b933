"""The public test vectors, kept beside the project: absent ones skip their test by name."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

WEB5 = Path(__file__).parents[2] / ".." / "shared" / "data" / "web5"


def load(name: str) -> Any:
    """One JSON file of the vectors; skips the test when the vectors are not there."""
    path = WEB5 / name
    if not path.exists():
        pytest.skip(f"vectors absent: ../shared/data/web5/{name}")
    raw = path.read_bytes()
    return json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object inside ``value``, outermost first."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            yield from objects(inner)
