"""``kill -9`` before and after every named step of a take-over and of a checkpoint."""

from __future__ import annotations

import random

from streams.engine.stages import CHECKPOINT, FAILED, TAKEOVER, Stage
from tests.faults.arena import Arena
from tests.faults.crew import Failed

SHARES = 5
"""Seeds among which the steps are divided: one run has time for a fifth of them."""
VARIABLE = "STREAMS_TEST_FAULT"
TIMEOUT = {"STREAMS_ENGINE__TRANSACTION_TIMEOUT_MS": "3000"}
QUICK_TIMEOUT = {"transaction.abort.timed.out.transaction.cleanup.interval.ms": "500"}
"""With both, a broker has aborted a transaction that hangs for 5 s: its id is taken again."""
IN_LOG = ("declare", "changelog", "position", "commit")
"""Stages before which the records are to be in the log, unfinished."""


def points() -> list[tuple[str, str]]:
    """Every stage, before and after it."""
    stages = (*CHECKPOINT, *TAKEOVER, *FAILED)
    return [(when, str(stage)) for stage in stages for when in ("before", "after")]


def plans(seed: int) -> list[dict[str, str]]:
    """The environments of the workers that die, for the share of a seed.

    Those that die in a take-over come last: they need no load, and it may be over by then.
    """
    chance = random.Random(seed)
    share = points()[(seed - 1) % SHARES :: SHARES]
    chance.shuffle(share)
    share.sort(key=lambda point: point[1] in TAKEOVER)
    return [
        {VARIABLE: _fault(chance, *point), **(TIMEOUT if Stage.RETAKE in point else {})}
        for point in share
    ]


def _fault(chance: random.Random, when: str, stage: str) -> str:
    if stage == Stage.RETAKE:
        return f"hang=5@before:commit#{chance.randrange(4, 40)},kill@{when}:{stage}"
    if stage in TAKEOVER:
        return f"kill@{when}:{stage}#{chance.randrange(1, 5)}"
    number = chance.randrange(4, 40)
    if stage in FAILED:
        return f"raise@before:changelog#{number}+,kill@{when}:{stage}"
    if stage in IN_LOG:
        return f"hang=0.2@{when}:{stage}#{number},kill@{when}:{stage}#{number}"
    return f"kill@{when}:{stage}#{number}"


def kill_at_stages(arena: Arena) -> None:
    """Each worker dies at another point; at last one lives.

    ::

        worker   |---x before commit |---x after keep |---x ... |---x after fence |------->
        input    |-----------------------------------------|
    """
    supervisor, wanted = arena.crew[0], len(plans(arena.shape.seed))
    for number in range(1, wanted + 1):
        supervisor.await_deaths(number)
        arena.broke()
    if set(supervisor.codes) != {-9}:
        raise Failed(f"workers that were to be killed ended with {supervisor.codes}")
    arena.faults = arena.faults[-1:]
    arena.recovered()
