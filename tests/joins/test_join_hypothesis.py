"""Each join against brute force where hypothesis chooses, so that what fails is small."""

from __future__ import annotations

from functools import partial
from typing import Any

import join_cases as cases
import pytest
from hypothesis import given
from hypothesis import strategies as st
from join_cases import CHOICE_KINDS, EMITS, GROUP_KINDS, PAIR_KINDS, Case
from join_deep import law
from join_laws import check
from join_timelines import as_a_writer_would

from joins import (
    Arrival,
    AsOf,
    Event,
    Hopping,
    Idle,
    Interval,
    Lookup,
    Session,
    Tumbling,
    Watermark,
)

TIMES = st.integers(0, 4)
WINDOWS = st.one_of(
    st.builds(Tumbling, size=st.integers(1, 15)),
    st.builds(Hopping, size=st.integers(1, 15), advance=st.integers(1, 18)),
    st.builds(Session, gap=st.integers(0, 10)),
)


@st.composite
def intervals(draw: Any) -> tuple[int, int]:
    """(before, after) with at least one instant between."""
    before, width = draw(st.integers(-3, 10)), draw(st.integers(0, 12))
    return before, width - before


@st.composite
def rules(draw: Any) -> dict[str, Any]:
    """One to three sides beside a driver."""
    before, after = draw(intervals())
    of = {
        "near": Interval(before=before, after=after),
        "price": AsOf(tolerance=draw(st.integers(0, 15))),
        "right": Lookup(horizon=draw(st.sampled_from([0, 6, 1000]))),
    }
    return {side: of[side] for side in draw(st.permutations(sorted(of)))[draw(st.integers(0, 2)) :]}


def with_kind(maker: Any, kinds: tuple[str, ...], **parts: Any) -> Any:
    return st.builds(partial, st.just(maker), kind=st.sampled_from(kinds), **parts)


FAMILIES: dict[str, Any] = {
    "interval": st.builds(
        lambda ends, kind: partial(cases.interval, *ends, kind=kind),
        intervals(),
        st.sampled_from(PAIR_KINDS),
    ),
    "product": with_kind(cases.product, PAIR_KINDS, windows=WINDOWS),
    "group": with_kind(cases.group, GROUP_KINDS, windows=WINDOWS, sides=st.just(cases.THREE)),
    "aggregate": st.builds(
        partial, st.just(cases.aggregate), windows=WINDOWS, sides=st.just(("left", "right"))
    ),
    "asof": with_kind(cases.asof, CHOICE_KINDS, tolerance=st.integers(0, 15)),
    "lookup": with_kind(cases.lookup, CHOICE_KINDS, horizon=st.sampled_from([0, 6, 1000])),
    "nway": st.builds(partial, st.just(cases.nway), rules()),
    "fold": st.one_of(
        st.just(cases.fold),
        st.builds(
            partial, st.just(cases.fold), st.just(cases.everything), horizon=st.integers(0, 12)
        ),
    ),
}


@st.composite
def arrivals(
    draw: Any, sides: tuple[str, ...], values: tuple[Any, ...], declared: frozenset[str]
) -> list[Any]:
    """Arrivals of a few facts on one or two tasks, roughly in order or not at all."""
    span = draw(st.sampled_from([8, 8, 20, 40]))
    where = st.sampled_from(draw(st.sampled_from([[0], [0, 1]])))
    keys = st.sampled_from(draw(st.sampled_from(["a", "a", "ab"])))
    fact = st.tuples(st.sampled_from(sides), where, keys, st.integers(0, span))
    facts = draw(st.lists(fact, min_size=3, max_size=14))
    if draw(st.booleans()):
        facts.sort(key=lambda found: found[3])
    step = st.tuples(
        st.sampled_from("aaaaaarriw"),
        st.integers(0, 3),
        st.sampled_from(values),
        st.integers(0, 9),
        st.integers(-12, 10),
    )
    steps = draw(st.lists(step, min_size=4, max_size=28))
    return [_arrival(facts, declared, *step, n, len(steps)) for n, step in enumerate(steps)]


def _arrival(
    facts: list[Any],
    declared: frozenset[str],
    what: str,
    offset: int,
    value: Any,
    chance: int,
    around: int,
    step: int,
    steps: int,
) -> Any:
    number = min(step * len(facts) // steps + offset, len(facts) - 1)
    side, partition, key, ts = facts[number]
    if what == "w" and side in declared:
        return Watermark(side, partition, ts + around)
    if what == "i" or what == "w":
        return Idle(side, partition)
    op: Any = "assert" if what == "a" else "retract"
    return Arrival(side, partition, Event(f"e{number}", key, ts, op, value, chance == 0))


@st.composite
def trials(draw: Any, family: str, emit: str) -> tuple[Case, list[Any], frozenset[str], int]:
    """A join with its times, what arrives, which sides are declared, when it crashes."""
    maker = draw(FAMILIES[family])
    sides = maker().join.sides
    each = st.one_of(TIMES, st.fixed_dictionaries(dict.fromkeys(sides, TIMES)))
    case = maker(
        emit=emit,
        grace=draw(each),
        lateness=draw(each),
        retract_grace=draw(st.sampled_from([4, 4, 5, 8, 20])),
    )
    declared = case.declared | draw(st.sampled_from([set(), set(), {sides[-1]}, set(sides)]))
    items = draw(arrivals(sides, cases.values_of(family), declared))
    items = as_a_writer_would(items, declared, case.join.undo_grace, case.tables)
    return case, items, declared, draw(st.integers(-1, 30))


@pytest.mark.parametrize("emit", EMITS)
@pytest.mark.parametrize("family", FAMILIES)
@law
@given(data=st.data())
def test_a_join_says_what_its_definition_says(family: str, emit: str, data: Any) -> None:
    """Any parameters, any arrivals: after each exactly what must be said, in order."""
    check(*data.draw(trials(family, emit)))
