"""Aggregates of windows that come and go: always those of the live events, at a cost that is low.

::

    session, gap 5:   a(0)  b(4)  c(8)        [0, 9)   {n: 3}
                      b goes:                 [0, 1) and [8, 9)
                      b comes again:          [0, 9)   {n: 3}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from random import Random
from typing import Any

import pytest
import reference as ref
from join_cases import EMITS, GROUP_KINDS, WINDOWS, Case, windows_of
from join_deep import SEEDS
from join_laws import prove
from join_timelines import as_a_writer_would, timeline
from join_windows import HOT, events, gone, standing

from joins import (
    Arrival,
    Count,
    Distinct,
    Event,
    JoinError,
    Matched,
    Max,
    Mean,
    MemoryStore,
    Min,
    Quantiles,
    Session,
    Sum,
    TopK,
    Tumbling,
    Variance,
    WindowAggregate,
    run,
)


class Longest:
    """An aggregate of one's own, without a state: the values, the longest text first."""

    def of(self, events: Iterable[Event]) -> Any:
        return sorted((repr(event.value) for event in events), key=lambda t: (-len(t), t))


ALL = {
    "n": Count(),
    "s": Sum("v"),
    "lo": Min("v"),
    "hi": Max("v"),
    "mean": Mean("v"),
    "var": Variance("v"),
    "kinds": Distinct("v", exact=2, precision=16),
    "top": TopK("v", 2),
    "mid": Quantiles("v", (0.5,), error=0),
    "long": Longest(),
}
VALUES: tuple[Any, ...] = ({}, {"v": -3}, {"v": 2}, {"v": 2, "w": 1}, {"v": 0.1}, {"v": None})


