"""What is late, by how much, and what never is (SEMANTICS 2)."""

from __future__ import annotations

import pytest

from streams import topics
from streams.engine.step import Step
from streams.testing import TopologyDriver
from tests.engine.world import (
    DECLARED,
    OBSERVED,
    OTHER,
    SETTINGS,
    T0,
    at,
    counts,
    driver,
    letters,
    subjects,
)


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
        "late.timestamp": str(record.timestamp()[1]), "late.reader": "streams-by_txid",
        "late.version": "1",
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


def test_time_moves_between_the_records_of_one_batch() -> None:
    """A record without a writer is judged by what was declared before it, and by nothing after it.

    ::

        W_p  -inf              1000 (v holds it back until it speaks)
        ts   0 (in time)  w    v     0 (late)
    """
    world = driver(DECLARED)
    world.declare(DECLARED, 0, "v")
    world.declare(DECLARED, 0, "w")
    at(world, 0, 1, topic=DECLARED, run=False)
    for writer, number in (("w", 2), ("v", 3)):
        world.declare(DECLARED, T0 + 1000, writer, run=False)
        at(world, 0, number, topic=DECLARED, run=False)
    world.run()
    assert [1, 2] == subjects(world)


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
