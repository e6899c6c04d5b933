"""Three joins after each other by hand: what one says are the events of the next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import Random
from typing import Any

import pytest
from join_cases import EMITS, MAKERS, Case
from join_deep import CHAINS
from join_laws import as_row, standing_after
from join_timelines import as_a_writer_would, timeline
from reference import Event as Plain
from reference import Row

from joins import (
    Arrival,
    Event,
    IntervalJoin,
    JoinTask,
    Late,
    LookupJoin,
    Outcome,
    Retracted,
    Tumbling,
    Watermark,
    WindowJoin,
    run,
)
from joins.clock import POS_INF
from joins.run import feed

THREE = [
    ("interval-left", "lookup-left", "group-tumbling-outer"),
    ("interval-outer", "asof-left", "group-session-outer"),
    ("after-anti", "nway", "aggregate-hopping"),
    ("product-session-outer", "interval-semi", "product-hopping-left"),
    ("group-hopping-outer", "asof-semi", "before-outer"),
    ("aggregate-session", "group-session-left", "asof-anti"),
    ("nway", "product-session-left", "fold"),
    ("lookup-inner", "lookup-anti", "interval-right"),
]
DEPTH = 9
"""How far below its watermark a source corrects (ms)."""


def content(row: Row) -> dict[str, Any]:
    """What the next join sees of a result; aggregates and folds say only their value."""
    members = {} if row.value is not None else row.members
    return {"said": repr((row.type, row.side, members, row.value)), "v": row.ts % 5}


def as_event(outcome: Any) -> Event:
    """An outcome as an event: id, key, ts, op, correction."""
    if isinstance(outcome, Retracted):
        return Event(outcome.of, outcome.key, outcome.ts, "retract", None, True)
    value = content(as_row(outcome))
    return Event(outcome.id, outcome.key, outcome.ts, "assert", value, outcome.correction)


def stages(names: Iterable[str], emit: str) -> list[Case]:
    """The joins; each keeps as long as the corrections of the ones before reach."""
    cases, depth = list[Case](), DEPTH
    for number, name in enumerate(names):
        depth += MAKERS[name]().join.reach
        cases.append(MAKERS[name](emit=emit, name=f"s{number}", retract_grace=depth))
    return cases


class Chain:
    """Tasks that hand on what they say, and how far their time has come."""

    def __init__(self, cases: list[Case]) -> None:
        self.cases = cases
        self.tasks = [JoinTask(case.join, 0, case.join.sides) for case in cases]
        self.promised = [-POS_INF for _ in cases]
        self.end: list[Outcome] = []

    def give(self, number: int, item: Any) -> None:
        """One arrival at a stage, and what follows from it in the next ones."""
        self._hand_on(number, feed(self.tasks[number], item))

    def close(self) -> None:
        """Time ends at the sources, so stage by stage."""
        for number, task in enumerate(self.tasks):
            self._hand_on(number, task.close())

    def _hand_on(self, number: int, outcomes: list[Outcome]) -> None:
        assert [] == [o for o in outcomes if isinstance(o, Late)]
        for outcome in outcomes:
            event = as_event(outcome)
            assert event.correction or event.ts >= self.promised[number]
        if number + 1 == len(self.tasks):
            self.end += outcomes
        else:
            side = self.cases[number + 1].join.sides[0]
            for outcome in outcomes:
                self.give(number + 1, Arrival(side, 0, as_event(outcome)))
        self._declare(number)

    def _declare(self, number: int) -> None:
        task = self.tasks[number]
        held = task.join.holdback(task.store)
        own = task.clock.watermark - task.join.max_grace
        bound = own if held is None else min(own, held)
        if bound > self.promised[number] and not task.closed:
            self.promised[number] = bound
            if number + 1 < len(self.tasks):
                side = self.cases[number + 1].join.sides[0]
                self.give(number + 1, Watermark(side, 0, bound))


def composed(cases: list[Case], live: dict[Any, dict[str, Any]]) -> dict[str, Row]:
    """The definition of the last stage over the definition of the one before, and so on."""
    above: list[Any] = []
    rows: list[Row] = []
    for number, case in enumerate(cases):
        rows = list(defined(case, number, live, above))
        above = [Plain(row.id, row.key, row.ts, "assert", content(row)) for row in rows]
    return {row.id: row for row in rows}


def defined(
    case: Case, number: int, live: dict[Any, dict[str, Any]], above: list[Any]
) -> Iterator[Row]:
    """The rows of one stage, key by key."""
    sides = {side: list(live.get((number, side), {}).values()) for side in case.join.sides}
    if number:
        sides[case.join.sides[0]] = above
    for key in {event.key for events in sides.values() for event in events}:
        yield from case.define({s: [e for e in es if e.key == key] for s, es in sides.items()}, [])


def inputs(rng: Random, cases: list[Case]) -> list[tuple[int, Any]]:
    """Declared timelines of every source of every stage, interleaved."""
    queues: dict[Any, list[Any]] = {}
    for number, case in enumerate(cases):
        for side in case.join.sides[1 if number else 0 :]:
            names = ({"v": 1}, {"v": 2}, {"v": 3, "valid_to": 14})
            items = timeline(rng, (side,), names, frozenset({side}), 9, idle=0)
            items = [item for item in items if item.partition == 0]
            queues[number, side] = as_a_writer_would(items, frozenset({side}), DEPTH)
    found = []
    while queues := {place: items for place, items in queues.items() if items}:
        place = rng.choice(sorted(queues))
        found.append((place[0], queues[place].pop(0)))
    return found


def fold_in(live: dict[Any, dict[str, Any]], number: int, item: Any) -> None:
    """Section 1 of the definition."""
    if not isinstance(item, Arrival):
        return
    events = live.setdefault((number, item.side), {})
    if item.event.op == "assert":
        events[item.event.id] = item.event
    else:
        events.pop(item.event.id, None)


def plainly(rows: dict[str, Row]) -> dict[str, Any]:
    """What is said, by id."""
    return {id: (row.key, row.ts, content(row)["said"]) for id, row in rows.items()}


@pytest.mark.parametrize("emit", EMITS)
@pytest.mark.parametrize("names", THREE, ids="-".join)
def test_a_chain_is_the_composed_definition(names: Any, emit: str) -> None:
    """eager: after each arrival; final: in the end. Nothing is late, what lies back is marked."""
    for seed in range(4 * CHAINS):
        cases = stages(names, emit)
        chain, live = Chain(cases), dict[Any, dict[str, Any]]()
        for number, item in inputs(Random(seed), cases):
            chain.give(number, item)
            fold_in(live, number, item)
            if emit == "eager":
                assert plainly(composed(cases, live)) == plainly(standing_after(chain.end)), seed
        chain.close()
        assert plainly(composed(cases, live)) == plainly(standing_after(chain.end)), seed


def test_run_after_run_is_the_composed_definition() -> None:
    """The same with nothing but ``run``: all outcomes of one are arrivals of the next."""

    def source(side: str, *events: tuple[str, int, str]) -> list[Any]:
        arrivals = [Arrival(side, 0, Event(id, "k", ts, op, {"v": 1})) for id, ts, op in events]  # type: ignore[arg-type]
        return [Watermark(side, 0, -100), *arrivals]

    def handed_on(outcomes: list[Any]) -> list[Any]:
        arrivals = [Arrival("left", 0, as_event(outcome)) for outcome in outcomes]
        return [Watermark("left", 0, -100), *arrivals]

    pairs = run(
        IntervalJoin(before=5, after=5, kind="left", name="pairs", retract_grace=100),
        [
            *source("left", ("l1", 10, "assert"), ("l2", 30, "assert")),
            *source("right", ("r1", 12, "assert"), ("r1", 12, "retract"), ("r2", 31, "assert")),
        ],
    )
    looked = run(
        LookupJoin(horizon=100, kind="left", name="looked", retract_grace=100),
        [*source("right", ("v1", 20, "assert")), *handed_on(pairs)],
    )
    windows = run(
        WindowJoin(windows=Tumbling(size=25), name="windows", retract_grace=100),
        [*source("right", ("x", 40, "assert")), *handed_on(looked)],
    )
    rows = [row for _, row in sorted(standing_after(windows).items(), key=lambda kv: kv[1].ts)]
    assert [(24, 1, 0), (49, 1, 1)] == [
        (row.ts, len(row.members["left"]), len(row.members["right"])) for row in rows
    ]
    assert "'unmatched'" in rows[0].members["left"][0][3]["said"]


def test_a_correction_three_steps_up_arrives_as_a_correction() -> None:
    """::

    interval (left x right) -> as-of -> group, all final, W = 20 everywhere;
    then the first right is withdrawn: the group takes its record back and says another.
    """
    cases = stages(("interval-left", "asof-left", "group-tumbling-outer"), "final")
    chain = Chain(cases)
    event = Event("r", "k", 6, "assert", {})
    chain.give(0, Arrival("left", 0, Event("l", "k", 5, "assert", {})))
    chain.give(0, Arrival("right", 0, event))
    for number, case in enumerate(cases):
        for side in case.join.sides[1 if number else 0 :]:
            chain.give(number, Watermark(side, 0, 20))
    assert [False] == [outcome.correction for outcome in chain.end]  # type: ignore[union-attr]
    said = len(chain.end)
    chain.give(0, Arrival("right", 0, Event("r", "k", 6, "retract", {})))
    words = [(type(o).__name__, o.correction) for o in chain.end[said:]]  # type: ignore[union-attr]
    assert [("Retracted", True), ("Matched", True)] == words
