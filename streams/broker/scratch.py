"""A temporary data directory: gone with its program, or with the next one after a crash."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from streams.broker.filelocks import try_exclusive
from streams.broker.storage import owner

_PREFIX = "streams-broker-"
_OWNER = "owner.lock"


class Scratch:
    """One temporary directory, held by a lock of this process as long as it is in use."""

    def __init__(self) -> None:
        sweep()
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._lock = (self.path / _OWNER).open("a")
        try_exclusive(self._lock)

    def remove(self) -> None:
        """Delete it with everything in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def sweep() -> None:
    """Delete the directories whose program and broker are both dead."""
    for lock in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_OWNER}"):
        try:
            with lock.open("a") as file:
                if try_exclusive(file) and owner(lock.parent) is None:
                    shutil.rmtree(lock.parent, ignore_errors=True)
        except OSError:  # another user's, or another program sweeps too
            continue
