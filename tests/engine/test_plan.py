"""What time means to each step: its own lateness and grace, and how long it remembers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from joins import (
    IntervalJoin,
    Join,
    JoinError,
    Lookup,
    LookupJoin,
    Matched,
    NWayJoin,
    Tumbling,
    Unmatched,
    WindowJoin,
)
from joins.clock import SideTime
from streams.agents.pipeline import topology
from streams.engine.joining import join_step
from streams.engine.plan import planned
from streams.engine.settings import EngineSettings
from streams.engine.step import Step
from streams.engine.topology import Topology, TopologyError, build
from streams.testing import TopologyDriver
from streams.topics import Topic
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
    label,
    steps,
    subjects,
)

FIRST = ("by_txid", 0)
END = Topic("t.end", "txid", "results of results of results", "ml.label.v1")
MORE = Topic("t.more", "txid", "another observed input", "ml.label.v1", source=True, declared=False)


def _nothing(*_: object) -> None:
    """A step that does nothing."""


def _say(result: Matched | Unmatched) -> Any:
    events = [e for m in result.members.values() for e in (m if isinstance(m, tuple) else (m,))]
    return next(event.value for event in events if event is not None)


def _interval(
    name: str, left: Topic, right: Topic, writes: Topic, before: int = 0, **more: Any
) -> Step:
    join = IntervalJoin(name=name, before=before, **{"after": 0, **more})
    return join_step(join, {"left": left, "right": right}, writes, _say)


def _times(*found: Step, settings: EngineSettings = SETTINGS) -> dict[str, tuple[Any, ...]]:
    """Of each step grace, retract_grace and reach."""
    done = planned(build(found), settings)
    return {s.name: (s.grace, s.retract_grace, s.reach) for s in done.steps}


# Lateness and grace of each step ------------------------------------------------------------------


def test_a_join_brings_its_own_lateness_and_grace() -> None:
    """The engine's settings (lateness 10) do not count where a join says what it wants.

    ::

        OBSERVED, lateness 50, grace 5:  100  45 (in time)  44 (late)   declared 50 - 5
    """
    step = _interval("j", OBSERVED, DECLARED, OUT, kind="anti", lateness=50, grace=5)
    world = TopologyDriver(step, SETTINGS, partitions=1)
    for number, ts in enumerate((100, 45, 44)):
        at(world, ts, number)
    world.declare(DECLARED, T0 + 900, "w")
    counts = world.tasks[FIRST].counts[OBSERVED.name]
    assert (2, 1) == (counts.used, counts.late)
    assert [45] == declared(world)


def test_each_side_has_its_own_lateness() -> None:
    """The slower side of two holds ``W`` back by its lateness."""
    step = _interval("j", OBSERVED, MORE, OUT, lateness={"left": 30, "right": 7})
    world = TopologyDriver(step, SETTINGS, partitions=1)
    at(world, 100, 1)
    at(world, 100, 2, topic=MORE)
    assert T0 + 70 == world.tasks[FIRST].progress.watermark


def test_a_step_that_says_nothing_takes_the_settings() -> None:
    """And follows a step of its task that says something of the same topic."""
    silent, told = Step("silent", (OBSERVED, MORE), (), _nothing), SideTime(lateness=3, grace=4)
    both = build([silent, Step("told", (OBSERVED,), (), _nothing, times={OBSERVED.name: told})])
    times = {s.name: s.times for s in planned(both, SETTINGS).steps}
    assert SideTime(False, 3, 4) == times["silent"][OBSERVED.name]
    assert SideTime(False, 10, 0) == times["silent"][MORE.name]
    assert 4 == planned(both, SETTINGS).steps[0].grace


def test_steps_of_one_task_that_differ_are_refused() -> None:
    """One clock has one answer; both are named, and what to do."""
    one = _interval("one", OBSERVED, DECLARED, OUT, lateness=5)
    two = _interval("two", OBSERVED, DECLARED, LAST, lateness=6)
    with pytest.raises(TopologyError, match=r"one and two .* t\.observed \(lateness 5.*lateness 6"):
        planned(build([one, two]), SETTINGS)


def test_the_greatest_grace_of_its_steps_decides_what_a_task_declares() -> None:
    """One writer of all its topics may promise only what each of its steps can keep."""
    graces = (3, 20, 0)
    inputs = (DECLARED, OTHER, OBSERVED)
    found = [
        Step(f"s{g}", (topic,), (OUT,), _nothing, times={topic.name: SideTime(True, 0, g)})
        for g, topic in zip(graces, inputs, strict=True)
    ]
    world = TopologyDriver([*found, Step("x", inputs, (), _nothing)], SETTINGS, partitions=1)
    for topic in (DECLARED, OTHER):
        world.declare(topic, T0 + 100, topic.name)
    world.idle(OBSERVED)
    assert [80] == declared(world)


TABLE = msgspec.structs.replace(OTHER, name="t.table", table=True)
LOOKUPS = (
    LookupJoin(name="j", horizon=10),
    NWayJoin(name="j", driver="left", sides={"right": Lookup(horizon=10)}),
)


@pytest.mark.parametrize("join", LOOKUPS, ids=["lookup", "n-way"])
@pytest.mark.parametrize(
    ("table", "why"),
    [
        (OBSERVED, r"t\.observed.*is observed \(declared=False\)"),
        (TABLE, r"t\.table.*is a versioned table \(table=True\): nobody waits"),
    ],
    ids=["observed", "table"],
)
def test_a_table_whose_time_is_not_known_cannot_be_final(
    join: Join, table: Topic, why: str
) -> None:
    """Refused when the step is made, with what would help."""
    with pytest.raises(JoinError, match=f"{why}.*(table=True out|to a declared topic).*'eager'"):
        join_step(join, {"left": DECLARED, "right": table}, OUT, _say)


@pytest.mark.parametrize("join", LOOKUPS, ids=["lookup", "n-way"])
def test_the_remedy_of_a_refused_lookup_is_one(join: Join) -> None:
    """With the topic that is declared and no table, and with eager on any, it is accepted."""
    join_step(join, {"left": DECLARED, "right": OTHER}, OUT, _say)
    for table in (OBSERVED, TABLE):
        join_step(replace(join, emit="eager"), {"left": DECLARED, "right": table}, OUT, _say)


@pytest.mark.parametrize("source", [True, False])
def test_what_was_retracted_may_be_asserted_again_within_retract_grace(source: bool) -> None:
    """Whoever writes the topic: a join knows which of its ids were withdrawn.

    ::

        lateness 0, retract_grace 100:   0 asserted and retracted, W_p = 90: again in time
                                         1, never seen: late
    """
    topic = msgspec.structs.replace(MORE, source=source)
    step = _interval("j", topic, DECLARED, OUT, kind="left", emit="eager")
    world = TopologyDriver(step, SETTINGS, partitions=1)
    for ts, number, op in ((0, 1, "assert"), (0, 1, "retract"), (90, 2, "assert")):
        at(world, ts, number, topic=topic, op=op)
    for number in (1, 3):
        at(world, 0, number, topic=topic)
    assert [1, 2] == subjects(world)
    assert 1 == world.tasks[FIRST].counts[topic.name].late


# Fused steps --------------------------------------------------------------------------------------


def test_a_fused_step_is_not_told_more_than_the_step_before_can_keep() -> None:
    """A final chain withdraws nothing without a correction, although both share one task.

    ::

        unmatched, after = 100:   l at 5 is known when W > 105, l at 7 when W > 107
        window [0, 10) of them:   may not close at W = 106, the row at 7 is still to come
    """
    anti = _interval("anti", DECLARED, OTHER, OUT, kind="anti", after=100)
    window = WindowJoin(name="w", windows=Tumbling(size=10), sides=("rows",))
    world = TopologyDriver(
        [anti, join_step(window, {"rows": OUT}, LAST, _say)], SETTINGS, partitions=1
    )
    base = T0 - T0 % 10
    for ts, source in ((5, "one"), (7, "two")):
        value = msgspec.structs.replace(label(1), source=source)
        world.produce(DECLARED, value, base + ts, writer="v")
    for watermark, rows, windows in ((50, [], []), (106, [5], []), (300, [5, 7], [9])):
        for topic in (DECLARED, OTHER):
            world.declare(topic, base + watermark, "v")
        assert rows == [event.ts - base for event in world.events(OUT)]
        assert windows == [event.ts - base for event in world.events(LAST)]
        world.crash()


def test_a_fused_step_is_told_more_once_nothing_is_held_back() -> None:
    """Also when the task's own time stands: a partner comes, and nobody waits any more.

    ::

        l at 5 waits until W > 105     W = 50: the next step is told 5     r at 6: told 50
    """
    left = _interval("left", DECLARED, OTHER, OUT, kind="left", after=100)
    world = TopologyDriver([left, Step("after", (OUT,), (), _nothing)], SETTINGS, partitions=1)
    at(world, 5, 1, topic=DECLARED, writer="v")
    for topic in (DECLARED, OTHER):
        world.declare(topic, T0 + 50, "v")
    told = world.tasks[FIRST].marks.told
    assert T0 + 5 == told["after"]
    at(world, 6, 1, topic=OTHER, writer="v")
    assert T0 + 50 == told["after"]
    assert [5, 50] == declared(world)


def test_what_a_fused_step_was_told_survives_a_crash() -> None:
    """It is less than the task's own time while the step before it waits."""
    anti = _interval("anti", DECLARED, OTHER, OUT, kind="anti", after=100)
    world = TopologyDriver([anti, Step("after", (OUT,), (), _nothing)], SETTINGS, partitions=1)
    at(world, 5, 1, topic=DECLARED, writer="v")
    for topic in (DECLARED, OTHER):
        world.declare(topic, T0 + 50, "v")
    told = {"anti": T0 + 50, "after": T0 + 5}
    assert told == world.tasks[FIRST].marks.told
    world.crash()
    assert told == world.tasks[FIRST].marks.told


