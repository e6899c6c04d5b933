"""A retract that comes too late, or finds nothing, is never silent."""

from __future__ import annotations

import pytest

from joins import IntervalJoin, Matched, Unmatched
from joins.state import Store
from schemas.events import Label
from streams import topics
from streams.engine.joining import join_step
from streams.engine.step import Batch, Emit, Step
from streams.testing import TopologyDriver
from streams.topics import Topic
from tests.engine.world import (
    DECLARED,
    LAST,
    OBSERVED,
    OUT,
    SETTINGS,
    T0,
    at,
    counts,
    letters,
    obey,
    subjects,
)

FIRST = ("by_txid", 0)


def _say(result: Matched | Unmatched) -> Label | None:
    left = result.members["left"]
    return None if isinstance(left, tuple) or left is None else left.value


def _boom(batch: Batch, state: Store, emit: Emit) -> None:
    raise RuntimeError("as told")


JOIN = join_step(
    IntervalJoin(name="join", before=0, after=0, kind="left", emit="eager"),
    {"left": OUT, "right": DECLARED},
    LAST,
    _say,
)


def test_a_late_retract_is_a_letter_and_is_counted_by_itself() -> None:
    """By how much is in its headers; what it would have withdrawn stands.

    ::

        retract_grace 100, lateness 10:   W = 190   retract of 89 late by 1, of 90 in time
    """
    world = TopologyDriver(Step("obey", (OBSERVED,), (OUT,), obey), SETTINGS, partitions=1)
    for number, ts in enumerate((89, 90, 200)):
        at(world, ts, number)
    for number, ts in ((0, 89), (1, 90)):
        at(world, ts, number, op="retract")
    at(world, 50, 9)
    assert [0, 2] == subjects(world)
    assert ["1", "140"] == [why["late.by"] for why in letters(world, topics.late_records)]
    found = counts(world)
    assert (2, 1) == (found.late, found.late_retracts)
    assert found.balanced


def test_a_retract_of_what_is_not_live_is_counted_at_the_source() -> None:
    """Among what had no effect: never asserted, or withdrawn already."""
    world = TopologyDriver(Step("obey", (OBSERVED,), (OUT,), obey), SETTINGS, partitions=1)
    at(world, 0, 1)
    for op in ("assert", "retract", "retract"):
        at(world, 0, 1, op=op)
    at(world, 0, 2, op="retract")
    found = counts(world)
    assert (3, 2) == (found.duplicates, found.void_retracts)
    assert found.balanced


@pytest.mark.parametrize("run", [True, False], ids=["one by one", "one batch"])
def test_a_retract_that_finds_nothing_in_a_join_is_counted_by_step(run: bool) -> None:
    """Also when it comes in one batch with its assert; the count survives a crash.

    ::

        1: assert retract retract     2: retract assert retract     3: assert
                          nothing        nothing
    """
    world = TopologyDriver(JOIN, SETTINGS, partitions=1)
    for number, op in ((1, "a"), (1, "r"), (2, "r"), (1, "r"), (2, "a"), (2, "r"), (3, "a")):
        word = "assert" if op == "a" else "retract"
        at(world, 0, number, topic=OUT, op=word, id=str(number), writer="w", run=run)
    world.run()
    world.crash()
    assert ({"join": 2}, [3]) == (dict(world.tasks[FIRST].void), subjects(world, LAST))


def test_a_correction_of_what_was_forgotten_is_counted() -> None:
    """A declared event is never late, but the state that it is about may be gone.

    ::

        undo horizon 100:   l at 0, forgotten when W > 100    retract of 0 at W = 101
    """
    world = TopologyDriver(JOIN, SETTINGS, partitions=1)
    at(world, 0, 1, topic=OUT, id="1", writer="w")
    for topic in (OUT, DECLARED):
        world.declare(topic, T0 + 101, "w")
    at(world, 0, 1, topic=OUT, id="1", op="retract", writer="w")
    assert ({"join": 1}, [1]) == (dict(world.tasks[FIRST].void), subjects(world, LAST))


def test_a_batch_that_fails_counts_nothing_twice() -> None:
    """What was taken back and done again one by one is counted once."""
    end = Topic("t.end", "txid", "the end", "ml.label.v1")
    world = TopologyDriver(
        [JOIN, Step("after", (LAST,), (end,), _boom)], SETTINGS, partitions=1, dead_letters="keep"
    )
    at(world, 0, 2, topic=OUT, id="2", op="retract", writer="w", run=False)
    at(world, 0, 1, topic=OUT, id="1", writer="w", run=False)
    world.run()
    assert {"join": 1} == dict(world.tasks[FIRST].void)
