"""A task in event time: timers, declared watermarks, idleness, corrections, skew."""

from __future__ import annotations

from typing import Any

import pytest

from joins.clock import NEG_INF
from joins.state import Store
from schemas.errors import BadHeaders
from streams import topics
from streams.engine.settings import EngineSettings
from streams.engine.step import Batch, Emit, Step, derived
from streams.engine.writers import Writer
from streams.testing import TopologyDriver
from tests.engine.world import (
    DECLARED,
    LAST,
    OBSERVED,
    OTHER,
    OUT,
    SETTINGS,
    T0,
    at,
    declared,
    driver,
    subjects,
)

FIRST = ("by_txid", 0)

# Timers -------------------------------------------------------------------------------------------


def _wait(batch: Batch, state: Store, emit: Emit) -> None:
    """Keep each label until its time has passed."""
    for event in batch:
        state.put(("wait", event.ts, event.id), event)


def _release(watermark: int, state: Store, emit: Emit) -> None:
    for key, event in list(state.scan(("wait",), None, (watermark,))):
        state.delete(key)
        emit(OUT, derived("wait", event, OUT, event.value))


def _held(state: Store) -> int | None:
    return next((int(key[1]) for key, _ in state.scan(("wait",))), None)


WAIT = Step("wait", (DECLARED,), (OUT,), _wait, _release, holdback=_held)


def test_a_jump_of_time_passes_every_deadline_in_order() -> None:
    """One declared jump releases all that is due, by time; what is not due stays.

    ::

        30   10   20   40        declared 35  ->  10 20 30, not 40
    """
    world = TopologyDriver(WAIT, SETTINGS, partitions=1)
    for number in (3, 1, 2, 4):
        at(world, 10 * number, number, topic=DECLARED, writer="w")
    assert [] == subjects(world)
    world.declare(DECLARED, T0 + 35, "w")
    assert [10, 20, 30] == [event.ts - T0 for event in world.events(OUT)]
    assert [T0 + 40] == [key[1] for key in world.state("wait")]


def test_timers_survive_a_crash() -> None:
    """They are in state: what was waiting fires at its time, once, and holds back as before.

    ::

        waits: 10, 40      declared 20    crash    declared 20, 50    crash
        said:                   10                          40
    """
    world = TopologyDriver(WAIT, SETTINGS, partitions=1)
    for number in (1, 4):
        at(world, 10 * number, number, topic=DECLARED, writer="w")
    for watermark, said in ((20, [10]), (20, [10]), (50, [10, 40])):
        world.declare(DECLARED, T0 + watermark, "w")
        world.crash()
        assert said == [event.ts - T0 for event in world.events(OUT)]
    assert [20, 50] == declared(world)
    assert {} == world.state("wait")


def test_what_a_timer_says_reaches_later_steps_before_their_own_timers() -> None:
    """A fused step takes the results of a jump in, and only then is told of the jump."""
    seen: list[Any] = []

    def note(batch: Batch, state: Store, emit: Emit) -> None:
        seen.extend(event.ts - T0 for event in batch)

    def told(watermark: int, state: Store, emit: Emit) -> None:
        seen.append(f"told {watermark - T0}")

    after = Step("after", (OUT,), (), note, told)
    world = TopologyDriver((WAIT, after), SETTINGS, partitions=1)
    for number in (2, 1):
        at(world, 10 * number, number, topic=DECLARED, writer="w")
    world.declare(DECLARED, T0 + 15, "w")
    world.declare(DECLARED, T0 + 15, "w")
    world.declare(DECLARED, T0 + 35, "w")
    assert [10, "told 15", 20, "told 35"] == seen


def test_time_never_goes_back() -> None:
    """A writer that declares less tells nobody anything."""
    told: list[int] = []
    step = Step("t", (DECLARED,), (), lambda *_: None, lambda w, *_: told.append(w - T0))
    world = TopologyDriver(step, SETTINGS, partitions=1)
    for watermark in (50, 20, 50, 60):
        world.declare(DECLARED, T0 + watermark, "w")
    assert [50, 60] == told


# What a task declares -----------------------------------------------------------------------------


def test_a_task_declares_its_watermark_less_grace_in_every_partition() -> None:
    """Each of two tasks tells both partitions of each declared output, each time it moved."""
    settings = EngineSettings(grace_ms=5, retract_grace_ms=100)
    world = driver(DECLARED, settings=settings, partitions=2)
    world.declare(DECLARED, T0 + 50, "w")
    world.declare(DECLARED, T0 + 50, "w")
    world.declare(DECLARED, T0 + 70, "w")
    for topic in (OUT, LAST):
        for partition in (0, 1):
            assert [45, 45, 65, 65] == sorted(declared(world, topic, partition))
    assert [] == declared(world, topics.dead_letters)


