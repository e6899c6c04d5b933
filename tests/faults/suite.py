"""The faults by name, and how one is run."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from asyncpg import PostgresError
from confluent_kafka import KafkaException

from streams.broker import EmbeddedBroker
from tests.faults.arena import Arena, Broker, Outcome
from tests.faults.crew import Failed
from tests.faults.inputs import Shape
from tests.faults.oracle.court import Unfit
from tests.faults.oracle.reading import Unread
from tests.postgres import PostgresServer

SHORT = {"group.min.session.timeout.ms": "1000"}
Play = Callable[[Arena], None]


class Fault(NamedTuple):
    """One way to break things."""

    name: str
    play: Play
    """Breaks things while the load goes on."""
    seconds: float = 12.0
    workers: int = 1
    seeds: int = 2
    shape: Mapping[str, Any] = {}
    environment: Mapping[str, str] = {}
    plans: Callable[[int], list[dict[str, str]]] = lambda seed: []
    """More environment of the first workers, one after the other, for a seed."""
    prepare: Play = lambda arena: None
    """What is done before anything else of ours runs."""
    broker: Callable[[Path], Any] = lambda folder: EmbeddedBroker(extra=SHORT)
    """A context manager that gives a ``Broker``, made for the run's folder."""
    breaks: bool = True
    """Whether its play breaks something while the load goes on."""
    judged: bool = True
    """False: the run ends with a refusal, and no results are to be had."""
    long: bool = False
    """Whether its input is too long for memory."""
    in_ci: bool = False


AMISS = (Failed, AssertionError, Unread, Unfit, KafkaException, PostgresError, OSError)
"""What ends a run, and not the suite."""


class Ready(NamedTuple):
    """A run whose broker and workers have been started, and that has no load yet."""

    fault: Fault
    arena: Arena
    undo: ExitStack


def ready(fault: Fault, seed: int, postgres: PostgresServer, scale: float = 1.0) -> Ready:
    """Make a run ready; the next one may be while another comes to its end."""
    folder, undo = Path(tempfile.mkdtemp(prefix=f"streams-fault-{fault.name}-")), ExitStack()
    shape = Shape(seed=seed, seconds=fault.seconds * scale, **fault.shape)
    with undo:
        broker: Broker = undo.enter_context(fault.broker(folder))
        own = dict(fault.environment)
        arena = Arena(folder, broker, fault.name, shape, postgres, own, fault.long)
        undo.callback(arena.close)
        try:
            arena.plans = iter(fault.plans(seed))
            fault.prepare(arena)
            arena.employ(fault.workers)
        except AMISS as error:
            arena.outcome.amiss(error)
        return Ready(fault, arena, undo.pop_all())


def run(fault: Fault, seed: int, postgres: PostgresServer, scale: float = 1.0) -> Outcome:
    """Run a fault once and judge it; what goes wrong is told in the outcome."""
    return play(ready(fault, seed, postgres, scale))()


def play(on: Ready, ending: Callable[[], object] = bool) -> Callable[[], Outcome]:
    """Run a fault once; what is returned judges it, while the next one may run already.

    ``ending`` is called when all has been broken, and the run only has to come to its end.
    """
    fault, arena = on.fault, on.arena
    judge: Callable[[], object] = bool  # nothing to judge where a refusal ends the run
    with on.undo as undo:
        try:
            if not arena.outcome.error:
                arena.begin()
                fault.play(arena)
                if fault.breaks and not arena.faults:
                    raise Failed("the load was over before anything was broken: a busy machine?")
        except AMISS as error:
            arena.outcome.amiss(error)
        ending()
        try:
            if fault.judged and not arena.outcome.error:
                judge = arena.finish()
        except AMISS as error:
            arena.outcome.amiss(error)
        return partial(_judged, arena, judge, undo.pop_all())


def _judged(arena: Arena, judge: Callable[[], object], undo: ExitStack) -> Outcome:
    """Judge, close the run, and keep its logs where it is not clean."""
    outcome = arena.outcome
    with undo:
        try:
            judge()
        except AMISS as error:
            outcome.amiss(error)
    if outcome.clean:
        shutil.rmtree(arena.folder, ignore_errors=True)
    else:
        outcome.notes.append(f"logs in {arena.folder}")
    return outcome
