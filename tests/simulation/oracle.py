"""Whether a run was right: against the truth, which is computed from the inputs alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.simulation import inputs
from tests.simulation.broker import Place

if TYPE_CHECKING:
    from tests.simulation.owner import Owner
    from tests.simulation.world import World


class Violation(AssertionError):
    """Something was lost, doubled or wrong, or no end was reached."""


def records(world: World, task: int, position: dict[str, int]) -> list[tuple[str, str, str]]:
    """The committed records of a task's inputs in front of a position, input by input."""
    found = []
    for topic in inputs.INPUTS:
        for offset, content, transaction in world.broker.log(Place(topic, task)).entries:
            decided = transaction is None or transaction.committed
            if offset < position.get(topic, 0) and decided:
                key, number = content.key or b"", content.value or b""
                found.append((topic, key.decode(), number.decode()))
    return found


def state_of(task: Any) -> dict[Any, int]:
    """What the step keeps."""
    return dict(task.store.scope("count").dump())


def check_restored(owner: Owner) -> None:
    """A task that was taken over stands at a checkpoint: its state is that of its position."""
    task = owner.runner.task
    expected, _ = inputs.truth(records(owner.world, owner.task, task.position))
    found = state_of(task)
    if found != expected:
        raise _differs(f"{owner} at {task.position}: state", expected, found)


def check_end(world: World) -> None:
    """Everything was read; state and results are the truth."""
    results: dict[str, list[inputs.Said]] = {}
    for task, owner in world._holding():
        position = owner.runner.task.position
        ends = {t: world.broker.log(Place(t, task)).end for t in inputs.INPUTS}
        if position != ends:
            raise Violation(f"{owner} stands at {position}, the ends are {ends}")
        expected, said = inputs.truth(records(world, task, ends))
        results |= said
        if state_of(owner.runner.task) != expected:
            raise _differs(f"{owner}: state", expected, state_of(owner.runner.task))
    if world.scheme.exact_outputs:
        _check_outputs(world, results)


def _check_outputs(world: World, expected: dict[str, list[inputs.Said]]) -> None:
    found: dict[str, list[inputs.Said]] = {}
    for partition in range(world.partitions):
        log = world.broker.log(Place(inputs.OUT.name, partition))
        for _, content, transaction in log.entries:
            visible = transaction is None or transaction.committed
            if visible and content.key is not None and content.value is not None:
                headers: Any = dict(content.headers or ())
                id = headers["ce_id"].decode().rsplit(":", 2)[0]
                said = (id, content.value)
                found.setdefault(content.key.decode(), []).append(said)
    for key in sorted(expected.keys() | found.keys()):
        if expected.get(key) != found.get(key):
            ids = [[i for i, _ in said.get(key, [])] for said in (expected, found)]
            raise Violation(f"results of {key}: expected {ids[0]}, found {ids[1]}")


def _differs(what: str, expected: dict[Any, int], found: dict[Any, int]) -> Violation:
    keys = sorted(expected.keys() | found.keys(), key=str)
    wrong = [k for k in keys if expected.get(k) != found.get(k)]
    words = [f"{k}: expected {expected.get(k)}, found {found.get(k)}" for k in wrong]
    return Violation(f"{what}: {'; '.join(words)}")