def test_a_task_declares_nothing_before_every_input_has() -> None:
    """An input whose writer never spoke is at ``-inf``."""
    world = driver(DECLARED, OTHER)
    world.declare(DECLARED, T0 + 50, "w")
    assert NEG_INF == world.tasks[FIRST].own_watermark()
    assert [] == declared(world)
    world.declare(OTHER, T0 + 30, "v")
    assert [30] == declared(world)


def test_a_result_not_yet_said_holds_the_declaration_back() -> None:
    """``holdback``: nothing below what is declared will still be published.

    ::

        result waits at 20      declared 20 by the source -> 20   declared 90 -> 90
    """
    world = TopologyDriver(WAIT, SETTINGS, partitions=1)
    at(world, 20, 1, topic=DECLARED, writer="w")
    world.declare(DECLARED, T0 + 20, "w")
    assert [20] == declared(world)
    at(world, 15, 2, topic=DECLARED, writer="w")
    world.declare(DECLARED, T0 + 90, "w")
    assert [20, 90] == declared(world)


def test_the_least_input_decides_and_the_next_task_follows() -> None:
    """Through two tasks: the second's time is what all tasks of the first have declared."""
    rekeyed = topics.Topic("t.by_model", "model", "re-keyed", "ml.example.v1")
    first = Step("first", (DECLARED,), (rekeyed,), lambda *_: None)
    second = Step("second", (rekeyed,), (), lambda *_: None)
    world = TopologyDriver((first, second), SETTINGS, partitions=2)
    world.declare(DECLARED, T0 + 50, "w")
    assert [T0 + 50] * 2 == [world.tasks["by_model", n].own_watermark() for n in (0, 1)]


def test_what_was_declared_survives_a_crash() -> None:
    """Recovered exactly: not declared twice, and what lies below it is still a correction."""
    world = driver(DECLARED)
    world.declare(DECLARED, T0 + 50, "w")
    world.crash()
    at(world, 40, 1, topic=DECLARED, writer="w")
    at(world, 50, 2, topic=DECLARED, writer="w")
    assert [50] == declared(world)
    assert [True, False] == [event.correction for event in world.events(OUT)]


def test_a_failed_checkpoint_is_said_again() -> None:
    """Outputs, state and declaration go with the next one."""
    world = driver(DECLARED, checkpoint_every=0)
    at(world, 60, 1, topic=DECLARED, writer="w")
    world.declare(DECLARED, T0 + 50, "w")
    task = world.tasks[FIRST]
    assert task.dirty
    failed = task.snapshot()
    assert not task.dirty
    task.put_back(failed)
    assert task.dirty
    world.checkpoint()
    assert ([1], [50]) == (subjects(world), declared(world))
    world.crash()
    assert {1} == set(world.state("obey").values())


def test_news_of_time_alone_is_worth_a_checkpoint() -> None:
    """A task without new records still has to say how far it came, and that it is idle."""
    world = driver(DECLARED, checkpoint_every=0)
    task = world.tasks[FIRST]
    assert not task.dirty
    task.idle(DECLARED.name)
    assert task.dirty
    world.checkpoint()
    assert (["idle"], False) == (declared(world), task.dirty)


def test_a_quiet_task_declares_later() -> None:
    """Time that was not declared is no news meanwhile, and is not lost; data goes on."""
    world = driver(DECLARED, checkpoint_every=0)
    task = world.tasks[FIRST]
    task.declaring.quiet = True
    world.declare(DECLARED, T0 + 50, "w")
    assert not task.dirty
    at(world, 60, 1, topic=DECLARED, writer="w")
    world.checkpoint()
    assert ([1], []) == (subjects(world), declared(world))
    task.declaring.quiet = False
    assert task.dirty
    world.checkpoint()
    assert [50] == declared(world)


def test_a_change_of_state_alone_is_worth_a_checkpoint() -> None:
    """What a timer forgot is forgotten after a restart, too."""
    task = driver(DECLARED, checkpoint_every=0).tasks[FIRST]
    task.store.scope("obey").put(("x",), 1)
    task.store.settle()
    assert task.dirty
    assert [[(("x",), 1, None)]] == [changes.entries for changes in task.snapshot().changes]


# Idleness -----------------------------------------------------------------------------------------


def test_an_idle_input_holds_nothing_back_and_rejoins_with_its_next_record() -> None:
    """Observed: silent at its end for the timeout, then back.

    ::

        OBSERVED: 0 ........ idle ............. 200
        DECLARED:        50         90               300      (lateness 10)
        declared:   -10  ->  -10,   90               190
    """
    world = driver(OBSERVED, DECLARED)
    at(world, 0, 1)
    world.declare(DECLARED, T0 + 50, "w")
    world.idle(OBSERVED)
    world.declare(DECLARED, T0 + 90, "w")
    assert [-10, 50, 90] == declared(world)
    at(world, 200, 2)
    world.declare(DECLARED, T0 + 300, "w")
    assert [-10, 50, 90, 190] == declared(world)


