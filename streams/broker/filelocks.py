"""File locks of the kernel: they die with their process, so none is ever stale.

Two kinds: ``exclusive`` is our own lock between commands (flock), ``holder`` asks who holds a
lock of the kind Java takes (fcntl record locks), which is how a Kafka data directory shows
whether a broker is alive in it, and which.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from streams.broker.paths import Progress, no_progress

if sys.platform != "win32":  # there a broker can be named but not embedded: see java_binary
    import fcntl

# struct flock on 64-bit systems: (type, whence, start, len, pid), macOS puts the offsets first
_MAC = sys.platform == "darwin"
_LAYOUT = "qqihh" if _MAC else "hhqqi4x"


@contextmanager
def exclusive(path: Path, waiting: str = "", progress: Progress = no_progress) -> Iterator[None]:
    """Hold the lock file ``path``; wait for whoever holds it, saying ``waiting`` once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        if not try_exclusive(file):
            progress(waiting)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def try_exclusive(file: TextIO) -> bool:
    """Take our lock on an open file, until it is closed; False when somebody else has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def holder(path: Path) -> int | None:
    """Process id of the holder of a record lock on ``path``; None when nobody holds one.

    0 or a negative number means a holder that this process cannot see (another container).
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        answer = fcntl.fcntl(descriptor, fcntl.F_GETLK, _write_lock())
    finally:
        os.close(descriptor)
    return _pid_of(answer)


def _write_lock() -> bytes:
    fields = (0, 0, 0, fcntl.F_WRLCK, os.SEEK_SET) if _MAC else (fcntl.F_WRLCK, 0, 0, 0, 0)
    return struct.pack(_LAYOUT, *fields)


def _pid_of(answer: bytes) -> int | None:
    fields = struct.unpack(_LAYOUT, answer)
    kind, pid = (fields[3], fields[2]) if _MAC else (fields[0], fields[4])
    return None if kind == fcntl.F_UNLCK else int(pid)
