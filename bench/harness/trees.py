"""CPU and memory of processes that were started, with all that they started."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def cpu_seconds(leaders: Iterable[int]) -> float:
    """CPU that these processes and all in their sessions have used."""
    sessions, tick = set(leaders), os.sysconf("SC_CLK_TCK")
    return sum(ticks for session, ticks, _ in _all() if session in sessions) / tick


def resident_bytes(leaders: Iterable[int]) -> int:
    """Memory of these processes and of all in their sessions; what is shared counts for each."""
    sessions, page = set(leaders), os.sysconf("SC_PAGE_SIZE")
    return sum(pages for session, _, pages in _all() if session in sessions) * page


def _all() -> Iterable[tuple[int, int, int]]:
    """Of each process its session, CPU in ticks and resident pages."""
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                fields = (place / "stat").read_text(errors="replace").rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):  # it has just ended
                continue
            yield int(fields[3]), int(fields[11]) + int(fields[12]), int(fields[21])
