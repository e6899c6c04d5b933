"""A sink's target that goes away, or answers nothing."""

from __future__ import annotations

import os
import signal
import time

from asyncpg import PostgresError

from tests.faults.arena import Arena
from tests.faults.crew import until
from tests.faults.oracle.reading import sizes

ROWS_OF = "fault.tallies"


def sink_down(arena: Arena) -> None:
    """PostgreSQL crashes, stays away, and is back; the job must not notice.

    ::

        postgres |-----| SIGQUIT      |--------------------->
        job      |------------------------------------------>
    """
    for _ in range(2):
        arena.pause(1, 3)
        arena.broke()
        outputs = arena.tail.net[ROWS_OF]
        arena.postgres.stop(signal.SIGQUIT)
        time.sleep(arena.chance.uniform(2, 6))
        arena.postgres.start()
        rows_move(arena, outputs)


def sink_frozen(arena: Arena) -> None:
    """PostgreSQL's sessions stand still for a while, connections open."""
    process = arena.postgres.process
    assert process is not None
    arena.pause(1, 3)
    arena.broke()
    outputs = arena.tail.net[ROWS_OF]
    family = [process.pid, *_children(process.pid)]
    for pid in family:
        os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(arena.chance.uniform(5, 8))
    finally:
        for pid in family:
            os.kill(pid, signal.SIGCONT)
    rows_move(arena, outputs)


def rows_move(arena: Arena, outputs: int) -> None:
    """Wait until there are more rows than there were outputs when the target broke.

    One of them is then of an output that was written since. None is where the load had ended by
    then, and every output is a row: nothing is measured.
    """
    at = arena.faults[-1]

    def moved() -> bool:
        rows = _rows(arena)
        if rows > outputs:
            arena.measured[at] = time.time_ns() // 1_000_000 - at
        return rows > outputs or (arena.loaded and rows >= arena.tail.net[ROWS_OF])

    arena.measured[at] = -1
    until("rows move again", moved)


def _rows(arena: Arena) -> int:
    """How many rows there are; none where nobody answers."""
    name = arena.tables[ROWS_OF]
    try:
        return sizes(arena.postgres.uri, [name])[name]
    except (OSError, PostgresError):
        return 0


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(word) for word in file.read().split()]
