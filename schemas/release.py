"""Released schemas: copies that are never edited, in ``avro/released/<version>/``."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

from schemas.catalog import AVRO_DIR

RELEASED_DIR = AVRO_DIR / "released"
_VERSION = re.compile(r"\d+\.\d+\.\d+")


def versions(folder: Path = RELEASED_DIR) -> list[str]:
    """The releases in order, oldest first."""
    found = [p.name for p in folder.glob("*") if p.is_dir() and _VERSION.fullmatch(p.name)]
    return sorted(found, key=lambda text: tuple(map(int, text.split("."))))


def load(folder: Path = AVRO_DIR) -> dict[str, Any]:
    """Type name to parsed schema, of the ``.avsc`` files in a folder."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.avsc"))}


def release(version: str, source: Path = AVRO_DIR, folder: Path = RELEASED_DIR) -> list[str]:
    """Copy the present schemas as a release; raises ValueError when it exists or is no version."""
    if not _VERSION.fullmatch(version):
        raise ValueError(f"{version!r} is not a version: write MAJOR.MINOR.PATCH")
    target = folder / version
    if target.exists():
        raise ValueError(f"release {version} exists already: a release is never changed")
    target.mkdir(parents=True)
    copied = sorted(source.glob("*.avsc"))
    for path in copied:
        shutil.copyfile(path, target / path.name)
    return [path.stem for path in copied]
