"""Which core does what: the broker and the load on one, the contender on the other."""

from __future__ import annotations

import os
import sys

import msgspec


class Cores(msgspec.Struct, frozen=True):
    """The cores of a bench; None where the system does not let a process choose."""

    broker: int | None
    worker: int | None

    def __str__(self) -> str:
        if self.broker is None:
            return "not pinned: this system cannot"
        if self.broker == self.worker:
            return f"one core for all: {self.broker}"
        return f"broker and load on core {self.broker}, contender on core {self.worker}"


def choose() -> Cores:
    """The first two cores that this process may use, or the only one for both."""
    if sys.platform != "linux":
        return Cores(None, None)
    free = sorted(os.sched_getaffinity(0))
    return Cores(free[0], free[1] if len(free) > 1 else free[0])


def pin(core: int | None, pid: int = 0) -> None:
    """Keep a process (this one: 0) and all that it starts from now on to one core."""
    if core is not None and sys.platform == "linux":
        os.sched_setaffinity(pid, {core})
