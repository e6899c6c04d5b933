"""``joins.run`` as a stranger would use it: corners of windows, versions, values."""

from __future__ import annotations

from typing import Any

import pytest
from join_arrivals import at, names, on
from join_cases import MAKERS
from join_laws import standing_after

from joins import (
    AsOfJoin,
    Count,
    Fold,
    Hopping,
    Idle,
    IntervalJoin,
    JoinTask,
    LookupJoin,
    Max,
    Min,
    Retracted,
    Session,
    Sum,
    Tumbling,
    Watermark,
    WindowAggregate,
    WindowJoin,
    run,
)


@pytest.mark.parametrize("correction", [False, True])
def test_negative_ends_keep_what_may_still_be_withdrawn(correction: bool) -> None:
    """::

    before -3, after 9: partners of r lie 9 to 3 before it, so r is of no use long before it is old
    before 9, after -3: the same for l, whose Unmatched is certain before its own time
    """
    join = IntervalJoin(before=9, after=-3, kind="left", retract_grace=4)
    items = [Watermark(side, 0, 0) for side in ("left", "right")]
    items += [on("left", "l", 20, correction=correction)]
    items += [Watermark(side, 0, 24) for side in ("left", "right")]
    items += [on("left", "l", 20, op="retract")]
    said = [type(o).__name__ for o in run(join, items, close=False)]
    assert ["Unmatched", "Retracted"] == said


def test_sessions_without_a_gap_are_instants() -> None:
    """gap 0: only equal times belong together; the window is one millisecond."""
    join = WindowJoin(windows=Session(gap=0))
    items = [on("left", "a", 5), on("right", "b", 5), on("left", "c", 6)]
    assert [("Matched", 5, ["a"], ["b"]), ("Matched", 6, ["c"], [])] == names(run(join, items))


def test_between_sparse_windows_there_is_nothing() -> None:
    """size 4, advance 10: 3 is in [0, 4), 4 to 9 are in none, 10 is in [10, 14)."""
    windows = Hopping(size=4, advance=10)
    items = [on("left", f"l{ts}", ts) for ts in (-1, 0, 3, 4, 9, 10)]
    said = names(run(WindowJoin(windows=windows), items))
    assert [("Matched", 3, ["l0", "l3"], []), ("Matched", 13, ["l10"], [])] == said
    join = WindowJoin(windows=windows, mode="product", kind="anti")
    assert [0, 3, 10] == [at(o) for o in run(join, items)]


def test_equal_times_and_ids_on_two_sides_are_two_events() -> None:
    """An id is an id of its side; a fold has the earlier side first."""
    both = [on("right", "e", 5, "r"), on("left", "e", 5, "l")]
    assert [("Matched", 5, "e", "e")] == names(run(IntervalJoin(before=0, after=0), both))
    assert [("Matched", 5, "e", "e")] == names(run(AsOfJoin(tolerance=0), both))
    join = Fold(function=lambda events: [side for side, _ in events], horizon=9)
    said: Any = run(join, both)
    assert ["left", "right"] == said[-1].value


def test_of_equal_times_the_greatest_id_is_the_last() -> None:
    """As-of and lookup choose by (ts, id), whatever came first."""
    for join in (AsOfJoin(tolerance=9), LookupJoin(horizon=9, emit="eager")):
        for order in ("ab", "ba"):
            items = [on("right", id, 5, {"n": id}) for id in order] + [on("left", "l", 5)]
            assert ["b"] == [
                row.members["right"][0] for row in standing_after(run(join, items)).values()
            ]


def test_a_version_ends_where_its_valid_to_says() -> None:
    """valid_to 20 in a mapping: 19 is served, 20 is not; a delete hides all before it."""
    join = LookupJoin(horizon=100, kind="left", emit="eager")
    versions = [on("right", "v1", 0, {"n": 1}), on("right", "v2", 10, {"n": 2, "valid_to": 20})]
    versions += [on("right", "v3", 30, None), on("right", "v4", 40, {"valid_to": None})]
    asked = [on("left", f"l{ts}", ts) for ts in (-1, 0, 19, 20, 29, 30, 39, 40)]
    said = {row[1]: row[3] for row in names(run(join, versions + asked))}
    expected = {-1: None, 0: "v1", 19: "v2", 20: "v1", 29: "v1", 30: None, 39: None, 40: "v4"}
    assert expected == said


