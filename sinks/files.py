"""What sinks that write files share: errors of the disk, and directories that survive a crash."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sinks.base import Retryable


@contextmanager
def typed(path: Path) -> Iterator[None]:
    """Raise Retryable where the operating system refuses ``path``."""
    try:
        yield
    except OSError as error:
        raise Retryable(
            f"cannot use {path} now: {error}",
            "free the disk or correct the permissions, and retry",
        ) from error


def sync_directory(directory: Path) -> None:
    """Return when the disk has the names in ``directory``, new and renamed ones too."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
