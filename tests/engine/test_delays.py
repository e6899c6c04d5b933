"""How far behind its sources each topic's declared time may be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from joins import AsOf, IntervalJoin, NWayJoin, Session, Tumbling, WindowJoin
from joins.clock import NEG_INF, SideTime
from joins.join import Join
from schemas.envelope import Event
from streams import topics
from streams.engine.delays import Delay, delays
from streams.engine.joining import join_step
from streams.engine.plan import planned
from streams.engine.step import Step
from streams.engine.topology import TopologyError, build
from streams.testing import TopologyDriver
from streams.topics import Topic
from tests.engine.world import DECLARED, LAST, OBSERVED, OTHER, OUT, SETTINGS, T0

BY_MODEL = Topic("t.by_model", "model", "re-keyed", "ml.example.v1")


def _nothing(*_: object) -> None:
    """A step that does nothing."""


def _join(join: Join, *reads: Topic, writes: Topic = OUT) -> Step:
    return join_step(join, dict(zip(join.sides, reads, strict=True)), writes, lambda result: None)


def _behind(*steps: Step) -> dict[str, tuple[Any, ...]]:
    return {name: tuple(d) for name, d in delays(planned(build(steps), SETTINGS)).items()}


def test_delays_add_up_from_the_sources() -> None:
    """Lateness where an open topic is read, each step's grace, what its results wait for.

    ::

        OBSERVED (lateness 10) --> a (grace 5) --> OUT --> b (waits 60) --> BY_MODEL --> c --> LAST
                                       15                      15 .. 75
    """
    times = {OBSERVED.name: SideTime(lateness=10, grace=5)}
    wait = IntervalJoin(name="b", before=0, after=60, kind="anti")
    found = _behind(
        Step("a", (OBSERVED,), (OUT,), _nothing, times=times),
        _join(wait, OUT, DECLARED, writes=BY_MODEL),
        Step("c", (BY_MODEL,), (LAST,), _nothing, grace=1),
    )
    assert {
        OBSERVED.name: (0, 0),
        DECLARED.name: (0, 0),
        OUT.name: (15, 75),  # one task, one writer: it waits for what b holds back
        BY_MODEL.name: (15, 75),
        LAST.name: (16, 76),
    } == found


@pytest.mark.parametrize(
    ("join", "expected"),
    [
        (IntervalJoin(before=5, after=60), (0, 0)),
        (IntervalJoin(before=5, after=60, kind="left"), (0, 60)),
        (IntervalJoin(before=5, after=60, kind="left", emit="eager"), (0, 0)),
        (IntervalJoin(before=5, after=60, kind="outer", grace=7), (7, 67)),
        (WindowJoin(windows=Tumbling(size=50), mode="group", grace=3), (3, 3)),
        (WindowJoin(windows=Tumbling(size=50), mode="product", kind="left"), (0, 49)),
        (WindowJoin(windows=Session(gap=8), mode="group"), (0, 8)),
        (WindowJoin(windows=Session(gap=8), mode="product", kind="anti"), (0, None)),
        (NWayJoin(driver="l", sides={"r": AsOf(tolerance=5)}, grace=2), (2, 2)),
    ],
    ids=lambda value: "" if isinstance(value, Join) else str(value),
)
def test_what_each_join_adds(join: Join, expected: tuple[int, int | None]) -> None:
    """Its grace at least; at most what its results may wait for, where that has a bound."""
    assert expected == _behind(_join(join, DECLARED, OTHER))[OUT.name]


@pytest.mark.parametrize(
    "join",
    [
        IntervalJoin(before=5, after=60, kind="outer", grace=7),
        WindowJoin(windows=Tumbling(size=50), mode="product", kind="left", grace=3),
        WindowJoin(windows=Session(gap=8), mode="group", grace=1),
    ],
    ids=["interval", "product", "session"],
)
def test_the_bound_is_reached_and_not_passed(join: Join) -> None:
    """An event a ms, nobody has a partner: the greatest distance ever seen is what was said."""
    step = _join(join, DECLARED, OTHER)
    world = TopologyDriver(step, SETTINGS, partitions=1)
    (task,) = world.tasks.values()
    join = replace(join, retract_grace=task.sub.steps[0].retract_grace)  # as the topology has it
    start, seen = T0 - T0 % 50, Delay(10**9, 0)
    for ts in range(start, start + 200):
        if (ts - start) % 100 < 60:
            event = Event(f"{ts}", "k", ts, "assert", None)
            join.on_event(task.store.scope(join.name), join.sides[0], event, task.advanced)
        for topic in (DECLARED, OTHER):
            world.declare(topic, ts, "w")
        if task.own_watermark() > NEG_INF:
            gap = task.advanced - task.own_watermark()
            seen = Delay(min(seen.least, gap), max(seen.most or 0, gap))
    assert step.delay == seen.most
    assert step.grace == seen.least


def test_tasks_that_wait_for_each_other_are_refused() -> None:
    """No step follows itself, but one task reads what comes of its own writing.

    ::

        DECLARED --> a --> BY_MODEL --> b --> LAST --> c        a and c share DECLARED, so a task
    """
    steps = [
        Step("a", (DECLARED,), (BY_MODEL,), _nothing),
        Step("b", (BY_MODEL,), (LAST,), _nothing),
        Step("c", (DECLARED, LAST), (), _nothing),
    ]
    with pytest.raises(TopologyError, match=r"wait for each other.*by_txid"):
        planned(build(steps), SETTINGS)
    steps[2] = Step("c", (LAST,), (topics.alerts,), _nothing)
    assert 3 == len(planned(build(steps), SETTINGS).subs)