def numbers(values: list[Any]) -> dict[str, Any]:
    """The same by other means."""
    found = [value["v"] for value in values if value.get("v") is not None]
    top = sorted(Counter(found).items(), key=lambda item: (-item[1], item[0]))[:2]
    middle = [sorted(found)[(len(found) - 1) // 2]] if found else [None]
    return {
        "n": len(values),
        "s": _sum(found),
        "lo": min(found, default=None),
        "hi": max(found, default=None),
        "mean": float(_mean(found)) if found else None,
        "var": float(_variance(found)) if found else None,
        "kinds": len(set(found)),
        "top": [list(item) for item in top],
        "mid": middle,
        "long": sorted(map(repr, values), key=lambda t: (-len(t), t)),
    }


def _sum(found: list[Any]) -> Any:
    whole = all(isinstance(value, int) for value in found)
    return sum(found) if whole else float(sum(map(Fraction, found)))


def _mean(found: list[Any]) -> Fraction:
    return sum(map(Fraction, found), Fraction(0)) / len(found)


def _variance(found: list[Any]) -> Fraction:
    return _mean([(Fraction(value) - _mean(found)) ** 2 for value in found])


def case(windows: Any, **common: Any) -> Case:
    """All aggregates of a window, and what they must be."""
    cut, gap, _ = windows_of(windows)
    join = WindowAggregate(windows=windows, aggregates=ALL, **common)

    def define(live: Any, known: Any) -> list[ref.Row]:
        rows = ref.group(join.name, live, join.kind, cut, gap or 0)
        values = [[e[3] for events in row.members.values() for e in events] for row in rows]
        return [
            row._replace(members={}, value=numbers(found))
            for row, found in zip(rows, values, strict=True)
        ]

    return Case(join, define, echoes=True)


@pytest.mark.parametrize("members", [True, False])
@pytest.mark.parametrize("emit", EMITS)
@pytest.mark.parametrize("name", WINDOWS)
def test_aggregates_are_those_of_the_live_events(name: str, emit: str, members: bool) -> None:
    """After each arrival, retract and crash: eager and final say what the definition says."""
    for seed in SEEDS:
        rng = Random(seed)
        made = case(
            WINDOWS[name],
            emit=emit,
            members=members,
            kind=rng.choice(GROUP_KINDS),
            sides=("left", "right"),
            grace=rng.choice((0, 2)),
            lateness=rng.choice((0, 3)),
            retract_grace=rng.choice((4, 8, 30)),
        )
        declared = frozenset(side for side in ("left", "right") if rng.random() < 0.2)
        items = timeline(rng, ("left", "right"), VALUES, declared)
        items = as_a_writer_would(items, declared, made.join.undo_grace, frozenset())
        prove(f"{name} {emit} seed {seed}", made, items, declared, rng.randint(-1, 30))


@pytest.mark.parametrize("members", [True, False])
@pytest.mark.parametrize("emit", EMITS)
@pytest.mark.parametrize("name", WINDOWS)
def test_a_batch_of_any_size_says_the_same(name: str, emit: Any, members: bool) -> None:
    """Batches end where they like, time goes on between them: the same results stand."""
    for seed in SEEDS:
        rng = Random(seed)
        join = WindowAggregate(
            windows=WINDOWS[name], aggregates=ALL, emit=emit, members=members, retract_grace=60
        )
        together, single = MemoryStore(), MemoryStore()
        many, ones = dict[str, Any](), dict[str, Any]()
        watermark = -100
        for _ in range(6):
            batch = [_any_event(rng) for _ in range(rng.randint(1, 9))]
            said = join.on_batch(together, "left", batch, watermark)
            subjects = Counter(o.id for o in said if isinstance(o, Matched))
            assert set(subjects.values()) <= {1}
            standing(said, many)
            for event in batch:
                standing(join.on_event(single, "left", event, watermark), ones)
            assert ones == many
            watermark = max(watermark, rng.randint(-20, 60))
            standing(join.on_watermark(together, watermark), many)
            standing(join.on_watermark(single, watermark), ones)
            assert ones == many
            assert single.dump() == together.dump()


def _any_event(rng: Random) -> Event:
    number = rng.randint(0, 11)
    op: Any = rng.choice(("assert", "assert", "retract"))
    return Event(f"e{number}", "ab"[number % 2], number * 3, op, rng.choice(VALUES))


def test_a_retract_splits_a_session_and_its_event_joins_it_again() -> None:
    """The aggregates are parted and merged with it."""
    join = WindowAggregate(
        windows=Session(gap=5), aggregates={"n": Count(), "top": TopK("v", 1)}, emit="eager",
        members=False, retract_grace=100,
    )  # fmt: skip
    store, parts = MemoryStore(), events([7, 7, 9], step=4)
    rows = standing(join.on_batch(store, "left", parts, 0))
    assert [(8, {"n": 3, "top": [[7, 2]]})] == [(r.ts, r.value) for r in rows.values()]
    standing(join.on_event(store, "left", gone(parts[1]), 0), rows)
    expected = [(0, {"n": 1, "top": [[7, 1]]}), (8, {"n": 1, "top": [[9, 1]]})]
    assert expected == sorted((r.ts, r.value) for r in rows.values())
    standing(join.on_event(store, "left", parts[1], 0), rows)
    assert [(8, {"n": 3, "top": [[7, 2]]})] == [(r.ts, r.value) for r in rows.values()]


def test_without_members_a_value_that_stays_is_not_said_again() -> None:
    """Max of 9 and 3 is that of 9; with members the events are content, so it is said again."""
    arrivals = [Arrival("left", 0, event) for event in events([9, 3])]
    common: dict[str, Any] = {"windows": Tumbling(size=10), "aggregates": {"hi": Max("v")}}
    bare = run(WindowAggregate(**common, emit="eager", members=False), arrivals)
    whole = run(WindowAggregate(**common, emit="eager"), arrivals)
    assert [(9, {"left": None}, {"hi": 9})] == [(r.ts, r.members, r.value) for r in bare]
    assert 3 == len(whole)


def test_an_int_that_becomes_a_float_is_said_again() -> None:
    """1 is not 1.0, though they are equal: results are compared to the bit."""
    join = WindowAggregate(
        windows=Tumbling(size=10), aggregates={"s": Sum("v")}, emit="eager", members=False,
        retract_grace=10,
    )  # fmt: skip
    one, other = events([1, 0])
    other.value = {"v": 0.0}
    rows = standing(run(join, [Arrival("left", 0, one), Arrival("left", 0, other)]))
    assert ["1.0"] == [repr(row.value["s"]) for row in rows.values()]


@pytest.mark.parametrize(
    "windows", [Tumbling(size=10_000), Session(gap=5)], ids=["fixed", "session"]
)
def test_states_that_are_too_large_are_not_kept(monkeypatch: Any, windows: Any) -> None:
    """Then the live events are read, and the result is the same."""
    monkeypatch.setattr("joins.top_k.MOST", 3)
    join = WindowAggregate(
        windows=windows, aggregates={"top": TopK("v", 2)}, emit="eager", members=False,
        retract_grace=100_000,
    )  # fmt: skip
    store, rows = MemoryStore(), dict[str, Any]()
    rng = Random(3)
    live: list[Event] = []
    for event in events([rng.randrange(6) for _ in range(60)]):
        live.append(event)
        standing(join.on_event(store, "left", event, 0), rows)
        if rng.random() < 0.3:
            out = live.pop(rng.randrange(len(live) - 1) if len(live) > 1 else 0)
            standing(join.on_event(store, "left", gone(out), 0), rows)
        expected = TopK("v", 2).of(live)
        assert [expected] == [row.value["top"] for row in rows.values()]


def test_an_aggregate_that_fails_names_the_event() -> None:
    """A text where a number is wanted is refused with its event, not added."""
    join = WindowAggregate(windows=Tumbling(size=10), aggregates={"s": Sum("v")})
    wrong = Event("e7", "k", 1, "assert", {"v": "12"})
    with pytest.raises(JoinError, match="event e7"):
        run(join, [Arrival("left", 0, wrong)])


@pytest.mark.parametrize("name", HOT)
def test_what_is_stored_is_never_changed_in_place(name: str) -> None:
    """A state that is regained for a result at the close is not slipped into the store."""
    join = WindowAggregate(
        windows=HOT[name], aggregates={"lo": Min("v")}, members=False, retract_grace=10**7
    )
    store, hot = MemoryStore(), events(range(5))
    join.on_batch(store, "left", [*hot, gone(hot[0])], 0)
    before = repr([item for item in store.dump().items() if item[0][0] in TABLES])
    assert {1} == {row.value["lo"] for row in join.on_watermark(store, 2 * 10**6)}
    assert before == repr([item for item in store.dump().items() if item[0][0] in TABLES])


TABLES = ("/windows", "/sessions")
"""Where tallies are."""
