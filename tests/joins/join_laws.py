"""What is tried on every join: random arrivals, and the laws of SEMANTICS 4 against brute force."""

# ruff: noqa: N806 - W is the name that the definition uses
from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from join_reference import INF, Task, said

from joins import (
    Arrival,
    Event,
    Idle,
    Join,
    JoinTask,
    Late,
    Matched,
    MemoryStore,
    Outcome,
    Retracted,
    Unmatched,
    Watermark,
    run,
)
from joins.run import feed

DEEP = os.environ.get("STREAMS_DEEP") == "1"
law = settings(
    phases=tuple(Phase) if not DEEP else (Phase.explicit, Phase.reuse, Phase.generate),
    max_examples=2000 if DEEP else 30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
Definition = Callable[[Task, int], list[Any]]


@st.composite
def arrivals(
    draw: Any,
    sides: tuple[str, ...] = ("left", "right"),
    declared: tuple[str, ...] = (),
    values: Any = None,
) -> list[Any]:
    """Arrivals on two partitions: asserts, changed values, retracts, idleness, watermarks."""
    values = st.integers(0, 1) if values is None else values
    span = draw(st.sampled_from([8, 8, 20, 40]))
    where = st.sampled_from(draw(st.sampled_from([[0], [0, 1]])))
    keys = st.sampled_from(draw(st.sampled_from(["a", "a", "ab"])))
    fact = st.tuples(st.sampled_from(sides), where, keys, st.integers(0, span))
    facts = draw(st.lists(fact, min_size=5, max_size=14))
    if draw(st.booleans()):
        facts.sort(key=lambda found: found[3])
    step = st.tuples(
        st.integers(0, 9), st.integers(-4, 3), st.sampled_from("aaar"), values, st.integers(0, 9)
    )
    time = st.tuples(st.sampled_from(sides), where, st.integers(0, 3), st.integers(0, span + 10))
    steps = draw(st.lists(step, min_size=12, max_size=30))
    times = draw(st.lists(time, min_size=4, max_size=4))
    return [
        _arrival(step, facts, times, index * len(facts) // len(steps), declared)
        for index, step in enumerate(steps)
    ]


def _arrival(
    step: Any, facts: list[Any], times: list[Any], about: int, declared: tuple[str, ...]
) -> Any:
    """Steps go through the facts once, roughly in order, four back to three ahead."""
    what, offset, op, value, chance = step
    if what == 0:
        side, partition, choice, ts = times[offset % len(times)]
        if side in declared and choice:
            return Watermark(side, partition, ts)
        return Idle(side, partition)
    number = min(max(about + offset, 0), len(facts) - 1)
    side, partition, key, ts = facts[number]
    full = {"a": "assert", "r": "retract"}[op]
    return Arrival(
        side,
        partition,
        Event(id=f"{side}{number}", key=key, ts=ts, op=full, value=value, correction=chance == 0),
    )


def as_a_writer_would(
    items: list[Any],
    declared: tuple[str, ...],
    retract_grace: int,
    never_late: tuple[str, ...] = (),
) -> list[Any]:
    """Keep a declared side's promise: below its watermark only corrections, none too far back."""
    stood: dict[Any, int] = {}
    kept: list[Any] = []
    for item in items:
        where = (item.side, item.partition)
        if isinstance(item, Watermark):
            stood[where] = max(stood.get(where, -INF), item.ts)
        elif isinstance(item, Arrival) and item.side in declared:
            limit = stood.get(where, -INF)
            if item.event.ts < limit - retract_grace and item.side not in never_late:
                continue
            if item.event.ts < limit:
                item.event.correction = True
        kept.append(item)
    return kept


def per_side(values: Any, sides: tuple[str, ...] = ("left", "right")) -> Any:
    """An int for all sides, or a mapping."""
    return st.one_of(values, st.fixed_dictionaries(dict.fromkeys(sides, values)))


def of_side(value: Any, sides: tuple[str, ...]) -> dict[str, int]:
    return {s: value if isinstance(value, int) else value.get(s, 0) for s in sides}


def signature(outcome: Any) -> tuple[Any, ...]:
    members = tuple((side, said(member)) for side, member in outcome.members.items())
    base = (type(outcome).__name__, outcome.key, outcome.ts, members)
    value = getattr(outcome, "value", None)
    return base if value is None else (*base, repr(value))


class Net:
    """The net set of what was said; insists that assert and retract alternate."""

    def __init__(self, alternate: bool = True) -> None:
        self.rows: dict[str, Any] = {}
        self.alternate = alternate

    def take(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            if isinstance(outcome, Retracted):
                gone = self.rows.pop(outcome.of, None)
                assert not self.alternate or (gone is not None and gone.ts == outcome.ts)
            elif isinstance(outcome, (Matched, Unmatched)):
                assert not self.alternate or outcome.id not in self.rows
                self.rows[outcome.id] = outcome

    def said(self) -> list[Any]:
        return sorted((signature(row) for row in self.rows.values()), key=repr)


def check(
    join: Join,
    items: list[Any],
    definition: Definition,
    declared: tuple[str, ...] = (),
    never_late: tuple[str, ...] = (),
    keeps: tuple[str, ...] = (),
    alternate: bool = True,
    crash_after: int = -1,
    only_corrections_withdraw: bool = True,
) -> None:
    """Feed ``items`` one by one and hold every law after each of them."""
    tasks: dict[int, JoinTask] = {}
    references: dict[int, Task] = {}
    nets: dict[int, Net] = {}
    promised: dict[int, int] = {}
    all_said: list[Outcome] = []
    for count, item in enumerate(items):
        n = item.partition
        if n not in tasks:
            tasks[n] = JoinTask(join, n, declared)
            references[n] = new_reference(join, declared, never_late)
            nets[n] = Net(alternate)
        if count == crash_after:
            tasks = {number: revived(task, declared) for number, task in tasks.items()}
        outcomes = feed(tasks[n], item)
        tell(references[n], item)
        all_said += outcomes
        nets[n].take(outcomes)
        hold_definition(join, references[n], nets[n], definition)
        if only_corrections_withdraw and join.emit == "final" and not references[n].corrected:
            assert [] == [o for o in outcomes if isinstance(o, Retracted)]
        hold_promise(outcomes, promised.get(n, -INF))
        promised[n] = max(promised.get(n, -INF), promise(tasks[n]))
        hold_deadline(tasks[n])
    assert run(join, items, close=False, declared=declared) == all_said
    for n, task in sorted(tasks.items()):
        nets[n].take(task.close())
        references[n].W = INF
        hold_definition(join, references[n], nets[n], definition)
        hold_empty(task, keeps)
    hold_lateness(all_said, references)


def new_reference(join: Join, declared: tuple[str, ...], never_late: tuple[str, ...] = ()) -> Task:
    return Task(
        join.sides,
        set(declared),
        of_side(join.lateness, join.sides),
        of_side(join.grace, join.sides),
        join.undo_grace,
        set(never_late),
    )


def tell(reference: Task, item: Any) -> None:
    if isinstance(item, Arrival):
        reference.event(item.side, item.event)
    elif isinstance(item, Watermark):
        reference.watermark(item.side, item.ts)
    else:
        reference.idle(item.side)


def revived(task: JoinTask, declared: tuple[str, ...]) -> JoinTask:
    """The task after a crash, from nothing but its dumps."""
    assert isinstance(task.store, MemoryStore)
    again = JoinTask(task.join, task.number, declared, MemoryStore(task.store.dump()))
    again.clock.load(json.loads(json.dumps(task.clock.dump())))
    return again


def hold_definition(join: Join, reference: Task, net: Net, definition: Definition) -> None:
    """Laws (a) and (c): at each moment the net is exactly what is certain (eager: known)."""
    W = reference.W if join.emit == "final" else INF
    assert sorted(definition(reference, W), key=repr) == net.said()


def promise(task: JoinTask) -> int:
    """What the writer of these results may declare."""
    holdback = task.join.holdback(task.store)
    own = task.clock.watermark - task.join.max_grace
    return own if holdback is None else min(own, holdback)


def hold_promise(outcomes: list[Outcome], promised: int) -> None:
    """Nothing but corrections comes below what could have been declared."""
    for outcome in outcomes:
        if isinstance(outcome, (Matched, Unmatched)) and not outcome.correction:
            assert outcome.ts >= promised


def hold_deadline(task: JoinTask) -> None:
    """When no deadline is due, a watermark finds nothing to do."""
    deadline = task.join.next_deadline(task.store)
    assert deadline is None or deadline > task.clock.watermark or task.clock.watermark == -INF


def hold_lateness(outcomes: list[Outcome], references: dict[int, Task]) -> None:
    """The late set is exact; once state has forgotten that an id was withdrawn, ``g`` is grace."""
    said_late = sorted(
        ((o.event.id, o) for o in outcomes if isinstance(o, Late)),
        key=lambda item: (item[0], item[1].watermark),
    )
    expected = sorted(
        (late for task in references.values() for late in task.late), key=lambda late: late[:2]
    )
    assert [late[:2] for late in expected] == [(id, o.watermark) for id, o in said_late]
    for (_, _, *allowed), (_, late) in zip(expected, said_late, strict=True):
        assert (late.side, late.by, late.idle) in allowed


def hold_empty(task: JoinTask, keeps: tuple[str, ...]) -> None:
    """When time has passed everything, nothing is left but the table."""
    assert isinstance(task.store, MemoryStore)
    assert [] == [key for key in task.store.dump() if not set(keeps) & set(key)]
