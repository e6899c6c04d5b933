"""Workers that are killed, stopped, frozen, and too many."""

from __future__ import annotations

import random
import time
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM

from tests.faults.arena import Arena
from tests.faults.crew import Failed, recovered, until
from tests.kafka.world import Worker

EXIT_FENCED, EXIT_STALLED = 3, 13
STOP_S = 10
HUNG_S = 32.0
"""The promise is 30 s; what is more is the time to see it."""


def kill_at_random(arena: Arena) -> None:
    """``kill -9`` whenever it comes, while the load goes on.

    ::

        worker   |-----x |---x |------x ...
        input    |-------------------------|
    """
    while not (arena.faults and arena.loaded):
        arena.pause(0.5, 4)
        if not (arena.faults and arena.loaded):
            arena.kill()
            if arena.chance.random() < 0.6:  # else the next one may come while it recovers
                arena.recovered()


def rolling_restarts(arena: Arena) -> None:
    """Three workers are told to stop, one after the other; each must end within 10 s with 0.

    ::

        first    |----| |-------------------
        second   |-------| |----------------
        third    |----------| |-------------
    """
    until("all are members", lambda: arena.members() == 3)
    for number in range(len(arena.crew)):
        arena.pause(0.5, 2)
        old, began = arena.crew[number].worker, time.monotonic()
        arena.kill(number, SIGTERM)
        took = time.monotonic() - began
        if old.process.returncode or took > STOP_S:
            raise Failed(f"a worker told to stop ended with {old.process.returncode}, {took:.1f} s")
        arena.recovered()
        until("the new one is a member", lambda: arena.loaded or arena.members() == 3)


def rebalance_storm(arena: Arena) -> None:
    """Workers come and go, kindly or not, every two seconds."""
    while not (arena.faults and arena.loaded):
        arena.pause(1.5, 2.5)
        number = arena.chance.randrange(len(arena.crew))
        arena.kill(number, arena.chance.choice((SIGKILL, SIGTERM, SIGTERM)))
    arena.faults = arena.faults[-1:]


def freezes(seed: int) -> list[dict[str, str]]:
    """The environment of a worker that stands still with its records in the log, uncommitted."""
    number = random.Random(seed).randrange(8, 20)  # few: a busy task makes one a second
    fault = f"hang=0.2@before:commit#{number},stop@before:commit#{number}"
    return [{"STREAMS_TEST_FAULT": fault}]


def zombie(arena: Arena) -> None:
    """A worker is frozen with a transaction open, another takes over, and the first wakes up.

    Once where a transaction is open for sure, then whenever it comes.

    ::

        first    |------| SIGSTOP           SIGCONT |x exit 3
        second   |------------------------------------------>
    """
    first = arena.crew[0].worker
    until("it stands still", lambda: _state(first.process.pid) == "T")
    _wake(arena, first)
    while not arena.loaded:
        frozen = arena.crew[0].worker
        until("it works", lambda frozen=frozen: arena.loaded or recovered(frozen))
        arena.pause(0.5, 2)  # one that has nothing yet goes on as if nothing had been
        frozen.process.send_signal(SIGSTOP)
        _wake(arena, frozen, writing=not arena.loaded)


def _wake(arena: Arena, frozen: Worker, writing: bool = True) -> None:
    """Let the frozen worker go on once others have its tasks: whoever was writing is fenced."""
    arena.broke()
    until("others have its tasks", lambda: arena.taken(frozen))
    time.sleep(1)
    frozen.process.send_signal(SIGCONT)
    if not writing:
        arena.outcome.notes.append("a zombie was frozen after the load: it had nothing to write")
        return
    code = arena.ended(frozen, 30)
    if code != EXIT_FENCED:
        raise Failed(f"the worker that woke up ended with {code}")
    until("both are members", lambda: arena.loaded or arena.members() == 2)


def _state(pid: int) -> str:
    """The letter of a process's state: T is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def hangs(seed: int) -> list[dict[str, str]]:
    """The environment of a worker one of whose checkpoints never ends."""
    stage = random.Random(seed).choice(("outputs", "changelog", "commit"))
    return [{"STREAMS_TEST_FAULT": f"hang@before:{stage}#{40 + seed}"}]


def hung_worker(arena: Arena) -> None:
    """A checkpoint of one task never ends: the worker has to see it and end, within 30 s.

    ::

        worker   |--------| hangs       |x     |-------------->
        input    |------------------------------------|
    """
    worker = arena.crew[0].worker
    until("it hangs", lambda: "STREAMS_TEST_FAULT: hang" in worker.log.read_text())
    arena.broke()
    code = arena.ended(worker, HUNG_S)
    if code != EXIT_STALLED:
        raise Failed(f"a worker that hangs ended with {code}")
    arena.recovered()
