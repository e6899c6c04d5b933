"""What memory a contender has: before its first record, and when it has worked off the last."""

from __future__ import annotations

import gc
import os
import re
from pathlib import Path
from typing import Any

from stamps import SETTINGS, Stamps


class Weighed(Stamps):
    """The stamps of a contender, with its resident memory at both ends."""

    def __init__(self) -> None:
        super().__init__()
        self.first = self.last = self.peak = 0
        self._seen = 0

    def begin(self, already: int = 0) -> None:
        """The first record is here."""
        self.first = resident()
        super().begin(already)

    def seen(self, events: int = 1) -> None:
        """So many records more; the last one is the moment that counts."""
        if not self.began:
            self.begin()
        self._seen += events
        if self._seen == SETTINGS["events"]:
            self.weigh()

    def weigh(self) -> None:
        """All state is there."""
        self.peak = peak()
        gc.collect()
        self.last = resident()

    def say(self, **more: Any) -> None:
        """Print the figures; ``disk_bytes`` is what lies in the folder of the state."""
        kept = sum(file.stat().st_size for file in Path("state").rglob("*") if file.is_file())
        found = {"first": self.first, "last": self.last, "peak": self.peak, "disk": kept}
        super().say(**{f"{name}_bytes": size for name, size in found.items()}, **more)


def resident() -> int:
    """Bytes of memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak() -> int:
    """The most that it ever was."""
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return 1024 * int(found[1]) if found else resident()
