"""A task: poison, refusals, balance, lateness."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from schemas.events import Label
from streams import topics
from streams.engine.emit import RECORD_ROOM, Snapshot
from streams.engine.guard import MOST_RULES, OTHER_RULES
from streams.engine.position import OtherVersion
from streams.engine.remade import Remade
from streams.engine.settings import EngineSettings
from streams.engine.step import Step, derived
from streams.engine.task import StepFailed, Task
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
    counts,
    driver,
    label,
    letters,
    obey,
    subjects,
)

# Poison and refusals ------------------------------------------------------------------------------


@pytest.mark.parametrize("run", [True, False], ids=["one by one", "one batch"])
def test_only_the_record_that_fails_is_lost(run: bool) -> None:
    """Its state and outputs are rolled back, its neighbours in the batch are not.

    ::

        1 good   1 boom   2 good   ->   1, 2 live; subject 1 was counted once
    """
    world = driver()
    at(world, 0, 1, run=run)
    at(world, 1, 1, "boom", run=run)
    at(world, 2, 2, run=run)
    world.run()
    assert [1, 2] == subjects(world, OUT) == subjects(world, LAST)
    assert {1} == set(world.state("obey").values())
    (why,) = letters(world, topics.dead_letters)
    assert ("step_failed", "obey", "RuntimeError: as told") == (
        why["dl.cause"], why["dl.step"], why["dl.detail"],
    )  # fmt: skip
    assert (3, 2, 1) == (counts(world).read, counts(world).used, counts(world).dead_letters)


def test_a_failing_record_is_tried_again_first() -> None:
    """``retries`` times after its first own try."""
    tried: list[int] = []

    def fail(batch: Any, state: Any, emit: Any) -> None:
        tried.append(len(batch.events))
        raise RuntimeError

    world = TopologyDriver(
        Step("fail", (OBSERVED,), (), fail),
        EngineSettings(retries=2),
        partitions=1,
        dead_letters="keep",
    )
    at(world, 0, 1)
    assert [1, 1, 1] == tried
    assert counts(world).balanced


def test_a_refused_record_leaves_nothing_but_its_letter() -> None:
    """Its id does not become live and time does not move: the true record still counts.

    ::

        forged retract of 1 at ts 0 (refused)   true retract of 1   ->   nothing is live
        refused at ts 500                       good at ts 5        ->   in time
    """
    world = driver()
    at(world, 0, 1)
    at(world, 0, 1, "refuse", op="retract")
    at(world, 0, 1, op="retract")
    assert [] == subjects(world)
    at(world, 500, 2, "refuse")
    at(world, 5, 3)
    assert [3] == subjects(world)
    assert ["unwanted", "unwanted"] == [w["dl.cause"] for w in letters(world, topics.dead_letters)]
    assert {"obey"} == {why["dl.step"] for why in letters(world, topics.dead_letters)}
    assert 0 == counts(world).late
    assert {1, 2} == set(world.state("obey").values())
    assert counts(world).balanced


@pytest.mark.parametrize("word", ["boom", "refuse", "future", "bytes"])
def test_dead_letters_move_no_watermark(word: str) -> None:
    """Whatever killed the record, an older one after it is still in time."""
    world = driver()
    at(world, 0, 1)
    if word == "bytes":
        world.produce_raw(OBSERVED, b"k", b"poison")
    else:
        at(world, 900, 2, word, ingest_ts=T0 + 5 if word != "future" else T0 - 500)
    at(world, 1, 3)
    assert [1, 3] == subjects(world)
    assert (1, 0) == (counts(world).dead_letters, counts(world).late)


def test_what_a_step_leaves_out_is_counted_as_filtered() -> None:
    """It was accepted: no letter, but no use either."""
    world = driver()
    at(world, 0, 1, "skip")
    at(world, 1, 2)
    found = counts(world)
    assert (2, 1, 1) == (found.read, found.used, found.filtered)
    assert {"obey: as told": 1} == found.rules
    assert [] == letters(world, topics.dead_letters)


def test_rules_that_are_named_after_records_do_not_pile_up() -> None:
    """A position record has fifty of a task's input at most; the others are one."""

    def by_record(batch: Any, state: Any, emit: Any) -> None:
        for event in batch:
            emit.filtered(event, f"not {event.key}")

    world = TopologyDriver(Step("by_record", (OBSERVED,), (), by_record), SETTINGS, partitions=1)
    for number in range(MOST_RULES + 20):
        at(world, number, number)
    found = counts(world)
    assert (MOST_RULES + 20, MOST_RULES + 1) == (found.filtered, len(found.rules))
    assert (20, found.filtered) == (found.rules[OTHER_RULES], sum(found.rules.values()))


