"""A checkpoint that fails at any stage puts its work back, and the next one has it."""

from __future__ import annotations

from typing import Any

import pytest

from streams.engine.codec import encode_value
from streams.engine.doom import FALLIBLE
from streams.engine.emit import POSITION
from streams.engine.stages import CHECKPOINT, Stage, When
from tests.simulation.broker import Content, Place
from tests.simulation.client import refused, timed_out
from tests.simulation.oracle import Violation
from tests.simulation.owner import Owner
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


def _run(*failures: tuple[When, Stage, Any]) -> str:
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
def test_what_cannot_be_aborted_is_looked_up(place: tuple[When, Stage]) -> None:
    """There is no transaction, or it is over, and the producer is of no use: the log knows."""
    trace = _run((*place, refused()))
    assert "retake" in trace and "exit" not in trace
    assert ("put_back" in trace) == (place[0] == "before")


def _time_out(owner: Owner) -> None:
    """Some is written, then it takes too long."""
    assert owner.producing is not None
    owner.producing.send()
    owner.world._expire(owner.producing.id)


def _done_but_fenced(owner: Owner) -> None:
    """The commit was done, its answer is lost, and after a long while the id is not ours."""
    producer = owner.producing
    assert producer is not None
    while producer.queue:
        producer.send()
    owner.world.broker.end(producer.id, producer.epoch, producer.serial, True)
    owner.world.broker.ids[producer.id].epoch += 1
    owner.world.broker.now_ms += 11_000


def _taken_over(owner: Owner) -> None:
    """It takes too long, and somebody else has committed a checkpoint meanwhile."""
    _time_out(owner)
    position = encode_value({"by": ["somebody", 1]})
    log = owner.world.broker.log(Place(owner.runner.changelog, owner.task))
    owner.world.broker.settle(owner.world.broker.ids[owner.producing.id].transaction)
    log.append([Content(POSITION, position)], None)


def test_a_transaction_that_times_out_is_put_back() -> None:
    """Nobody went on: the same worker takes the id again, and the next checkpoint has all."""
    trace = _run(("before", Stage.COMMIT, _time_out))
    assert "retake" in trace and "put_back" in trace
    assert "exit" not in trace


def test_a_commit_that_was_done_before_it_was_fenced_is_kept() -> None:
    """The last position record is that of the checkpoint itself: nothing is put back."""
    trace = _run(("before", Stage.COMMIT, _done_but_fenced))
    assert "retake" in trace
    assert "put_back" not in trace and "exit" not in trace


def test_a_transaction_that_timed_out_is_left_to_who_went_on() -> None:
    """The last position record is somebody else's: the worker ends, and fences nobody."""
    with pytest.raises(Violation, match="exit 3"):  # nobody had taken the id, says the oracle
        _run(("before", Stage.COMMIT, _taken_over))


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
