"""Aggregates by themselves: a state of any history says what its live events say, to the bit."""

from __future__ import annotations

import math
import random
import statistics
from collections import Counter
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from joins import (
    Count,
    Distinct,
    JoinError,
    Max,
    Mean,
    Mergeable,
    Min,
    Quantiles,
    Sum,
    TopK,
    Variance,
)
from joins.mergeable import state_of
from joins.sketch_hyperloglog import estimate
from schemas.envelope import Event
from streams.engine.codec import decode_value, encode_value

NUMBERS = st.one_of(
    st.integers(-3, 3),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([0.0, -0.0, 1.0, 0.1, 0.2, 1e16, -1e16, 5e-324, 1.7e308, True, False]),
    st.floats(),
    st.none(),
)
WORDS = st.one_of(st.sampled_from(["a", "b", b"a", "", "1", 1, 1.0, True, 0.5, None]), NUMBERS)
AGGREGATES: list[tuple[Mergeable, Any]] = [
    (Count(), NUMBERS),
    (Sum("v"), NUMBERS),
    (Mean("v"), NUMBERS),
    (Variance("v"), NUMBERS),
    (Variance("v", sample=True), NUMBERS),
    (Min("v"), NUMBERS),
    (Max("v"), NUMBERS),
    (Min("v"), st.text(max_size=2)),
    (Distinct("v"), WORDS),
    (Distinct("v", precision=4, exact=3), WORDS),
    (TopK("v", 2), WORDS),
    (Quantiles("v", (0, 0.3, 0.5, 1)), NUMBERS.filter(lambda v: v is None or abs(v) != 2**1024)),
    (Quantiles("v", (0.5, 0.99), error=0), NUMBERS),
]
IDS = [f"{number}-{aggregate}" for number, (aggregate, _) in enumerate(AGGREGATES)]


def events_of(values: list[Any]) -> list[Event]:
    """An event a value, with the value in its field ``v``; None has no field."""
    return [
        Event(f"e{n}", "k", n, "assert", {} if value is None else {"v": value})
        for n, value in enumerate(values)
    ]


def of(aggregate: Mergeable, values: list[Any]) -> Any:
    return aggregate.of(events_of(values))


def copied(state: Any) -> Any:
    """Through the changelog and back: states are plain data."""
    again = decode_value(encode_value(state))
    assert repr(state) == repr(again)
    return again


@pytest.mark.parametrize(("aggregate", "values"), AGGREGATES, ids=IDS)
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_a_state_says_what_the_live_events_say(
    aggregate: Mergeable, values: Any, data: Any
) -> None:
    """However events were added and removed, the result is that of those that are left."""
    events = events_of(data.draw(st.lists(values, max_size=12)))
    state, live = aggregate.zero(), list[Event]()
    for number in data.draw(st.lists(st.integers(0, 11), max_size=30)):
        event = events[number % len(events)] if events else None
        if event is None:
            continue
        if event in live:
            live.remove(event)
            state = aggregate.remove(state, event)
        else:
            live.append(event)
            state = aggregate.add(state, event)
        if state is None:
            state = state_of(aggregate, live)
        state = copied(state)
        assert repr(aggregate.of(live)) == repr(aggregate.result(state))
    assert repr(aggregate.of(sorted(live, key=lambda e: e.ts))) == repr(aggregate.result(state))


@pytest.mark.parametrize(("aggregate", "values"), AGGREGATES, ids=IDS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_states_merge_in_any_order(aggregate: Mergeable, values: Any, data: Any) -> None:
    """Parts merged in any order say what all events say in any order."""
    events = events_of(data.draw(st.lists(values, max_size=14)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(events)), max_size=4)))
    ends = [0, *cuts, len(events)]
    shuffled = data.draw(st.permutations(events))
    parts = [shuffled[a:b] for a, b in pairwise(ends)]
    states = [state_of(aggregate, part) for part in parts]
    while len(states) > 1:
        other = states.pop(data.draw(st.integers(0, len(states) - 1)))
        at = data.draw(st.integers(0, len(states) - 1))
        states[at] = aggregate.merge(states[at], other)
    assert repr(aggregate.of(events)) == repr(aggregate.result(copied(states[0])))


@settings(max_examples=300)
@given(st.lists(st.one_of(st.integers(-(2**80), 2**80), st.floats(-1e300, 1e300)), min_size=1))
def test_sum_mean_and_variance_are_the_nearest_floats(values: list[Any]) -> None:
    """Against fractions: one rounding, at the end."""
    exact = [Fraction(value) for value in values]
    whole = all(isinstance(value, int) for value in values)
    count, total = len(values), sum(exact)
    mean = total / count
    spread = sum((value - mean) ** 2 for value in exact)
    assert of(Sum("v"), values) == (int(total) if whole else _float(total))
    assert of(Mean("v"), values) == _float(mean)
    assert of(Variance("v"), values) == _float(spread / count)
    if count > 1:
        assert of(Variance("v", sample=True), values) == _float(spread / (count - 1))