def test_a_record_has_one_disposition() -> None:
    """A step that refuses what it has left out, or what is no input, has failed."""

    def twice(batch: Any, state: Any, emit: Any) -> None:
        for event in batch:
            emit.filtered(event, "first")
            emit.refuse(event, "second", "no")

    world = TopologyDriver(
        Step("twice", (OBSERVED,), (), twice), SETTINGS, partitions=1, dead_letters="keep"
    )
    at(world, 0, 1)
    (why,) = letters(world, topics.dead_letters)
    assert "step twice may only refuse or filter its input's events, once" in why["dl.detail"]
    assert counts(world).balanced


def test_a_refused_record_does_not_mislead_those_behind_it_in_the_batch() -> None:
    """Refused assert and retract of one id: the retract finds nothing live, as one by one."""
    world = driver()
    at(world, 0, 1, "refuse", run=False)
    at(world, 0, 1, "refuse", op="retract", run=False)
    world.run()
    assert (1, 1) == (counts(world).dead_letters, counts(world).duplicates)


def test_a_step_writes_only_what_it_declares() -> None:
    """A write elsewhere fails the record, with the step's and the topic's name."""

    def stray(batch: Any, state: Any, emit: Any) -> None:
        for event in batch:
            emit(topics.alerts, event)

    world = TopologyDriver(
        Step("stray", (OBSERVED,), (OUT,), stray), SETTINGS, partitions=1, dead_letters="keep"
    )
    at(world, 0, 1)
    (why,) = letters(world, topics.dead_letters)
    assert "step stray does not declare that it writes alerts" in why["dl.detail"]


# Results that cannot be written -------------------------------------------------------------------


def test_a_result_that_does_not_fit_its_schema_is_the_fault_of_one_record() -> None:
    """Found when it is emitted, so that no checkpoint fails for it again and again."""

    def wrong(batch: Any, state: Any, emit: Any) -> None:
        for event in batch:
            bad = event.value.confidence == 0.75
            value = Label(event.key, True, 7 if bad else "s")  # type: ignore[arg-type]
            emit(OUT, derived("wrong", event, OUT, value))

    world = TopologyDriver(
        Step("wrong", (OBSERVED,), (OUT,), wrong), SETTINGS, partitions=1, dead_letters="keep"
    )
    at(world, 0, 1, run=False)
    at(world, 1, 2, confidence=0.75, run=False)
    at(world, 2, 3, run=False)
    world.run()
    assert [1, 3] == subjects(world)
    assert ["step_failed"] == [why["dl.cause"] for why in letters(world, topics.dead_letters)]


def test_a_result_too_large_for_its_topic_becomes_a_letter_in_every_form() -> None:
    """Assert and retract alike, with hash and length: the checkpoint goes through.

    ::

        1: small   2: too large   3: small      net: 1, 3
        2: retracted                            nothing to withdraw, and nothing is
    """
    small = msgspec.structs.replace(OUT, max_message_bytes=RECORD_ROOM + 1000)

    def grow(batch: Any, state: Any, emit: Any) -> None:
        for event in batch:
            words = "x" * (2000 if event.value.confidence == 0.75 else 5)
            emit(small, derived("grow", event, small, Label(event.key, True, words)))

    world = TopologyDriver(
        Step("grow", (OBSERVED,), (small,), grow), SETTINGS, partitions=1, dead_letters="keep"
    )
    for number, confidence in ((1, 1.0), (2, 0.75), (3, 1.0)):
        at(world, number, number, confidence=confidence)
    at(world, 2, 2, confidence=0.75, op="retract")
    assert [1, 3] == subjects(world)
    found = letters(world, topics.dead_letters)
    assert [("too_large", "grow", OUT.name)] * 2 == [
        (why["dl.cause"], why["dl.step"], why["dl.topic"]) for why in found
    ]
    assert 1 == len({(why["dl.sha256"], why["dl.bytes"]) for why in found})
    assert counts(world).balanced


# Future -------------------------------------------------------------------------------------------


# What the task cannot survive ---------------------------------------------------------------------


def test_a_chunk_that_does_not_follow_is_refused() -> None:
    """A gap in the records would be lost data."""
    (task,) = driver().tasks.values()
    with pytest.raises(StepFailed, match=r"t\.observed: got 5 after 0"):
        task.process(OBSERVED.name, [], 5, 6)


