"""A long run in which nothing may grow."""

from __future__ import annotations

import os
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.faults.arena import Arena

EVERY_S = 2.0
GROWTH = 1.10
ROOM_MB = 20.0
"""What memory may grow by all the same: allocators and caches."""


class Sample(NamedTuple):
    """What a process has."""

    rss_mb: float
    threads: int
    files: int


def soak(arena: Arena) -> None:
    """Load without any fault; memory, threads and open files of the worker stay as they are.

    The second quarter is compared with the last: in the first, state and caches fill.
    """
    samples = []
    while not arena.loaded:
        samples.append(sample(arena.pid()))
        time.sleep(EVERY_S)
    quarter = len(samples) // 4
    before, after = _middle(samples[quarter : 2 * quarter]), _middle(samples[-quarter:])
    arena.outcome.notes.append(f"worker: {before} in the second quarter, {after} in the last")
    grown = after.rss_mb > before.rss_mb * GROWTH + ROOM_MB
    if grown or after.threads > before.threads or after.files > before.files:
        arena.outcome.error = "the worker grows"


def sample(pid: int) -> Sample:
    """What a process has now."""
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    rss_kb = int(status["VmRSS"].split()[0])
    return Sample(rss_kb / 1024, int(status["Threads"]), len(os.listdir(f"/proc/{pid}/fd")))


def _middle(samples: list[Sample]) -> Sample:
    columns = list(zip(*samples, strict=True))
    return Sample(
        round(median(columns[0]), 1), round(median(columns[1])), round(median(columns[2]))
    )