def test_a_version_that_ended_serves_corrections_as_long_as_these_may_come() -> None:
    """horizon 0, retract_grace 20: at ``W`` 20 a correction at 5 finds the version of its time."""
    join = LookupJoin(horizon=0, kind="left", emit="eager", retract_grace=20)
    items: list[Any] = [on("right", "v", 0, {"valid_to": 8}), Idle("right", 0)]
    items += [on("left", "x", n) for n in (10, 15, 20)]
    items.append(on("left", "l", 5, correction=True))
    assert ("Matched", 5, "l", "v") == names(run(join, items))[-1]


@pytest.mark.parametrize("name", MAKERS)
def test_an_equal_value_has_no_effect_whatever_object_it_is(name: str) -> None:
    """A duplicate is known by its value, and nothing of it is remembered."""
    case = MAKERS[name](emit="eager")
    task = JoinTask(case.join, 0, case.join.sides)
    for _ in range(2):
        task.receive(case.join.sides[0], on("left", "e", 43, {"v": 7}).event)
    assert {"accepted": 1, "no_effect": 1} == dict(task.counts)


def test_a_changed_valid_to_corrects_what_it_served() -> None:
    """The version ends earlier than it said: those that it no longer covers fall back."""
    join = LookupJoin(horizon=100, kind="left", emit="eager")
    items = [on("right", "v1", 0, {"n": 1}), on("right", "v2", 10, {"n": 2})]
    items += [on("left", f"l{ts}", ts) for ts in (12, 18)]
    items += [on("right", "v2", 10, {"n": 2, "valid_to": 15})]
    rows = standing_after(run(join, items)).values()
    assert {"l12": "v2", "l18": "v1"} == {r.members["left"][0]: r.members["right"][0] for r in rows}


def test_a_field_that_is_missing_counts_for_nothing() -> None:
    """Count counts the event; Sum, Min and Max pass it by; of nothing they are 0, None, None."""
    numbers = {"n": Count(), "s": Sum("sat"), "lo": Min("sat"), "hi": Max("sat")}
    join = WindowAggregate(windows=Tumbling(size=10), aggregates=numbers)
    items = [
        on("left", "a", 1, {"sat": 4}),
        on("left", "b", 2, {}),
        on("left", "c", 3, {"sat": None}),
    ]
    items += [on("left", "d", 12, {"other": 1})]
    said: Any = run(join, items)
    assert [
        {"n": 3, "s": 4, "lo": 4, "hi": 4},
        {"n": 1, "s": 0, "lo": None, "hi": None},
    ] == [o.value for o in said]


def test_an_aggregate_takes_back_its_least_and_its_greatest() -> None:
    """The second least is the least when the least goes."""
    numbers = {"lo": Min("v"), "hi": Max("v"), "s": Sum("v")}
    join = WindowAggregate(windows=Tumbling(size=10), aggregates=numbers, retract_grace=100)
    items = [on("left", f"e{v}", v, {"v": v}) for v in (1, 5, 9)] + [
        on("left", "far", 50, {"v": 0})
    ]
    items += [on("left", "e1", 1, op="retract"), on("left", "e9", 9, op="retract")]
    said: Any = [o for o in run(join, items) if not isinstance(o, Retracted) and o.ts == 9]
    assert [(1, 9, 15), (5, 9, 14), (5, 5, 5)] == [(*o.value.values(),) for o in said]


def test_what_came_too_late_to_withdraw_stands() -> None:
    """A retract beyond retract_grace is said to be late, and touches nothing."""
    join = IntervalJoin(before=5, after=5, retract_grace=10)
    items = [on("left", "l", 0), on("right", "r", 0), on("left", "x", 11), on("right", "y", 11)]
    items += [on("left", "l", 0, op="retract"), on("right", "r", 0, op="retract")]
    said = run(join, items)
    assert ["Matched", "Matched", "Late", "Late"] == [type(o).__name__ for o in said]
    items = [on("left", "l", 0), on("right", "r", 0), on("left", "x", 10), on("right", "y", 10)]
    items += [on("left", "l", 0, op="retract")]
    assert ["Matched", "Matched", "Retracted"] == [type(o).__name__ for o in run(join, items)]
