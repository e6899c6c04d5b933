"""What a contender tells the bench; standard library only, so that it runs in any environment.

The measured time of every contender is the same: from the moment its own code has the first
record in hand (``begin``) until it has counted the last one and, where it keeps durable state,
that state is durable (``end``). CPU is that of its whole process tree in between.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

SETTINGS: dict[str, Any] = json.loads(os.environ["BENCH"])
"""What to do: ``bootstrap``, ``topic``, ``events``, ``name`` (fresh), ``folder`` (fresh, empty)."""


class Stamps:
    """Begin and end of the measured time."""

    def __init__(self) -> None:
        self.began = self.seconds = self.cpu = self.cpu_seconds = self.halved = 0.0
        self.events = self.warm = int(SETTINGS["events"])

    def begin(self, already: int = 0) -> None:
        """The first record is here; ``already`` were worked off before and do not count."""
        self.events -= already
        self.cpu, self.began = cpu_seconds(), time.perf_counter()

    def reached(self, done: int) -> None:
        """So many are worked off, all in all: what follows the first half is said once more."""
        if not self.halved and 2 * done >= SETTINGS["events"]:
            self.warm, self.halved = SETTINGS["events"] - done, time.perf_counter()

    def end(self) -> None:
        """The last record is counted, and durable."""
        self.seconds = time.perf_counter() - self.began
        self.cpu_seconds = cpu_seconds() - self.cpu

    def tell(self, counts: dict[str, int], **more: Any) -> None:
        """Write the count of each key to a file, and the figures as one line."""
        lines = [f"{key} {count}\n" for key, count in sorted(counts.items())]
        content = "".join(lines).encode()
        Path(SETTINGS["folder"], "counts").write_bytes(content)
        self.say(digest=hashlib.sha256(content).hexdigest(), **more)

    def say(self, **more: Any) -> None:
        """Print the figures as one line of JSON."""
        figures = {"events": self.events, "seconds": self.seconds, "cpu_seconds": self.cpu_seconds}
        if self.halved:
            more["warm_rate"] = self.warm / (self.began + self.seconds - self.halved)
        print(json.dumps({"bench": {**figures, **more}}), file=sys.__stdout__, flush=True)


def cpu_seconds() -> float:
    """CPU that the process and all that it started have used: all processes of its session."""
    try:
        session, tick = os.getsid(0), os.sysconf("SC_CLK_TCK")
        return sum(ticks for sid, ticks in map(_stat, _processes()) if sid == session) / tick
    except OSError:  # no /proc here
        return time.process_time()


def _processes() -> list[str]:
    return [name for name in os.listdir("/proc") if name.isdigit()]


def _stat(pid: str) -> tuple[int, int]:
    try:
        text = Path("/proc", pid, "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return -1, 0
    fields = text.rpartition(")")[2].split()
    return int(fields[3]), int(fields[11]) + int(fields[12])


def leave() -> None:
    """End the process at once, without waiting for what a library has still to close."""
    os._exit(0)
