"""A sink's target that goes away, or answers nothing."""

from __future__ import annotations

import os
import signal
import time

from tests.faults.arena import Arena


def sink_down(arena: Arena) -> None:
    """PostgreSQL crashes, stays away, and is back; the job must not notice.

    ::

        postgres |-----| SIGQUIT      |--------------------->
        job      |------------------------------------------>
    """
    assert arena.postgres is not None
    for _ in range(2):
        arena.pause(1, 3)
        arena.postgres.stop(signal.SIGQUIT)
        time.sleep(arena.chance.uniform(2, 6))
        arena.postgres.start()


def sink_frozen(arena: Arena) -> None:
    """PostgreSQL's sessions stand still for a while, connections open."""
    assert arena.postgres is not None
    process = arena.postgres.process
    assert process is not None
    arena.pause(1, 3)
    family = [process.pid, *_children(process.pid)]
    for pid in family:
        os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(arena.chance.uniform(5, 8))
    finally:
        for pid in family:
            os.kill(pid, signal.SIGCONT)


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(word) for word in file.read().split()]
