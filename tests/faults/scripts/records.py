"""What is wrong with the input: the load itself is the fault."""

from __future__ import annotations

from tests.faults.arena import Arena
from tests.faults.crew import until


def just_load(arena: Arena) -> None:
    """Nothing else is broken."""
    until("the load has ended", lambda: arena.loaded, arena.shape.seconds * 4 + 120)


def kill_once(arena: Arena) -> None:
    """The same with one ``kill -9`` in the middle."""
    arena.pause(arena.shape.seconds * 0.3, arena.shape.seconds * 0.6)
    arena.kill()
    just_load(arena)