def test_without_holdback_fused_steps_share_the_watermark() -> None:
    """Whatever their graces are: the later one's covers the earlier one's, or waits for it."""
    first, second = steps(DECLARED)
    for one, two, expected in ((5, 5, 100), (5, 0, 95), (0, 5, 100)):
        found = [msgspec.structs.replace(s, grace=g) for s, g in ((first, one), (second, two))]
        world = TopologyDriver(found, SETTINGS, partitions=1)
        world.declare(DECLARED, T0 + 100, "w")
        assert T0 + expected == world.tasks[FIRST].marks.told["repeat"]
        assert [100 - max(one, two)] == declared(world)


# How long a step remembers ------------------------------------------------------------------------


def test_retract_grace_is_that_of_the_writers_and_the_reach() -> None:
    """Summed from the undo horizon (100) down the topology.

    ::

        DECLARED --> a (reach 30) --> OUT --> b (reach 7) --> LAST
        OTHER --------------------------------^
    """
    a = _interval("a", DECLARED, OTHER, OUT, before=30, after=10)
    b = _interval("b", OUT, OTHER, LAST, before=2, after=7)
    plain = Step("c", (LAST,), (END,), _nothing)
    assert {"a": (0, 130, 30), "b": (0, 137, 7), "c": (0, 137, 0)} == _times(a, b, plain)


