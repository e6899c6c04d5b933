"""``joins.run`` as a stranger would use it: everything about time, by the constructors alone."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from join_cases import EMITS, MAKERS, values_of
from join_deep import SEEDS
from join_laws import as_row, bare, standing_after
from join_timelines import timeline

from joins import (
    Arrival,
    AsOfJoin,
    Count,
    Event,
    Fold,
    Hopping,
    Idle,
    Interval,
    IntervalJoin,
    JoinError,
    JoinTask,
    Late,
    Lookup,
    LookupJoin,
    Matched,
    Max,
    Min,
    NWayJoin,
    Retracted,
    Session,
    Sum,
    Tumbling,
    Unmatched,
    Watermark,
    WindowAggregate,
    WindowJoin,
    run,
)


def on(side: str, id: str, ts: int, value: Any = 1, op: Any = "assert", **more: Any) -> Arrival:
    key, partition = more.pop("key", "k"), more.pop("partition", 0)
    event = Event(id=id, key=key, ts=ts, op=op, value=value, **more)
    return Arrival(side=side, partition=partition, event=event)


def names(outcomes: list[Any]) -> list[tuple[Any, ...]]:
    """What, at which time, of which ids."""
    return [(type(o).__name__, at(o), *ids(o)) for o in outcomes]


def at(outcome: Any) -> int:
    return int(outcome.event.ts if isinstance(outcome, Late) else outcome.ts)


def ids(outcome: Any) -> list[Any]:
    members = getattr(outcome, "members", {}).values()
    return [[e.id for e in m] if isinstance(m, tuple) else m and m.id for m in members]


# --- run and its arguments ------------------------------------------------------------------------


@pytest.mark.parametrize("name", MAKERS)
def test_a_side_with_watermarks_is_declared(name: str) -> None:
    """Without being told, ``run`` finds the declared sides, wherever among the arrivals."""
    for seed in SEEDS:
        rng = Random(seed)
        case = MAKERS[name](emit="eager", lateness=2, grace=1, retract_grace=6)
        some = frozenset(side for side in case.join.sides if rng.random() < 0.5)
        items = timeline(rng, case.join.sides, values_of(name), some)
        found = {item.side for item in items if isinstance(item, Watermark)}
        assert run(case.join, items, declared=found) == run(case.join, items)


def test_tasks_close_in_order_and_share_nothing() -> None:
    """What ``run`` says of two tasks is what it says of each alone."""
    join = IntervalJoin(before=1, after=1, kind="outer")
    both = [on("left", "l", 5, partition=n) for n in (1, 0)]
    both += [on("right", "r", 5 + n, partition=n) for n in (0, 1)]
    alone = [[item for item in both if item.partition == number] for number in (0, 1)]
    assert names(run(join, both)) == names(run(join, alone[0]) + run(join, alone[1]))


def test_without_close_nothing_ends() -> None:
    """A live topic never ends: what waits goes on waiting."""
    join = WindowJoin(windows=Tumbling(size=10))
    items = [on("left", "l", 5), on("right", "r", 6)]
    assert [] == run(join, items, close=False)
    assert [("Matched", 9, ["l"], ["r"])] == names(run(join, items))
    assert names(run(join, items)) == names(run(join, items, close=True))


@pytest.mark.parametrize(
    "item", [on("middle", "m", 1), Idle(side="middle", partition=0), Watermark("middle", 0, 5)]
)
def test_an_unknown_side_is_refused_by_name(item: Any) -> None:
    """Whatever arrives on it."""
    with pytest.raises(JoinError, match="middle"):
        run(IntervalJoin(before=1, after=1), [item])


@pytest.mark.parametrize("time", ["lateness", "grace"])
def test_a_time_of_an_unknown_side_is_refused(time: str) -> None:
    """A mapping names sides of the join."""
    with pytest.raises(JoinError, match="middle"):
        IntervalJoin(before=1, after=1, **{time: {"middle": 5}})  # type: ignore[arg-type]


def test_a_retract_grace_below_any_grace_is_refused() -> None:
    """The greatest grace of a mapping counts."""
    times: dict[str, Any] = {"grace": {"left": 1, "right": 6}}
    with pytest.raises(JoinError, match="retract_grace"):
        IntervalJoin(before=1, after=1, retract_grace=5, **times)
    IntervalJoin(before=1, after=1, retract_grace=6, **times)


def test_every_constructor_of_the_definition_takes_what_it_says() -> None:
    """SEMANTICS 6, by keyword, and nothing else is needed."""
    common: dict[str, Any] = {
        "name": "step",
        "lateness": 1,
        "grace": {"left": 2},
        "retract_grace": 50,
        "emit": "eager",
    }
    two = {"sides": ("left", "right"), **common}
    NWayJoin(
        driver="left",
        sides={"a": Interval(before=1, after=2), "b": Lookup(horizon=3)},
        **common,
    )
    Fold(function=len, horizon=5, **two)
    for kind in ("inner", "left", "semi", "anti"):
        AsOfJoin(tolerance=5, kind=kind, **two)
        LookupJoin(horizon=5, kind=kind, **two)
    for kind in ("inner", "left", "right", "outer", "semi", "anti"):
        IntervalJoin(before=1, after=1, kind=kind, **two)
        for windows in (Tumbling(size=5), Hopping(size=5, advance=2), Session(gap=5)):
            WindowJoin(windows=windows, mode="product", kind=kind, **two)
    for windows in (Tumbling(size=5), Hopping(size=5, advance=2), Session(gap=5)):
        for kind in ("inner", "left", "outer"):
            WindowJoin(windows=windows, mode="group", kind=kind, **two)
        numbers = {"n": Count(), "s": Sum("f"), "lo": Min("f"), "hi": Max("f")}
        WindowAggregate(windows=windows, aggregates=numbers, **common)


# --- time -----------------------------------------------------------------------------------------


def test_lateness_moves_deadlines_but_not_those_of_declared_sides() -> None:
    """::

    lateness 10, l(0), after 5:   W_left = 6 - 10, so a watermark of the right alone is not enough
    """
    join = IntervalJoin(before=0, after=5, kind="left", lateness={"left": 10})
    items = [on("left", "l", 0), Watermark("right", 0, 100), on("left", "x", 15)]
    assert [] == run(join, items, close=False)
    items.append(on("left", "y", 16))
    assert [("Unmatched", 0, "l", None)] == names(run(join, items, close=False))
    declared = [Watermark("left", 0, 5), Watermark("right", 0, 100), on("left", "l", 0)]
    assert [] == run(join, declared, close=False)
    declared.append(Watermark("left", 0, 6))
    assert [("Unmatched", 0, "l", None)] == names(run(join, declared, close=False))


def test_a_declared_side_is_never_late_by_its_own_watermark() -> None:
    """What was in time at its source: only time that went on without it counts."""
    join = IntervalJoin(before=5, after=5, retract_grace=1000)
    items = [Watermark("right", 0, 100), on("right", "r", 40), on("left", "l", 42)]
    assert [("Matched", 42, "l", "r")] == names(run(join, items))
    items = [Watermark("right", 0, 30), Idle("right", 0), on("left", "l", 60)]
    items += [on("right", "r", 59), on("right", "s", 60)]
    assert [("Late", 59), ("Matched", 60, "l", "s")] == names(run(join, items))


def test_time_goes_on_without_an_idle_side_and_waits_when_it_is_back() -> None:
    """::

    left 100 | right idle: W = 100 | right is back at 105: W_p = 105 | left 200: W = 105
    """
    join = WindowJoin(windows=Tumbling(size=50))
    items = [on("left", "a", 10), on("left", "b", 100), Idle("right", 0)]
    assert [("Matched", 49, ["a"], [])] == names(run(join, items, close=False))
    items += [on("right", "late", 99), on("right", "r", 105), on("left", "c", 200)]
    said = names(run(join, items, close=False))
    assert [("Matched", 49, ["a"], []), ("Late", 99)] == said
    items.append(on("right", "s", 160))
    said = names(run(join, items, close=False))
    assert [("Matched", 149, ["b"], ["r"])] == said[2:]


def test_idle_by_both_keeps_time_where_it_is() -> None:
    """``W`` is the least of the partitions that are not idle; of none, it stays."""
    join = AsOfJoin(tolerance=5, kind="left")
    items = [on("left", "l", 50), on("right", "r", 40), Idle("left", 0), Idle("right", 0)]
    assert [] == run(join, items, close=False)
    items.append(on("right", "q", 45))
    assert [] == run(join, items, close=False)
    items.append(on("right", "p", 51))
    assert [("Matched", 50, "l", "q")] == names(run(join, items, close=False))


def test_a_writer_that_breaks_its_promise_breaks_nothing_else() -> None:
    """::

    declared, W = 20, retract_grace 3:   windows [4, 13) and [8, 17)   e(9), then its retract
    The first window is forgotten, the second is not; what is said is said once.
    """
    join = MAKERS["aggregate-hopping"](emit="eager", retract_grace=3).join
    items: list[Any] = [Watermark(side, 0, 0) for side in join.sides]
    items += [on("left", "e", 9, {"v": 1})]
    items += [Watermark(side, 0, 18) for side in join.sides]
    items += [on("left", "e", 9, {"v": 1}, op="retract")]
    said = [(type(o).__name__, at(o)) for o in run(join, items)]
    assert [("Matched", 12), ("Matched", 16), ("Retracted", 16)] == said


def test_the_default_retract_grace_is_how_far_the_join_reaches() -> None:
    """before 5, after 7: at ``W_p`` = 100 a retract at 93 still counts, one at 92 is late."""
    join = IntervalJoin(before=5, after=7, grace=1)
    items = [on("left", "a", 92), on("left", "b", 93), on("left", "c", 100)]
    items += [on("left", "b", 93, op="retract"), on("left", "a", 92, op="retract")]
    said: Any = run(join, items)
    assert [("Late", 92, 100, 1)] == [(type(o).__name__, at(o), o.watermark, o.by) for o in said]


def test_an_assert_after_an_effective_retract_has_the_retracts_grace() -> None:
    """At ``W_p`` = 20, retract_grace 15: a new id at 5 is late, one that was withdrawn is not."""
    join = IntervalJoin(before=0, after=0, kind="anti", retract_grace=15)
    items = [on("left", "a", 5), on("left", "x", 20), on("left", "a", 5, op="retract")]
    items += [on("left", "a", 5, 2), on("left", "b", 5), on("left", "c", 4, op="retract")]
    said: Any = run(join, items)
    assert [("Late", 5, 15), ("Late", 4, 1)] == [(type(o).__name__, at(o), o.by) for o in said[:2]]
    assert [("Unmatched", 5, "a", None), ("Unmatched", 20, "x", None)] == names(said[2:])
    assert 2 == said[2].members["left"].value


def test_a_retract_of_what_never_was_opens_no_grace() -> None:
    """It has no effect, so the assert that follows has the grace of an assert."""
    join = IntervalJoin(before=0, after=0, retract_grace=15)
    items = [on("left", "x", 20), on("left", "a", 5, op="retract"), on("left", "a", 5)]
    assert [("Late", 5)] == names(run(join, items))


def test_late_is_asked_before_anything_else() -> None:
    """A duplicate that is late is late; it is not simply without effect."""
    join = IntervalJoin(before=0, after=0)
    items = [on("left", "a", 5), on("left", "x", 20), on("left", "a", 5)]
    assert [("Late", 5)] == names(run(join, items))


def test_a_late_event_moves_nothing() -> None:
    """It does not wake an idle partition either."""
    join = WindowJoin(windows=Tumbling(size=10))
    items = [Idle("right", 0), on("left", "a", 5), on("left", "b", 25), on("right", "r", 24)]
    items.append(on("left", "c", 35))
    said = names(run(join, items, close=False))
    assert [("Matched", 9, ["a"], []), ("Late", 24), ("Matched", 29, ["b"], [])] == said


def test_one_jump_passes_all_deadlines_in_order_of_time() -> None:
    """outer, before 0, after 10: a left event waits until 10 after it, a right one not at all.

    ::

        deadlines:   25: r(25)    30: l(20), q(30)    40: m(30)
    """
    join = IntervalJoin(before=0, after=10, kind="outer")
    items: list[Any] = [Watermark(side, 0, 0) for side in join.sides]
    items += [on("left", "m", 30, key="m"), on("left", "l", 20, key="l")]
    items += [on("right", "q", 30, key="q"), on("right", "r", 25, key="r")]
    items += [Watermark(side, 0, 100) for side in join.sides]
    said = run(join, items, close=False)
    assert ["r", "l", "q", "m"] == [outcome.key for outcome in said]  # type: ignore[union-attr]


def test_what_becomes_certain_at_one_instant_comes_by_ts_and_id() -> None:
    """Ten keys whose events wait for one deadline: by ts, then by the id of the result."""
    for join in (
        IntervalJoin(before=0, after=10, kind="left"),
        AsOfJoin(tolerance=5, kind="left"),
        WindowJoin(windows=Tumbling(size=50)),
        WindowJoin(windows=Session(gap=5), mode="product", kind="left"),
    ):
        items: list[Any] = [Watermark(side, 0, 0) for side in join.sides]
        items += [on("left", f"e{n}", 20, key=f"k{n}") for n in range(10)]
        items += [Watermark(side, 0, 100) for side in join.sides]
        found: Any = run(join, items, close=False)
        assert 10 == len(found)
        assert sorted(found, key=lambda row: (row.ts, row.id)) == found


# --- corners --------------------------------------------------------------------------------------


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


# --- final and eager ------------------------------------------------------------------------------


def known_at_once(name: str) -> bool:
    """Pairs are certain at once, so nothing can be said earlier; a fold is asked at each change."""
    pairs = name.startswith(("interval", "after", "before", "product"))
    return name.startswith("fold") or (pairs and name.endswith(("inner", "semi")))


@pytest.mark.parametrize("name", MAKERS)
def test_eager_speaks_before_final(name: str) -> None:
    """The same arrivals, the same net set; what is not certain at once comes earlier."""
    sides, value = MAKERS[name]().join.sides, values_of(name)[1]
    items: list[Any] = [Watermark(side, 0, -50) for side in sides]
    items += [on(side, "e", 43, value) for side in sides]
    items += [on(side, f"alone {side}", 43, value, key=side) for side in sides]
    items += [Watermark(side, 0, 100) for side in sides]
    first, nets = {}, {}
    for emit in EMITS:
        case = MAKERS[name](emit=emit, retract_grace=100)
        nets[emit] = standing_after(run(case.join, items))
        first[emit] = {
            id: min(n for n in range(len(items) + 1) if id in standing(case, items[:n]))
            for id in nets[emit]
        }
    assert nets["eager"] == nets["final"]
    early = [id for id in nets["final"] if first["eager"][id] < first["final"][id]]
    assert [] == [id for id in nets["final"] if first["eager"][id] > first["final"][id]]
    assert bool(early) != known_at_once(name)


def standing(case: Any, items: list[Any]) -> dict[str, Any]:
    """What stands after these, in time."""
    said = run(case.join, items, close=False, declared=case.join.sides)
    return standing_after(said)


@pytest.mark.parametrize("emit", EMITS)
@pytest.mark.parametrize("name", MAKERS)
def test_what_was_said_is_a_prefix_of_what_is_said_later(name: str, emit: str) -> None:
    """Law (b), by ``run`` alone."""
    for seed in SEEDS[:3]:
        case = MAKERS[name](emit=emit, grace=1, retract_grace=6)
        items = timeline(Random(seed), case.join.sides, values_of(name), case.declared)
        whole = run(case.join, items, close=False, declared=case.declared)
        for count in range(0, len(items), 3):
            part = run(case.join, items[:count], close=False, declared=case.declared)
            assert part == whole[: len(part)]


def test_semi_and_anti_say_the_left_event_once() -> None:
    """semi: a Matched whose other side is None; anti: an Unmatched."""
    items = [on("left", "l", 5), on("right", "r1", 5), on("right", "r2", 6), on("left", "m", 50)]
    for maker in ("interval-semi", "product-tumbling-semi", "product-session-semi"):
        (one,) = run(MAKERS[maker]().join, items)
        assert isinstance(one, Matched)
        assert {"left": ("l", "k", 5, 1), "right": None} == as_row(one).members
    for maker in ("interval-anti", "product-tumbling-anti", "product-session-anti"):
        (other,) = run(MAKERS[maker]().join, items)
        assert isinstance(other, Unmatched)
        assert ("left", "m") == (other.side, bare(as_row(other)).members["left"][0])
