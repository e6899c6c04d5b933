"""A broker that is killed or frozen, and comes back."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from tests.faults.arena import Arena


def broker_killed(arena: Arena) -> None:
    """``kill -9`` of the only broker; it comes back after a few seconds on its data."""
    broker: Any = arena.broker
    for _ in range(2):
        arena.pause(1, 3)
        arena.broke()
        broker.kill()
        time.sleep(arena.chance.uniform(0.5, 4))
        broker.start()
        arena.recovered()


def broker_frozen(arena: Arena) -> None:
    """The only broker stands still for longer than the workers' sessions."""
    broker: Any = arena.broker
    arena.pause(1, 3)
    arena.broke()
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        time.sleep(arena.chance.uniform(6, 9))
    finally:
        os.kill(broker.pid, signal.SIGCONT)
    arena.recovered()