def test_a_known_writer_is_never_given_up() -> None:
    """Silence does not make a declared input idle once its writer has spoken: it lags."""
    world = driver(DECLARED, OTHER)
    world.declare(DECLARED, T0 + 50, "w")
    world.declare(OTHER, T0 + 90, "v")
    world.idle(DECLARED)
    assert T0 + 50 == world.tasks[FIRST].own_watermark()


def test_a_step_of_the_topology_is_waited_for_from_the_start() -> None:
    """A derived input whose writers have not started is no idle input."""
    world = driver(DECLARED, OTHER)
    task = world.tasks[FIRST]
    task.progress.declared[OTHER.name].expected = ("some_step",)
    world.declare(DECLARED, T0 + 50, "w")
    world.idle(OTHER)
    assert NEG_INF == task.own_watermark()


def test_a_source_that_was_never_started_is_left_out_after_the_timeout() -> None:
    """Nobody has declared anything there, so nobody is waited for."""
    world = driver(DECLARED, OTHER)
    world.declare(DECLARED, T0 + 50, "w")
    assert NEG_INF == world.tasks[FIRST].own_watermark()
    world.idle(OTHER)
    assert T0 + 50 == world.tasks[FIRST].own_watermark()


def test_a_writer_that_declares_again_is_waited_for_again() -> None:
    """Back from idleness without a record: from then on it holds the watermark back.

    ::

        DECLARED: idle        60
        OTHER:          50         90
        declared:       50         60
    """
    world = driver(DECLARED, OTHER)
    world.declare(DECLARED, None, "w")
    world.declare(OTHER, T0 + 50, "v")
    world.declare(DECLARED, T0 + 60, "w")
    world.declare(OTHER, T0 + 90, "v")
    assert [50, 60] == declared(world)


def test_a_task_without_time_declares_itself_idle_and_rejoins() -> None:
    """All inputs idle: the next task need not wait; with the first record it waits again."""
    world = driver(DECLARED, OTHER)
    world.declare(DECLARED, None, "w")
    world.declare(OTHER, None, "v")
    assert ["idle"] == declared(world)
    at(world, 10, 1, topic=DECLARED, writer="w")
    assert ["idle", "-inf"] == declared(world)
    world.declare(DECLARED, T0 + 20, "w")
    assert ["idle", "-inf", 20] == declared(world)


def test_an_idle_task_keeps_what_it_had_declared() -> None:
    """First how far it came, then that it is idle; coming back it promises no less."""
    world = driver(DECLARED)
    world.declare(DECLARED, T0 + 50, "w")
    world.declare(DECLARED, None, "w")
    world.declare(DECLARED, T0 + 40, "w")
    assert [50, "idle", 50] == declared(world)


def test_idleness_is_recovered() -> None:
    """A restart neither forgets that an input was idle nor says so twice."""
    world = driver(DECLARED, OTHER)
    world.declare(DECLARED, None, "w")
    world.declare(OTHER, T0 + 50, "v")
    world.declare(OTHER, None, "v")
    world.crash()
    world.checkpoint()
    assert [50, "idle"] == declared(world)
    world.declare(OTHER, T0 + 70, "v")
    assert [50, "idle", 70] == declared(world)


# Corrections --------------------------------------------------------------------------------------


def test_what_is_published_below_the_own_watermark_is_marked() -> None:
    """A reader knows that it follows late; at the watermark it does not."""
    world = driver(DECLARED)
    world.declare(DECLARED, T0 + 50, "w")
    for number, ts in enumerate((49, 50, 51)):
        at(world, ts, number, topic=DECLARED, writer="w")
    assert [True, False, False] == [event.correction for event in world.events(OUT)]
    assert [True, False, False] == [event.correction for event in world.events(LAST)]


# Generations --------------------------------------------------------------------------------------


def test_a_new_generation_starts_where_the_old_one_stood() -> None:
    """Time stands still until all of its tasks have declared, and never falls back."""
    world = driver(DECLARED)
    world.declare(DECLARED, T0 + 50, "w")
    task = world.tasks[FIRST]
    said = task.progress.declared[DECLARED.name]
    for number in (0, 1):
        headers = [("streams-writer", str(Writer("w", 1, number, 2)).encode())]
        task.progress.hear(DECLARED, [*headers, ("streams-watermark", b"%d" % (T0 + 70))])
        task.progress.settle(DECLARED)
        task.advance()
        expected = (NEG_INF, T0 + 50) if number == 0 else (T0 + 70, T0 + 70)
        assert expected == (said.watermark(), task.own_watermark())


def test_a_broken_control_record_changes_nothing() -> None:
    """Neither the writer nor the clock."""
    task = driver(DECLARED).tasks[FIRST]
    with pytest.raises(BadHeaders):
        task.progress.hear(DECLARED, [("streams-writer", b"w"), ("streams-watermark", b"1")])
    assert {} == task.progress.declared[DECLARED.name].dump()
