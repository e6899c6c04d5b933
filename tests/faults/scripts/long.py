"""A long run in which nothing may grow."""

from __future__ import annotations

import os
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.faults.arena import Arena
from tests.kafka.world import Worker
from tests.ops.asking import metrics, total

EVERY_S = 2.0
GROWTH = 1.10
ROOM_MB = 20.0
"""What memory may grow by all the same: allocators and caches."""


ROOM_TASKS = 10
"""Checkpoints that are under way, one a task of the job, and the question itself."""


class Sample(NamedTuple):
    """What a process has."""

    rss_mb: float
    threads: int
    files: int
    tasks: int
    """Of its event loop, by its own metrics."""


def soak(arena: Arena) -> None:
    """Load without any fault; memory, threads, open files and tasks of the worker stay as they are.

    The second quarter is compared with the last: in the first, state and caches fill.
    """
    samples = []
    while not arena.loaded:
        samples.append(sample(arena.crew[0].worker))
        time.sleep(EVERY_S)
    quarter = len(samples) // 4
    before, after = _middle(samples[quarter : 2 * quarter]), _middle(samples[-quarter:])
    arena.outcome.notes.append(f"worker: {before} in the second quarter, {after} in the last")
    grown = after.rss_mb > before.rss_mb * GROWTH + ROOM_MB
    leaks = after.threads > before.threads or after.files > before.files
    if grown or leaks or after.tasks > before.tasks + ROOM_TASKS:
        arena.outcome.error = "the worker grows"


def sample(worker: Worker) -> Sample:
    """What a worker has now."""
    place = Path(f"/proc/{worker.process.pid}")
    status = dict(line.split(":", 1) for line in (place / "status").read_text().splitlines())
    rss_mb, threads = int(status["VmRSS"].split()[0]) / 1024, int(status["Threads"])
    files, tasks = len(os.listdir(place / "fd")), total(metrics(worker), "streams_event_loop_tasks")
    return Sample(rss_mb, threads, files, int(tasks))


def _middle(samples: list[Sample]) -> Sample:
    rss_mb, *counts = zip(*samples, strict=True)
    return Sample(round(median(rss_mb), 1), *(round(median(column)) for column in counts))