def _float(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


@settings(max_examples=200)
@given(st.lists(st.floats(-1e300, 1e300), min_size=2, max_size=20))
def test_the_standard_library_agrees(values: list[float]) -> None:
    """``math.fsum`` and ``statistics`` compute the same, where they do not overflow."""
    assert of(Sum("v"), values) == math.fsum(values)
    assert of(Mean("v"), values) == float(statistics.mean(map(Fraction, values)))
    assert of(Min("v"), values) == min(values)
    assert of(Max("v"), values) == max(values)


@pytest.mark.parametrize(
    ("centre", "step", "count"),
    [
        (10_000_002, 1, 1),
        (1.2, 0.1, 500),
        (1_000_000.2, 0.1, 500),
        (10_000_000.2, 0.1, 500),
    ],
    ids=["NumAcc1", "NumAcc2", "NumAcc3", "NumAcc4"],
)
def test_the_numbers_that_nist_certifies(centre: Any, step: Any, count: int) -> None:
    """NIST's reference data sets for numerical accuracy: the mean is exact, the deviation to what
    doubles can carry of their decimals."""
    values = [centre] + [round(centre - step, 1), round(centre + step, 1)] * count
    deviation = math.sqrt(of(Variance("v", sample=True), values))
    assert of(Mean("v"), values) == pytest.approx(centre, rel=1e-15)
    assert deviation == pytest.approx(step, rel=2e-8)


def test_a_float_that_is_removed_leaves_no_trace() -> None:
    """1e16 swallows 1.0 in a running sum of floats; here it comes back."""
    total, (big, small) = Sum("v"), events_of([1e16, 1.0])
    state = total.add(total.add(total.zero(), big), small)
    assert 1.0 == total.result(total.remove(state, big))


def test_nan_and_infinity_do_not_count() -> None:
    """As if the field were missing."""
    values = [math.nan, 2.0, math.inf, -math.inf]
    assert (2.0, 2.0, 0.0) == (
        of(Sum("v"), values),
        of(Mean("v"), values),
        of(Variance("v"), values),
    )
    assert [2.0] == of(Quantiles("v", error=0), values)
    assert (-math.inf, math.inf) == (of(Min("v"), values), of(Max("v"), values))


@pytest.mark.parametrize("aggregate", [Sum("v"), Mean("v"), Variance("v"), Quantiles("v")])
def test_what_is_no_number_is_refused_by_name(aggregate: Mergeable) -> None:
    """The message names the field, the value and what to do."""
    with pytest.raises(JoinError, match=r"'v'.*'12.5'.*e0"):
        of(aggregate, ["12.5"])


def test_min_refuses_values_without_an_order() -> None:
    """A field of two types has no least value."""
    with pytest.raises(JoinError, match="cannot order"):
        of(Min("v"), [1, "a"])


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: TopK("v", 0),
        lambda: Distinct("v", precision=3),
        lambda: Distinct("v", exact=-1),
        lambda: Quantiles("v", ()),
        lambda: Quantiles("v", (1.5,)),
        lambda: Quantiles("v", error=1),
    ],
)
def test_impossible_settings_are_refused(wrong: Any) -> None:
    """Each when it is made, by a JoinError."""
    with pytest.raises(JoinError):
        wrong()


@settings(max_examples=200)
@given(st.lists(st.sampled_from("abcdef")), st.integers(1, 4))
def test_top_k_counts_and_orders(values: list[str], k: int) -> None:
    """The most frequent first, equally frequent ones by value."""
    counts = Counter(values)
    expected = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:k]
    assert [list(item) for item in expected] == of(TopK("v", k), values)


@settings(max_examples=300)
@given(
    st.lists(st.one_of(st.integers(-(10**18), 10**18), st.floats(-1e300, 1e300)), min_size=1),
    st.sampled_from([0.0, 0.25, 0.5, 0.99, 1.0]),
    st.sampled_from([0.0001, 0.01, 0.2, 0.9]),
)
def test_a_quantile_is_within_its_error(values: list[Any], q: float, error: float) -> None:
    """Against the sorted values; relatively, down to where floats lose their digits."""
    ordered = sorted(values)
    expected = ordered[math.floor(q * (len(values) - 1))]
    assert [expected] == of(Quantiles("v", (q,), error=0), values)
    (found,) = of(Quantiles("v", (q,), error=error), values)
    assert abs(found - expected) <= max(error * abs(expected), 1e-300)


def test_buckets_of_amounts_are_few() -> None:
    """Amounts over fifteen decades need no more buckets than the documentation says."""
    sizes = random.Random(1)
    values = [int(10 ** sizes.uniform(0, 15)) for _ in range(20_000)]
    quantiles = Quantiles("v")
    state = state_of(quantiles, events_of(values))
    assert len(state) <= 2500
    assert quantiles.keeps(state)


@pytest.mark.parametrize("precision", [8, 12])
@pytest.mark.parametrize("count", [300, 20_000])
def test_distinct_is_within_its_error(precision: int, count: int) -> None:
    """Four standard errors of ``1.04 / sqrt(2 ** precision)``, over three sets of values."""
    error = 1.04 / math.sqrt(2**precision)
    distinct = Distinct("v", precision=precision, exact=0)
    found = [of(distinct, [f"{run}-{n}" for n in range(count)]) / count - 1 for run in range(3)]
    assert max(map(abs, found)) <= 4 * error
    assert abs(statistics.mean(found)) <= 4 * error / math.sqrt(3)


def test_distinct_is_exact_while_values_are_few() -> None:
    """Up to ``exact`` values the number is right and a retract is followed without the events."""
    distinct = Distinct("v")
    events = events_of([*range(256), *range(256)])
    state = state_of(distinct, events)
    assert 256 == distinct.result(state)
    for event in events[:256]:
        state = distinct.remove(state, event)
    assert 256 == distinct.result(state)
    assert isinstance(distinct.add(dict(state), events_of(["new"])[0]), bytes)
    assert 255 == distinct.result(distinct.remove(state, events[256]))


def test_few_registers_in_use_are_few_values() -> None:
    """With nearly all registers empty the estimator counts those in use."""
    registers = bytearray(4096)
    assert 0 == estimate(bytes(registers))
    registers[17] = 1
    assert 1.0 == round(estimate(bytes(registers)), 2)
