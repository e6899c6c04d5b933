"""The jars on disk: verified against the lock before each start, fetched when not as locked.

A file reaches the jar folder only complete and with the locked digest (fetched beside it, checked,
then renamed), so that a fetch may be interrupted at any point. A file that is not as locked is
deleted, never put on the class path.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from streams.broker.fetch import fetch
from streams.broker.filelocks import exclusive
from streams.broker.lock import Jar, Lock, load_lock
from streams.broker.paths import Progress, no_progress


def class_path(
    home: Path, progress: Progress = no_progress, lock: Lock | None = None
) -> tuple[Path, ...]:
    """Return the jars of the lock, all present and with the locked digest, and nothing else.

    Offline and without a write when everything is in place. Raises BrokerError when a jar must be
    fetched and cannot be.
    """
    lock = lock or load_lock()
    folder = home / "jars"
    if any(_digest(folder / jar.name) != jar.sha256 for jar in lock.jars):
        _repair(home, lock, progress)
    return tuple(folder / jar.name for jar in lock.jars)


def _repair(home: Path, lock: Lock, progress: Progress) -> None:
    with exclusive(home / "jars.lock", "waiting for another set-up of Kafka to end", progress):
        missing = [jar for jar in lock.jars if not _accept(home / "jars" / jar.name, jar, progress)]
        if missing:
            fetch(missing, home, f"Kafka {lock.kafka}", progress)


def _accept(path: Path, jar: Jar, progress: Progress) -> bool:
    found = _digest(path)
    if found == jar.sha256:
        return True
    if found is not None:
        progress(_refusal(path, jar, found))
        path.unlink()
    return False


def _refusal(path: Path, jar: Jar, found: str) -> str:
    size = path.stat().st_size
    what = "half-fetched" if size < jar.size else "altered"
    return (
        f"refused {jar.name}: {what} ({size:,} of {jar.size:,} bytes, SHA-256 {found[:12]}, "
        f"locked {jar.sha256[:12]}); deleted, fetching it again"
    )


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
