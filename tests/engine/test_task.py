"""A task: poison, refusals, balance, lateness."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams import topics
from streams.engine.settings import EngineSettings
from streams.engine.step import Step
from streams.engine.task import StepFailed
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
    repeat,
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
    """``retries`` times after the batch and its first own try."""
    tried: list[int] = []

    def fail(batch: Any, state: Any, emit: Any) -> None:
        tried.append(len(batch.events))
        raise RuntimeError

    world = TopologyDriver(
        Step("fail", (OBSERVED,), (), fail), EngineSettings(retries=2), partitions=1
    )
    at(world, 0, 1)
    assert [1, 1, 1, 1] == tried
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
    assert (2, 1, 1) == (counts(world).read, counts(world).used, counts(world).filtered)
    assert [] == letters(world, topics.dead_letters)


def test_a_record_has_one_disposition() -> None:
    """A step that refuses what it has left out, or what is no input, has failed."""

    def twice(batch: Any, state: Any, emit: Any) -> None:
        for event in batch:
            emit.filtered(event, "first")
            emit.refuse(event, "second", "no")

    world = TopologyDriver(Step("twice", (OBSERVED,), (), twice), SETTINGS, partitions=1)
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

    world = TopologyDriver(Step("stray", (OBSERVED,), (OUT,), stray), SETTINGS, partitions=1)
    at(world, 0, 1)
    (why,) = letters(world, topics.dead_letters)
    assert "step stray does not declare that it writes alerts" in why["dl.detail"]


# Future -------------------------------------------------------------------------------------------


def test_an_event_too_far_ahead_of_its_arrival_is_refused() -> None:
    """``future_cap`` is inclusive; it is the producer's time that counts, else the broker's."""
    world = driver()
    at(world, 1000, 1, ingest_ts=T0)
    at(world, 1001, 2, ingest_ts=T0)
    assert [1] == subjects(world)
    (why,) = letters(world, topics.dead_letters)
    assert ("future", "1001 ms ahead of its arrival") == (why["dl.cause"], why["dl.detail"])


def test_what_follows_from_an_accepted_event_is_not_judged_again() -> None:
    """A block may be two hours ahead: so may what is derived from it, in every later task."""
    hour = 3_600_000
    world = TopologyDriver(Step("repeat", (OUT,), (LAST,), repeat), partitions=1)
    for number, writer in ((1, "obey"), (2, None)):
        at(world, 4 * hour, number, topic=OUT, id=str(number), ingest_ts=T0, writer=writer)
    assert ["future"] == [why["dl.cause"] for why in letters(world, topics.dead_letters)]
    assert [1] == subjects(world, LAST)


# Lateness -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", [True, False], ids=["one by one", "one batch"])
def test_an_observed_event_is_late_below_the_watermark_before_it(run: bool) -> None:
    """Record by record, never batch by batch; the letter says what and by how much.

    ::

        ts        0     100     89     90      (lateness 10)
        W_p    -inf     -10     90     90
                                late   in time
    """
    world = driver()
    for number, ts in enumerate((0, 100, 89, 90)):
        at(world, ts, number, run=run)
    world.run()
    assert [0, 1, 3] == subjects(world)
    (record,) = world.records(topics.late_records)
    (why,) = letters(world, topics.late_records)
    assert world.log[OBSERVED.name, 0][2].value() == record.value()
    assert {
        "late.step": "obey", "late.watermark": str(T0 + 90), "late.by": "1", "late.idle": "false",
        "late.topic": OBSERVED.name, "late.partition": "0", "late.offset": "2",
    } == {name: text for name, text in why.items() if name.startswith("late.")}  # fmt: skip
    assert (4, 3, 1) == (counts(world).read, counts(world).used, counts(world).late)


def test_corrections_have_the_longer_grace() -> None:
    """A retract, a marked event, and an assert after a retract: ``retract_grace`` 100.

    ::

        W_p = 90:  retract ts 0 ok   assert again ts 0 ok   marked ts -10 ok   marked ts -11 late
    """
    world = driver()
    at(world, 0, 1)
    at(world, 100, 2)
    at(world, 0, 1, op="retract")
    assert [2] == subjects(world)
    at(world, 0, 1)
    assert [1, 2] == subjects(world)
    at(world, -10, 3, correction=True)
    at(world, -11, 4, correction=True)
    at(world, 50, 5)
    assert [1, 2, 3] == subjects(world)
    assert ["1", "40"] == [why["late.by"] for why in letters(world, topics.late_records)]


def test_a_declared_event_with_its_writer_is_never_late() -> None:
    """What was in time at its source is never late again."""
    world = driver(DECLARED)
    world.declare(DECLARED, T0 + 1000, "w")
    at(world, 0, 1, topic=DECLARED, writer="w")
    assert [1] == subjects(world)


def test_a_declared_event_without_a_writer_is_judged_by_the_watermark() -> None:
    """``W_p - lateness - g``: a foreign client's record, and a correction with its grace."""
    world = driver(DECLARED)
    world.declare(DECLARED, T0 + 1000, "w")
    at(world, 990, 1, topic=DECLARED)
    at(world, 989, 2, topic=DECLARED)
    at(world, 890, 3, topic=DECLARED, correction=True)
    at(world, 889, 4, topic=DECLARED, correction=True)
    assert [1, 3] == subjects(world)
    assert ["1", "1"] == [why["late.by"] for why in letters(world, topics.late_records)]


