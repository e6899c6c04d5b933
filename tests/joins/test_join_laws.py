"""Each join, kind and emit against brute force, over random arrivals."""

# ruff: noqa: N803 - W is the name that the definition uses
from __future__ import annotations

import ast
from typing import Any

import join_reference as reference
import pytest
from hypothesis import given
from hypothesis import strategies as st
from join_laws import arrivals, as_a_writer_would, check, law, per_side

from joins import (
    AsOf,
    AsOfJoin,
    Count,
    Fold,
    Hopping,
    Interval,
    IntervalJoin,
    Lookup,
    LookupJoin,
    Max,
    Min,
    NWayJoin,
    Session,
    Sum,
    Tumbling,
    WindowAggregate,
    WindowJoin,
)

PAIR_KINDS = ["inner", "left", "right", "outer", "semi", "anti"]
CHOICE_KINDS = ["inner", "left", "semi", "anti"]
EMITS = ["final", "eager"]
TIMES = {
    "lateness": per_side(st.integers(0, 4)),
    "grace": per_side(st.integers(0, 4)),
    "retract_grace": st.sampled_from([4, 4, 5, 8, 20]),
}
DECLARED = st.sampled_from([(), (), ("right",), ("left", "right")])


def drawn(data: Any, retract_grace: int, **options: Any) -> tuple[list[Any], tuple[str, ...]]:
    """Arrivals, and which sides are declared."""
    declared = options.pop("declared", None) or data.draw(DECLARED)
    never_late = options.pop("never_late", ())
    items = data.draw(arrivals(declared=declared, **options))
    return as_a_writer_would(items, declared, retract_grace, never_late), declared


@pytest.mark.parametrize("emit", EMITS)
@pytest.mark.parametrize("kind", PAIR_KINDS)
@law
@given(
    data=st.data(),
    times=st.fixed_dictionaries(TIMES),
    before=st.integers(-3, 10),
    width=st.integers(0, 12),
)
def test_interval(kind: str, emit: Any, data: Any, times: Any, before: int, width: int) -> None:
    """An interval join says exactly the pairs, and the lonely ones, that are certain."""
    after = width - before
    join = IntervalJoin(before=before, after=after, kind=kind, emit=emit, **times)
    items, declared = drawn(data, join.undo_grace)
    crash = data.draw(st.integers(0, 30))
    check(
        join,
        items,
        lambda task, W: reference.interval(task, W, kind, before, after),
        declared,
        crash_after=crash,
    )


@pytest.mark.parametrize("emit", EMITS)
@pytest.mark.parametrize("kind", PAIR_KINDS)
@law
@given(data=st.data(), times=st.fixed_dictionaries(TIMES), size=st.integers(1, 15))
def test_window_product(kind: str, emit: Any, data: Any, times: Any, size: int) -> None:
    """A window product says all pairs in each window, and who is alone in it."""
    advance = data.draw(st.one_of(st.just(size), st.integers(1, size + 3)))
    windows = Tumbling(size=size) if advance == size else Hopping(size=size, advance=advance)
    join = WindowJoin(windows=windows, mode="product", kind=kind, emit=emit, **times)
    items, declared = drawn(data, join.undo_grace)
    check(
        join,
        items,
        lambda task, W: reference.window_product(task, W, kind, size, advance),
        declared,
        crash_after=data.draw(st.integers(0, 30)),
    )


@pytest.mark.parametrize("emit", EMITS)
@pytest.mark.parametrize("kind", ["inner", "left", "outer"])
@law
@given(data=st.data(), size=st.integers(1, 15), retract_grace=st.sampled_from([4, 4, 5, 8, 20]))
def test_window_group(kind: str, emit: Any, data: Any, size: int, retract_grace: int) -> None:
    """A window group of three sides says one record for each closed window."""
    sides = ("left", "middle", "right")
    advance = data.draw(st.one_of(st.just(size), st.integers(1, size + 3)))
    windows = Tumbling(size=size) if advance == size else Hopping(size=size, advance=advance)
    join = WindowJoin(
        windows=windows,
        kind=kind,
        emit=emit,
        sides=sides,
        grace=data.draw(per_side(st.integers(0, 4), sides)),
        lateness=data.draw(per_side(st.integers(0, 4), sides)),
        retract_grace=retract_grace,
    )
    items, declared = drawn(data, join.undo_grace, sides=sides)
    check(
        join,
        items,
        lambda task, W: reference.group(task, W, kind, size, advance),
        declared,
        crash_after=data.draw(st.integers(0, 30)),
    )