def test_grace_is_never_more_than_retract_grace() -> None:
    """A step that accepts what is late by much must be able to withdraw it."""
    a = _interval("a", DECLARED, OTHER, OUT, grace=500)
    assert {"a": (500, 500, 0)} == _times(a)


def test_a_join_gets_the_retract_grace_that_it_was_not_given() -> None:
    """Its state lasts as long: a correction 130 back finds what it corrects, 131 finds nothing.

    ::

        undo horizon 100, before = 30:   l is kept until W - 130 > l.ts + 0
    """
    world = TopologyDriver(_interval("a", DECLARED, OTHER, OUT, before=30), SETTINGS, partitions=1)
    at(world, 0, 1, topic=DECLARED, writer="w")
    for back, entries in ((130, True), (131, False)):
        for topic in (DECLARED, OTHER):
            world.declare(topic, T0 + back, "w")
        assert entries is bool(world.state("a"))


def test_a_retract_grace_that_is_too_small_is_refused() -> None:
    """With the step, what it needs and why, and the remedy."""
    a = _interval("a", DECLARED, OTHER, OUT, before=30, retract_grace=129)
    with pytest.raises(TopologyError, match=r"step a has retract_grace 129 ms and needs 130 ms"):
        TopologyDriver(a, SETTINGS)
    assert {"a": (0, 130, 30)} == _times(
        _interval("a", DECLARED, OTHER, OUT, before=30, retract_grace=130)
    )


def test_what_is_planned_stays_as_it_is() -> None:
    """Planning again changes no number."""
    done = planned(topology(), EngineSettings())
    again = planned(done, EngineSettings())
    assert _numbers(done) == _numbers(again)
    assert all(step.retract_grace is not None for step in done.steps)


def _numbers(found: Topology) -> list[Any]:
    return [(s.name, s.times, s.grace, s.retract_grace) for s in found.steps]


def test_steps_that_wait_for_each_others_time_are_refused() -> None:
    """Two tasks that feed each other would never know the time; through a table they may."""
    to = Topic("t.to", "model", "there", "ml.example.v1")
    back = Topic("t.back", "txid", "and back", "ml.label.v1")
    table = msgspec.structs.replace(back, table=True, broadcast=True)
    for topic in (back, table):
        circle = build([Step("a", (topic,), (to,), _nothing), Step("b", (to,), (topic,), _nothing)])
        if topic.table:
            assert ("a", "b") == tuple(s.name for s in planned(circle, SETTINGS).steps)
        else:
            with pytest.raises(TopologyError, match="circle"):
                planned(circle, SETTINGS)


def test_ids_are_remembered_as_long_as_a_correction_of_them_counts() -> None:
    """The intake follows the step's own memory: here 130, not the 100 of the settings.

    ::

        W = 125: a retract of 0 has an effect, 125 - 0 > 100
    """
    world = TopologyDriver(
        _interval("a", OBSERVED, MORE, OUT, kind="left", before=30, emit="eager"),
        SETTINGS, partitions=1,
    )  # fmt: skip
    at(world, 0, 1)
    at(world, 125, 2)
    at(world, 125, 3, topic=MORE)
    assert T0 + 125 == world.tasks[FIRST].progress.watermark
    at(world, 0, 1, op="retract")
    assert [2] == subjects(world)
