"""A join without Kafka or Faust: arrivals in, outcomes out (SEMANTICS 6)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from joins.errors import JoinError
from joins.join import Join
from joins.outcome import Outcome
from joins.task import JoinTask
from schemas.envelope import Event


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event arrives on a partition of a side."""

    side: str
    partition: int
    event: Event


@dataclass(frozen=True, slots=True)
class Idle:
    """A partition of a side has become idle."""

    side: str
    partition: int


@dataclass(frozen=True, slots=True)
class Watermark:
    """The writers of a declared side promise that nothing below ``ts`` (ms) comes any more."""

    side: str
    partition: int
    ts: int


Input = Arrival | Idle | Watermark


def run(
    join: Join,
    arrivals: Iterable[Input],
    close: bool = True,
    declared: Iterable[str] | None = None,
) -> list[Outcome]:
    """Feed a join and collect what it says, in order.

    Each partition number is a task with one partition of every side. A side with a ``Watermark``
    among the arrivals is declared, else observed, unless ``declared`` names the declared sides.
    ``close``: at the end time goes to infinity, task by task in order of their numbers. Raises
    JoinError on a side that the join does not have.
    """
    inputs = list(arrivals)
    if declared is None:
        declared = {item.side for item in inputs if isinstance(item, Watermark)}
    sides = _known(join, {*declared, *(item.side for item in inputs)}) & set(declared)
    join.check_declared(sides)
    tasks: dict[int, JoinTask] = {}
    said: list[Outcome] = []
    for item in inputs:
        task = tasks.get(item.partition)
        if task is None:
            task = tasks[item.partition] = JoinTask(join, item.partition, sides)
        said += feed(task, item)
    for number in sorted(tasks) if close else ():
        said += tasks[number].close()
    return said


def feed(task: JoinTask, item: Input) -> list[Outcome]:
    """Give one input to the task that it is for."""
    if isinstance(item, Arrival):
        return task.receive(item.side, item.event)
    if isinstance(item, Watermark):
        return task.declare(item.side, item.ts)
    return task.idle(item.side)


def _known(join: Join, sides: set[str]) -> set[str]:
    unknown = sorted(sides - set(join.sides))
    if unknown:
        raise JoinError(f"the join has the sides {', '.join(join.sides)}, not {unknown[0]!r}")
    return sides