@pytest.mark.parametrize("emit", EMITS)
@pytest.mark.parametrize("kind", CHOICE_KINDS)
@law
@given(data=st.data(), times=st.fixed_dictionaries(TIMES), tolerance=st.integers(0, 15))
def test_asof(kind: str, emit: Any, data: Any, times: Any, tolerance: int) -> None:
    """An as-of join gives each l the last r before it, within tolerance."""
    join = AsOfJoin(tolerance=tolerance, kind=kind, emit=emit, **times)
    items, declared = drawn(data, join.undo_grace)
    check(
        join,
        items,
        lambda task, W: reference.asof(task, W, kind, tolerance),
        declared,
        crash_after=data.draw(st.integers(0, 30)),
    )


VERSIONS = st.one_of(
    st.none(),
    st.just({"name": "x"}),
    st.fixed_dictionaries({"name": st.just("y"), "valid_to": st.integers(0, 50)}),
    st.just({"name": "z", "valid_to": None}),
)


@pytest.mark.parametrize("emit", EMITS)
@pytest.mark.parametrize("kind", CHOICE_KINDS)
@law
@given(data=st.data(), times=st.fixed_dictionaries(TIMES))
def test_lookup(kind: str, emit: Any, data: Any, times: Any) -> None:
    """A lookup gives each l that is kept the version of its time, however late that comes."""
    join = LookupJoin(horizon=1000, kind=kind, emit=emit, **times)
    declared = ("right",) if emit == "final" else None
    items, declared = drawn(
        data, join.undo_grace, never_late=("right",), declared=declared, values=VERSIONS
    )
    check(
        join,
        items,
        lambda task, W: reference.lookup(task, W, kind),
        declared,
        never_late=("right",),
        keeps=("right",),
        crash_after=data.draw(st.integers(0, 30)),
        only_corrections_withdraw=False,
    )


def history(events: list[Any]) -> Any:
    """Says in order what it was given; no row when it begins with a right event."""
    return None if events[0][0] == "right" else [(side, e.id, e.value) for side, e in events]


@pytest.mark.parametrize("emit", EMITS)
@law
@given(data=st.data(), times=st.fixed_dictionaries(TIMES))
def test_fold(emit: Any, data: Any, times: Any) -> None:
    """A fold's row is the function of the key's live events, at every moment."""
    join = Fold(function=history, horizon=1000, emit=emit, **times)
    items, declared = drawn(data, join.undo_grace)
    check(
        join,
        items,
        lambda task, W: reference.fold(task, W, history, 1000),
        declared,
        crash_after=data.draw(st.integers(0, 30)),
        only_corrections_withdraw=False,
    )


@law
@given(data=st.data(), times=st.fixed_dictionaries(TIMES), horizon=st.integers(0, 12))
def test_fold_begins_anew_after_a_pause(data: Any, times: Any, horizon: int) -> None:
    """What a key's row is does not depend on whether its old events have left state already."""

    def everything(events: list[Any]) -> Any:
        return [(side, e.id, e.value) for side, e in events]

    join = Fold(function=everything, horizon=horizon, **times)
    items, declared = drawn(data, join.undo_grace)
    check(
        join,
        items,
        lambda task, W: reference.fold(task, W, everything, horizon),
        declared,
        alternate=False,
        only_corrections_withdraw=False,
    )


