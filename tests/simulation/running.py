"""Runs: a seed and a scheme to a verdict."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from streams.engine import mover, retake, rocks, runner, stores, task
from streams.engine.settings import EngineSettings
from streams.engine.stages import watched
from tests.simulation.client import Reader, transactions_of
from tests.simulation.disk import Batch, Disk
from tests.simulation.oracle import Violation
from tests.simulation.owner import Owner, end_process
from tests.simulation.plan import Listed, Plan, Seeded
from tests.simulation.schemes import RIGHT, Scheme
from tests.simulation.world import Size, World

DOUBT = rocks._doubt


class Verdict(NamedTuple):
    """What became of a run."""

    violation: str
    """Empty where all was right."""
    trace: list[str]
    kinds: frozenset[str]


class _Clock:
    """In place of the module ``time``."""

    @staticmethod
    def time() -> float:
        return World.running.broker.now_ms / 1000

    monotonic = perf_counter = time


def _owner() -> Owner:
    """Whose strand runs."""
    found = World.running.turn
    assert found is not None
    return found


def _store(settings: EngineSettings, sub: str, partition: int) -> stores.TaskStore:
    if _owner().world.scheme.store == "memory":
        return stores.TaskStore()
    return rocks.RocksTaskStore(Path(f"{sub}/{partition}"), f"{sub}/{partition}", 2)


def _doubt(stand: Any, identity: str, low: int, end: int) -> str:
    """The engine's own doubts, except where a scheme has fewer."""
    found = DOUBT(stand, identity, low, end)
    trusts = World.running.scheme.trusts_for_ever
    return "" if trusts and found == "it fell behind for too long" else found


@contextmanager
def modelled() -> Iterator[None]:
    """The engine on the model: what it talks to is replaced, itself is not."""
    with ExitStack() as stack:
        for target, name, new in (*_REPLACED, *_ends()):
            stack.enter_context(patch.object(target, name, new))
        stack.enter_context(watched(lambda when, stage: _owner().passing(when, stage)))
        yield


def _ends() -> Iterator[tuple[Any, str, Any]]:
    """Wherever the engine ends its process: a model's end must never be that of the tests."""
    for module in list(sys.modules.values()):
        if getattr(module, "end_process", None) is mover.end_process:
            yield module, "end_process", end_process


_REPLACED: tuple[tuple[Any, str, Any], ...] = (
    (runner, "Transactions", transactions_of(_owner)),
    (runner, "Reader", lambda kafka, topic, partition: Reader(_owner(), topic, partition)),
    (runner, "time", _Clock),
    (retake, "_hear_the_group", lambda wanted: None),  # at worst it says nothing
    (task, "new_store", _store),
    (task, "planned", lambda topology, settings: topology),
    (rocks, "Disk", lambda folder: Disk(_owner(), folder)),
    (rocks, "batch", Batch),
    (rocks, "time", _Clock),
    (rocks, "_doubt", _doubt),
)


def play(plan: Plan, scheme: Scheme = RIGHT, size: Size | None = None) -> Verdict:
    """One run; call it inside ``modelled``."""
    world = World(plan, scheme, size or Size())
    violation = ""
    try:
        world.run()
    except Violation as error:
        violation = str(error)
    return Verdict(violation, world.trace, frozenset(world.happened))


def listed(
    deviations: int, kinds: frozenset[str], size: Size, scheme: Scheme = RIGHT
) -> Iterator[tuple[list[int], Verdict]]:
    """All runs with so many deviations of these kinds, each with its list of choices."""
    choices: list[int] | None = []
    while choices is not None:
        plan = Listed(choices, deviations, kinds)
        verdict = play(plan, scheme, size)
        yield [choice for choice, _ in plan.made], verdict
        choices = plan.next_list()


def seeded(seed: int, scheme: Scheme = RIGHT) -> Verdict:
    """The run of a seed."""
    plan = Seeded(seed, scheme.often)
    size = Size(plan.small(16) + 2, 1 + plan.small(2), 1 + plan.small(2))
    return play(plan, scheme, size)
