"""``joins.run`` as a stranger would use it: everything about time, by the constructors alone."""

from __future__ import annotations

from typing import Any

from join_arrivals import at, names, on
from join_cases import MAKERS

from joins import (
    AsOfJoin,
    Idle,
    IntervalJoin,
    Session,
    Tumbling,
    Watermark,
    WindowJoin,
    run,
)


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