@pytest.mark.parametrize("emit", EMITS)
@law
@given(
    data=st.data(),
    tolerance=st.integers(0, 15),
    before=st.integers(-3, 10),
    width=st.integers(0, 12),
    retract_grace=st.sampled_from([4, 4, 5, 8, 20]),
)
def test_nway(
    emit: Any, data: Any, tolerance: int, before: int, width: int, retract_grace: int
) -> None:
    """An n-way join says for each driver's event who its partners are on every side."""
    sides = ("left", "price", "near", "right")
    join = NWayJoin(
        driver="left",
        sides={
            "price": AsOf(tolerance=tolerance),
            "near": Interval(before=before, after=width - before),
            "right": Lookup(horizon=1000),
        },
        emit=emit,
        grace=data.draw(per_side(st.integers(0, 4), sides)),
        lateness=data.draw(per_side(st.integers(0, 4), sides)),
        retract_grace=retract_grace,
    )
    rules = {
        "price": ("asof", tolerance),
        "near": ("interval", before, width - before),
        "right": ("lookup",),
    }
    declared = ("right",) if emit == "final" else None
    items, declared = drawn(
        data,
        join.undo_grace,
        never_late=("right",),
        declared=declared,
        sides=sides,
        values=VERSIONS,
    )
    check(
        join,
        items,
        lambda task, W: reference.nway(task, W, "left", rules),
        declared,
        never_late=("right",),
        keeps=("right",),
        crash_after=data.draw(st.integers(0, 30)),
        only_corrections_withdraw=False,
    )


@pytest.mark.parametrize("emit", EMITS)
@pytest.mark.parametrize("kind", ["inner", "left", "outer"])
@law
@given(data=st.data(), times=st.fixed_dictionaries(TIMES), gap=st.integers(0, 10))
def test_session_group(kind: str, emit: Any, data: Any, times: Any, gap: int) -> None:
    """A session group says one record for each session that nothing can reach any more."""
    join = WindowJoin(windows=Session(gap=gap), kind=kind, emit=emit, **times)
    items, declared = drawn(data, join.undo_grace)
    check(
        join,
        items,
        lambda task, W: reference.session_group(task, W, kind, gap),
        declared,
        crash_after=data.draw(st.integers(0, 30)),
    )


@pytest.mark.parametrize("emit", EMITS)
@pytest.mark.parametrize("kind", PAIR_KINDS)
@law
@given(data=st.data(), times=st.fixed_dictionaries(TIMES), gap=st.integers(0, 10))
def test_session_product(kind: str, emit: Any, data: Any, times: Any, gap: int) -> None:
    """A session product says all pairs of each session, however retracts split it."""
    join = WindowJoin(windows=Session(gap=gap), mode="product", kind=kind, emit=emit, **times)
    items, declared = drawn(data, join.undo_grace)
    check(
        join,
        items,
        lambda task, W: reference.session_product(task, W, kind, gap),
        declared,
        crash_after=data.draw(st.integers(0, 30)),
    )


@pytest.mark.parametrize("emit", EMITS)
@pytest.mark.parametrize("windows", [Tumbling(size=7), Hopping(size=9, advance=4), Session(gap=5)])
@law
@given(data=st.data())
def test_window_aggregate(windows: Any, emit: Any, data: Any) -> None:
    """An aggregate's value is that of the window's live events, at every moment."""
    join = WindowAggregate(
        windows=windows,
        aggregates={"n": Count(), "s": Sum("v"), "lo": Min("v"), "hi": Max("v")},
        emit=emit,
        sides=("left", "right"),
        retract_grace=5,
    )

    def numbers(task: Any, W: int) -> list[Any]:
        if isinstance(windows, Session):
            rows = reference.session_group(task, W, "outer", windows.gap)
        else:
            advance = getattr(windows, "advance", windows.size)
            rows = reference.group(task, W, "outer", windows.size, advance)
        return [(*row, repr(numbers_of(row))) for row in rows]

    values = st.one_of(st.just({}), st.fixed_dictionaries({"v": st.integers(-5, 5)}))
    items, declared = drawn(data, join.undo_grace, values=values)
    check(join, items, numbers, declared, crash_after=data.draw(st.integers(0, 30)))


def numbers_of(row: Any) -> dict[str, Any]:
    """n, s, lo and hi of a row's members."""
    values = [ast.literal_eval(value) for _, events in row[3] for _, value in events]
    found = [value["v"] for value in values if "v" in value]
    return {
        "n": len(values),
        "s": sum(found),
        "lo": min(found, default=None),
        "hi": max(found, default=None),
    }