def test_a_record_of_an_idle_input_is_late_below_what_was_reached_without_it() -> None:
    """Observed and declared alike, and marked so.

    ::

        DECLARED: idle                      ts 59 late (idle)   ts 60 in time
        OTHER:          declared 60
    """
    world = driver(DECLARED, OTHER)
    world.declare(DECLARED, None, "w")
    world.declare(OTHER, T0 + 60, "v")
    at(world, 59, 1, topic=DECLARED, writer="w")
    at(world, 60, 2, topic=DECLARED, writer="w")
    assert [2] == subjects(world)
    (why,) = letters(world, topics.late_records)
    assert ("true", "1") == (why["late.idle"], why["late.by"])


def test_a_version_of_a_table_is_never_late() -> None:
    """And it neither moves nor holds a watermark."""
    table = topics.models.name
    assert topics.models.table
    world = TopologyDriver(
        Step("t", (topics.models, topics.labels), (), lambda *_: None), SETTINGS, partitions=1
    )
    world.declare(topics.labels, T0 + 50, "w")
    (task,) = world.tasks.values()
    assert (T0 + 50, set()) == (task.own_watermark(), task.ahead())
    assert table not in task.progress.timed


# Laws ---------------------------------------------------------------------------------------------

RECORDS = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.sampled_from(["assert", "assert", "retract"]),
        st.sampled_from(["", "", "", "boom", "refuse", "skip", "future", "bytes"]),
        st.sampled_from([1.0, 0.75]),
        st.booleans(),
    ),
    max_size=14,
)
"""Subject, op, command, value, correction; an id has one ts for ever: 25 times its subject."""


def _feed(world: TopologyDriver, records: list[Any]) -> None:
    for number, op, word, confidence, correction in records:
        if word == "bytes":
            world.produce_raw(OBSERVED, b"k", b"\x07", run=False)
            continue
        ts = 25 * number
        arrival = T0 + ts - 5000 if word == "future" else T0 + ts
        at(
            world, ts, number, word, confidence=confidence, op=op, correction=correction,
            ingest_ts=arrival, run=False,
        )  # fmt: skip


def _reference(records: list[Any]) -> tuple[dict[str, int], dict[int, float]]:
    """SEMANTICS 1, 2 and 7 for one observed partition, said as directly as possible."""
    tally = dict.fromkeys(("used", "duplicates", "late", "dead_letters", "filtered"), 0)
    live, out, withdrawn = dict[int, float](), dict[int, float](), set[int]()
    watermark = -(10**18)
    for number, op, word, confidence, correction in records:
        ts = 25 * number
        value = {"boom": 0.125, "refuse": 0.25, "skip": 0.5}.get(word, confidence)
        corrects = correction or op == "retract" or number in withdrawn
        if word == "bytes":
            kind = "dead_letters"
        elif ts < watermark - (100 if corrects else 0):
            kind = "late"
        elif word == "future":
            kind = "dead_letters"
        else:
            effect = live.get(number) != value if op == "assert" else number in live
            kind = "duplicates"
            if effect:
                kind = {"boom": "dead_letters", "refuse": "dead_letters", "skip": "filtered"}.get(
                    word, "used"
                )
            if kind != "dead_letters":
                watermark = max(watermark, ts - 10)
            if kind in ("used", "filtered"):
                if number in live:
                    withdrawn.add(number)
                if op == "retract":
                    del live[number]
                else:
                    live[number] = value
            if kind == "used":
                out.pop(number, None)
                if op == "assert":
                    out[number] = value
        tally[kind] += 1
    return tally, out


@settings(max_examples=80, deadline=None)
@given(RECORDS, st.integers(1, 7))
def test_every_record_has_one_disposition_whatever_the_batches(
    records: list[Any], chunk: int
) -> None:
    """Balance and replay law: any mix, any batch size, equal to the definition."""
    world = driver()
    _feed(world, records)
    world.run(chunk)
    tally, out = _reference(records)
    found = counts(world)
    assert len(records) == found.read
    assert tally == {name: getattr(found, name) for name in tally}
    assert out == {int(v.subject, 16): v.confidence for v in world.net(OUT).values()}
    assert (world.net(OUT).keys() and out) or not out
    assert tally["late"] == len(letters(world, topics.late_records))
    assert tally["dead_letters"] == len(letters(world, topics.dead_letters))


@settings(max_examples=60, deadline=None)
@given(RECORDS, st.lists(st.sampled_from(["take", "take", "crash", "checkpoint"]), max_size=20))
def test_a_crash_at_any_point_changes_nothing(records: list[Any], acts: list[str]) -> None:
    """What was not committed never was: records and counts equal those of an undisturbed run."""
    world = driver(checkpoint_every=0)
    _feed(world, records)
    for act in acts:
        if act == "take":
            world.take(("by_txid", 0), OBSERVED.name, 2)
        else:
            getattr(world, act)()
    world.run()
    world.checkpoint()
    calm = driver()
    _feed(calm, records)
    calm.run()
    assert counts(calm) == counts(world)
    assert calm.state("obey") == world.state("obey")
    for topic in (OUT, LAST):
        assert _said(calm, topic) == _said(world, topic)
    for topic in (topics.dead_letters, topics.late_records):
        assert letters(calm, topic) == letters(world, topic)


def _said(world: TopologyDriver, topic: topics.Topic) -> list[Any]:
    return [(e.id, e.op, e.ts, e.value) for e in world.events(topic)]


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
    with pytest.raises(StepFailed, match="state of step obey is of version 7"):
        task.restore(position)


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
