"""A checkpoint that fails at any stage puts its work back, and the next one has it."""

from __future__ import annotations

import pytest

from streams.engine.doom import FALLIBLE
from streams.engine.stages import CHECKPOINT, Stage, When
from tests.simulation.client import refused, timed_out
from tests.simulation.plan import Listed
from tests.simulation.running import World
from tests.simulation.schemes import RIGHT
from tests.simulation.world import Size

PLACES: list[tuple[When, Stage]] = [
    (when, stage)
    for stage in CHECKPOINT[CHECKPOINT.index(Stage.BEGIN) : CHECKPOINT.index(Stage.KEEP)]
    for when in ("before", "after")
    if (when, stage) not in (("before", Stage.BEGIN), ("after", Stage.COMMIT))
]
"""Where Kafka may refuse something, and the worker goes on."""


def _run(*failures: tuple[When, Stage, Exception]) -> str:
    """An undisturbed run but for these failures, each of them once; its trace."""
    world = World(Listed([], 0, frozenset()), RIGHT, Size(records=6, tasks=1, chaos=400))
    world.failures = list(failures)
    world.run()
    assert [] == world.failures
    return "\n".join(world.trace)


@pytest.mark.parametrize(("when", "stage"), PLACES)
def test_what_fails_is_put_back(when: When, stage: Stage) -> None:
    """It is aborted and put back, the worker lives, and at the end all is there, once."""
    trace = _run((when, stage, refused()))
    assert "abort" in trace and "put_back" in trace
    assert "exit" not in trace


@pytest.mark.parametrize(("when", "stage"), PLACES)
def test_what_fails_twice_is_put_back_twice(when: When, stage: Stage) -> None:
    """The second failure meets what the first one put back, and what was read since."""
    trace = _run((when, stage, refused()), (when, stage, refused()))
    assert 2 == trace.count("  put_back")


def test_a_commit_that_nobody_answers_is_asked_for_again() -> None:
    """Nobody knows whether it was done: the same again is answered the same."""
    trace = _run(("before", Stage.COMMIT, timed_out()))
    assert "put_back" not in trace and "exit" not in trace


@pytest.mark.parametrize("place", [("before", Stage.BEGIN), ("after", Stage.COMMIT)])
def test_what_cannot_be_aborted_ends_the_worker(place: tuple[When, Stage]) -> None:
    """There is no transaction, or it is over: the next process begins where the log stands."""
    assert "exit 3" in _run((*place, refused()))


@pytest.mark.parametrize("stage", [Stage.RESTORE, Stage.KEEP])
def test_a_disk_that_fails_ends_the_worker(stage: Stage) -> None:
    """What was committed is committed; nothing is put back, the next process reads the log."""
    from streams.engine.stores import StateLost  # noqa: PLC0415
    from tests.simulation.disk import FULL  # noqa: PLC0415

    trace = _run(("before", stage, StateLost(FULL)))  # type: ignore[arg-type]
    assert "exit 5" in trace and "put_back" not in trace


def test_every_stage_that_can_fail_is_failed_here() -> None:
    """A stage that is added fails in a test, or is known not to."""
    here = {stage for _, stage in PLACES} | {Stage.BEGIN, Stage.RESTORE, Stage.KEEP}
    assert {Stage.FENCE, Stage.REPLAY, Stage.ABORT} == FALLIBLE - here
