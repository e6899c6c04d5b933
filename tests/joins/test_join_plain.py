"""``joins.run`` as a stranger would use it: what it takes, and when it speaks."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from join_arrivals import names, on
from join_cases import EMITS, MAKERS, values_of
from join_deep import SEEDS
from join_laws import as_row, bare, standing_after
from join_timelines import timeline

from joins import (
    AsOfJoin,
    Count,
    Fold,
    Hopping,
    Idle,
    Interval,
    IntervalJoin,
    JoinError,
    Lookup,
    LookupJoin,
    Matched,
    Max,
    Min,
    NWayJoin,
    Session,
    Sum,
    Tumbling,
    Unmatched,
    Watermark,
    WindowAggregate,
    WindowJoin,
    run,
)

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
