"""Aggregates of windows that come and go: always those of the live events, at a cost that is low.

::

    session, gap 5:   a(0)  b(4)  c(8)        [0, 9)   {n: 3}
                      b goes:                 [0, 1) and [8, 9)
                      b comes again:          [0, 9)   {n: 3}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from random import Random
from typing import Any

import pytest
import reference as ref
from join_cases import EMITS, GROUP_KINDS, WINDOWS, Case, windows_of
from join_deep import SEEDS
from join_laws import prove
from join_timelines import as_a_writer_would, timeline

from joins import (
    Arrival,
    Count,
    Distinct,
    Event,
    Hopping,
    Join,
    JoinError,
    Matched,
    Max,
    Mean,
    MemoryStore,
    Min,
    Outcome,
    Quantiles,
    Retracted,
    Session,
    Sum,
    TopK,
    Tumbling,
    Variance,
    WindowAggregate,
    WindowJoin,
    run,
)
from joins.state import Key


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


def events(values: Iterable[int], step: int = 1) -> list[Event]:
    return [Event(f"e{n}", "k", n * step, "assert", {"v": v}) for n, v in enumerate(values)]


def gone(event: Event) -> Event:
    return Event(event.id, event.key, event.ts, "retract", event.value)


def standing(outcomes: Iterable[Outcome], rows: dict[str, Any] | None = None) -> dict[str, Any]:
    rows = {} if rows is None else rows
    for outcome in outcomes:
        if isinstance(outcome, Retracted):
            assert rows.pop(outcome.of) == outcome.row
        elif isinstance(outcome, Matched):
            assert outcome.id not in rows
            rows[outcome.id] = outcome
    return rows


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


# --- cost ---------------------------------------------------------------------------------------


class Counting(MemoryStore):
    """Counts entries that are read and written: the cost of a join, without a clock."""

    def __init__(self) -> None:
        super().__init__()
        self.read = self.written = 0

    def get(self, key: Key) -> Any | None:
        self.read += 1
        return super().get(key)

    def put(self, key: Key, value: Any, due: int | None = None) -> None:
        self.written += 1
        super().put(key, value, due)

    def delete(self, key: Key) -> None:
        self.written += 1
        super().delete(key)

    def scan(self, *args: Any, **named: Any) -> Iterator[tuple[Key, Any]]:
        self.read += 1
        for entry in super().scan(*args, **named):
            self.read += 1
            yield entry

    def between(self, *args: Any) -> list[Any]:
        found = super().between(*args)
        self.read += 1 + len(found)
        return found

    def last(self, *args: Any) -> Any | None:
        self.read += 1
        return super().last(*args)

    def cost(self) -> int:
        """Of everything since this was last asked."""
        found, self.read, self.written = self.read + self.written, 0, 0
        return found


EXACT = {"n": Count(), "s": Sum("v"), "var": Variance("v"), "q": Quantiles("v"), "lo": Min("v")}
HOT: Mapping[str, Any] = {
    "tumbling": Tumbling(size=10**6),
    "hopping": Hopping(size=10**6, advance=5 * 10**5),
    "session": Session(gap=3),
}


@pytest.mark.parametrize("emit", EMITS)
@pytest.mark.parametrize("name", HOT)
def test_an_event_of_a_hot_window_costs_what_one_of_a_cold_one_does(name: str, emit: Any) -> None:
    """The ten-thousandth event of a window, and its retract, read and write a few entries."""
    join = WindowAggregate(
        windows=HOT[name], aggregates=EXACT, emit=emit, members=False, retract_grace=10**7
    )
    store = Counting()
    hot = events([n % 97 + 1 for n in range(10_000)])
    Random(1).shuffle(hot)
    join.on_batch(store, "left", hot, 0)
    assert store.cost() < 12 * len(hot)
    more = [Event("more", "k", 5000, "assert", {"v": 50}), hot[17]]
    said = join.on_event(store, "left", more[0], 0)
    assert store.cost() <= 20
    assert (2 if name != "hopping" else 4) * (emit == "eager") == len(said)
    join.on_event(store, "left", gone(more[0]), 0)
    assert store.cost() <= 20
    join.on_event(store, "left", gone(Event("e17", "k", 17, "assert", {"v": 18})), 0)
    assert store.cost() <= 20


@pytest.mark.parametrize("name", HOT)
def test_at_its_close_a_window_without_members_reads_no_events(name: str) -> None:
    """The tally is read, whatever the window holds."""
    join = WindowAggregate(windows=HOT[name], aggregates=EXACT, members=False, retract_grace=10**7)
    store = Counting()
    join.on_batch(store, "left", events([1] * 5000), 0)
    store.cost()
    rows = join.on_watermark(store, 2 * 10**6)
    assert [5000] * len(rows) == [row.value["n"] for row in rows]
    assert store.cost() <= 20


def test_the_least_value_is_looked_for_only_when_it_goes() -> None:
    """A retract of another value reads nothing; that of the least reads the window once."""
    join = WindowAggregate(
        windows=Tumbling(size=10**6), aggregates={"lo": Min("v")}, emit="eager", members=False,
        retract_grace=10**7,
    )  # fmt: skip
    store = Counting()
    hot = events(range(1000))
    rows = standing(join.on_batch(store, "left", hot, 0))
    store.cost()
    standing(join.on_event(store, "left", gone(hot[500]), 0), rows)
    assert store.cost() <= 20
    standing(join.on_event(store, "left", gone(hot[0]), 0), rows)
    assert 998 <= store.cost() <= 998 + 20
    assert [1] == [row.value["lo"] for row in rows.values()]


@pytest.mark.parametrize(
    "windows", [Tumbling(size=10**6), Session(gap=3)], ids=["fixed", "session"]
)
def test_a_hot_group_is_read_once_a_batch_and_once_at_its_close(windows: Any) -> None:
    """``eager`` reads what it says before and after a batch; ``final`` reads it when it closes."""
    hot = events(range(4000))
    eager = WindowJoin(windows=windows, emit="eager", sides=("left", "right"), retract_grace=10**7)
    final = WindowJoin(windows=windows, sides=("left", "right"), retract_grace=10**7)
    store = Counting()
    eager.on_batch(store, "left", hot[:3000], 0)
    store.cost()
    said = eager.on_batch(store, "left", hot[3000:], 0)
    assert store.cost() <= 3000 + 4000 + 8 * 1000 + 50
    assert 2 == len(said)
    store = Counting()
    for event in hot:
        final.on_event(store, "left", event, 0)
    assert store.cost() <= 15 * len(hot)
    assert 4000 == len(final.on_watermark(store, 2 * 10**6)[0].members["left"])
    assert store.cost() <= 4000 + 50


def test_a_lonely_session_product_finds_its_first_event_at_once() -> None:
    """Who waits for a partner in a hot session does not read the others that wait."""
    join: Join = WindowJoin(windows=Session(gap=3), mode="product", kind="anti", retract_grace=10)
    store = Counting()
    for event in events(range(3000)):
        join.on_event(store, "left", event, 0)
    assert store.cost() <= 20 * 3000
    assert 0 == join.holdback(store)


def test_an_event_of_overlapping_windows_is_counted_once() -> None:
    """``final``: in its pane, though it is in sixty windows; each merges its panes at its close."""
    join = WindowAggregate(
        windows=Hopping(size=60, advance=1), aggregates={"n": Count()}, members=False
    )
    store = Counting()
    join.on_batch(store, "left", events([1, 1, 1], step=200), 0)
    store.cost()
    join.on_batch(store, "left", [Event("again", "k", 200, "assert", {})], 0)
    assert store.cost() <= 6
    assert 3 == len([key for key in store.dump() if key[0] == "/windows"])
    assert 60 * 3 == len(join.on_watermark(store, 1000))


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
