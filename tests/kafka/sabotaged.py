"""A worker in which one part fails: ``python -m tests.kafka.sabotaged PART [OTHER COMMAND]``.

"nothing" sabotages none; the other command is Faust's own, ``faust -A streams.app worker``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

from faust.cli.faust import cli as faust

from streams.cli.main import main
from streams.engine.checkpoint import Transactions
from streams.engine.mover import Mover
from streams.engine.outlet import TaskEmit
from streams.engine.runner import Runner
from streams.engine.transport import Consumer

HOUR_S = 3600


class Sabotage(Exception):
    """No part of the engine expects it."""


def hangs(*_: Any) -> None:
    """Never come back, though others may run."""
    time.sleep(HOUR_S)


def hangs_in_step(emit: TaskEmit, step: Any) -> None:
    """The same where a step is entered."""
    emit.step = step.name
    time.sleep(HOUR_S)


def fails(*_: Any, **__: Any) -> NoReturn:
    """Raise what nobody foresaw."""
    raise Sabotage("broken on purpose")


def loses(*_: Any) -> None:
    """Take a chunk, and forget it."""


async def fails_waiting(*_: Any, **__: Any) -> NoReturn:
    """The same where it is awaited."""
    raise Sabotage("broken on purpose")


PARTS: dict[str, tuple[type, str, Callable[..., Any]]] = {
    "step": (TaskEmit, "enter", hangs_in_step),
    "commit": (Transactions, "_commit", hangs),
    "fence": (Transactions, "fence", hangs),
    "timer": (Runner, "watch_idleness", fails),
    "agent": (Consumer, "process", fails),
    "chunk": (Consumer, "process", loses),
    "mover": (Mover, "_split", fails),
    "group": (Consumer, "_getmany", fails_waiting),
    "member": (Consumer, "on_partitions_assigned", fails_waiting),
}

if __name__ == "__main__":
    if sys.argv[1] in PARTS:
        owner, name, instead = PARTS[sys.argv[1]]
        setattr(owner, name, instead)
    command = sys.argv[2:]
    sys.argv = command or ["streams", "worker"]
    (faust if command else main)()