def test_a_step_that_fails_on_a_timer_stops_the_task() -> None:
    """There is no record to blame."""

    def fail(*_: Any) -> None:
        raise ValueError("no")

    world = TopologyDriver(
        Step("late", (OBSERVED,), (), lambda *_: None, fail), SETTINGS, partitions=1
    )
    with pytest.raises(StepFailed, match="step late failed on a timer: ValueError"):
        at(world, 0, 1)


def test_state_of_another_version_is_refused() -> None:
    """A new form of state needs a replay into a new application."""
    world = driver()
    at(world, 0, 1)
    (task,) = world.tasks.values()
    position = task.snapshot().position
    position["steps"]["obey"] = 7
    with pytest.raises(OtherVersion, match="state of step obey is of version 7"):
        task.restore(position)


def test_what_is_put_back_again_and_again_does_not_grow() -> None:
    """A thousand checkpoints that fail leave what one of them held: no more, and no less."""
    world = driver(checkpoint_every=0)
    for number in range(20):
        at(world, number, number, run=False)
    ((place, task),) = world.tasks.items()
    world.take(place, OBSERVED.name, 20)
    task.store.settle()
    first = task.snapshot()
    held = _size(first)
    task.put_back(first)
    for _ in range(1000):
        task.put_back(task.snapshot())
    last = task.snapshot()
    assert held == _size(last)
    assert held[0] >= 20 <= held[1]


def _size(snapshot: Snapshot) -> tuple[int, int]:
    """How many results a snapshot holds, and how many entries."""
    return len(snapshot.outputs), sum(len(table.entries) for table in snapshot.changes)


def test_a_position_in_a_topic_that_was_made_anew_is_refused() -> None:
    """Kafka's id of the topic tells; records without ids, and brokers without, are believed.

    ==========  ===========  ==========
    the record  the broker   the task
    ==========  ===========  ==========
    old         old          stands
    none        new          stands, and records the new one
    old         says none    stands, and keeps the old one
    old         new          is refused
    ==========  ===========  ==========
    """
    for recorded, told, kept in (("old", "old", "old"), ("", "new", "new"), ("old", "", "old")):
        assert {OBSERVED.name: kept} == _stood(recorded, told).topic_ids
    with pytest.raises(Remade, match=r"t\.observed was deleted and made anew .* position 1 "):
        _stood("old", "new")


def _stood(recorded: str, told: str) -> Task:
    """A task that stands where another one stood, with the ids that both saw; empty: none."""
    world = driver()
    at(world, 0, 1)
    (old,) = world.tasks.values()
    old.topic_ids = {OBSERVED.name: recorded} if recorded else {}
    position = old.snapshot().position
    if not recorded:
        del position["topics"]  # as earlier versions wrote it
    (task,) = driver().tasks.values()
    task.topic_ids = {OBSERVED.name: told} if told else {}
    task.restore(position)
    return task


def test_an_input_that_is_gone_from_the_topology_holds_nothing_back() -> None:
    """Its position, clock and counts are left out when the task recovers."""
    old = driver(DECLARED, OTHER)
    old.declare(DECLARED, T0 + 5, "w")
    position = old.tasks["by_txid", 0].snapshot().position
    (task,) = driver(DECLARED).tasks.values()
    task.restore(position)
    assert {DECLARED.name} == set(task.position) == set(task.counts)
    task.progress.clock.declare(DECLARED.name, 0, T0 + 9)
    assert T0 + 9 == task.progress.watermark


def test_batches_say_which_watermark_the_step_was_last_advanced_to() -> None:
    """The step sees ``-inf``, then what its timers have been told."""
    seen: list[int] = []
    told: list[int] = []

    def note(batch: Any, *_: Any) -> None:
        seen.append(batch.watermark)

    world = TopologyDriver(
        Step("note", (OBSERVED,), (), note, lambda w, *_: told.append(w)), SETTINGS, partitions=1
    )
    for number, ts in enumerate((0, 100, 95, 200)):
        at(world, ts, number)
    assert [T0 - 10, T0 + 90, T0 + 190] == told
    assert [T0 - 10, T0 + 90, T0 + 90] == seen[1:]


def test_the_same_step_object_serves_every_task() -> None:
    """State belongs to the task, so partitions do not mix."""
    world = TopologyDriver(Step("obey", (OBSERVED,), (OUT,), obey), SETTINGS, partitions=3)
    for number in range(12):
        world.produce(OBSERVED, label(number), T0)
    assert 12 == len(world.state("obey"))
    assert 3 == sum(1 for task in world.tasks.values() if len(task.store))
