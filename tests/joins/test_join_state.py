"""What joins keep: flat after one window, nothing at the end, and little touched for each event."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from joins import (
    POS_INF,
    AsOf,
    AsOfJoin,
    Count,
    Event,
    Fold,
    Hopping,
    Interval,
    IntervalJoin,
    Join,
    LookupJoin,
    MemoryStore,
    NWayJoin,
    Session,
    Tumbling,
    WindowAggregate,
    WindowJoin,
)
from joins.state import Key, Store
from streams.engine.codec import encode_changes
from streams.engine.stores import TaskStore

DEEP = os.environ.get("STREAMS_DEEP") == "1"
RATE, LENGTH = (1000, 3_600_000) if DEEP else (20, 240_000)
"""Events a second, and ms of event time."""
STEP, DISORDER, GRACE = 1000, 2000, 8000
COMMON: dict[str, Any] = {"name": "j", "grace": 0, "retract_grace": GRACE}
TWO: dict[str, Any] = {**COMMON, "sides": ("left", "right")}


def last_of(events: list[Any]) -> Any:
    """The value of a key's last event."""
    return events[-1][1].value


JOINS: dict[str, Join] = {
    "inner": IntervalJoin(before=5000, after=5000, **COMMON),
    "left": IntervalJoin(before=5000, after=5000, kind="left", **COMMON),
    "outer eager": IntervalJoin(before=5000, after=500, kind="outer", emit="eager", **COMMON),
    "semi": IntervalJoin(before=0, after=5000, kind="semi", **COMMON),
    "product": WindowJoin(windows=Tumbling(size=5000), mode="product", kind="outer", **COMMON),
    "hopping": WindowJoin(windows=Hopping(size=5000, advance=2500), mode="product", **COMMON),
    "group": WindowJoin(windows=Tumbling(size=5000), **TWO),
    "session": WindowJoin(windows=Session(gap=900), **TWO),
    "session product": WindowJoin(windows=Session(gap=900), mode="product", **COMMON),
    "aggregate": WindowAggregate(windows=Tumbling(size=5000), aggregates={"n": Count()}, **TWO),
    "as-of": AsOfJoin(tolerance=5000, kind="left", **COMMON),
    "as-of eager": AsOfJoin(tolerance=5000, emit="eager", **COMMON),
    "lookup": LookupJoin(horizon=5000, emit="eager", **COMMON),
    "n-way": NWayJoin(
        driver="left",
        sides={"right": AsOf(tolerance=5000), "near": Interval(before=100, after=2000)},
        **COMMON,
    ),
    "fold": Fold(function=last_of, horizon=900, **TWO),
}
REACH = 2 * 5000 + 2 * GRACE + 2 * DISORDER
"""No entry of these is kept for longer than this after its event (ms)."""


def second(join: Join, start: int, random: Random) -> dict[str, list[Event]]:
    """The events of one second of event time, as they arrive on each side; few are retracted."""
    found: dict[str, list[Event]] = {side: [] for side in join.sides}
    for number in range(RATE):
        side = join.sides[number % len(join.sides)]
        ts = start + random.randrange(STEP) - random.randrange(DISORDER)
        value = {"n": number, "valid_to": ts + 3000}
        event = Event(f"{side}{start}-{number}", f"k{random.randrange(RATE)}", ts, "assert", value)
        found[side].append(event)
        if random.randrange(50) == 0:
            found[side].append(Event(event.id, event.key, ts, "retract", value))
    return found


def sizes(join: Join, store: MemoryStore) -> Iterator[int]:
    """Entries in the store after each second of event time."""
    random = Random(1)
    for start in range(0, LENGTH, STEP):
        for side, events in second(join, start, random).items():
            join.on_batch(store, side, events, start - STEP - DISORDER)
        join.on_watermark(store, start - DISORDER)
        yield len(store)


@pytest.mark.timeout(3600 if DEEP else 300)
@pytest.mark.parametrize("name", JOINS)
def test_state_is_flat_after_one_window(name: str) -> None:
    """Minutes (``STREAMS_DEEP=1``: an hour at 1,000/s) need no more entries than the first window.

    ::

        entries      ______________________________
                    /                               \\
        0 _________/                                 \\_ 0, when W has passed the last use
                   one window
    """
    join, store = JOINS[name], MemoryStore()
    found = list(sizes(join, store))
    full = max(found[: REACH // STEP])
    assert full > 0
    assert max(found[REACH // STEP :]) <= full * 1.2
    join.on_watermark(store, LENGTH + REACH)
    assert {} == store.dump()
    assert join.next_deadline(store) is None


class Counting(Store):
    """A store that counts the entries which are read and written through it."""

    def __init__(self) -> None:
        self.inner = MemoryStore()
        self.touched: Counter[str] = Counter()

    def get(self, key: Key) -> Any | None:
        """One entry."""
        self.touched["get"] += 1
        return self.inner.get(key)

    def put(self, key: Key, value: Any, due: int | None = None) -> None:
        """One entry."""
        self.touched["put"] += 1
        self.inner.put(key, value, due)

    def delete(self, key: Key) -> None:
        """One entry."""
        self.touched["delete"] += 1
        self.inner.delete(key)

    def scan(
        self, prefix: Key, low: Key | None = None, high: Key | None = None, reverse: bool = False
    ) -> Iterator[tuple[Key, Any]]:
        """Each entry as it is taken."""
        for item in self.inner.scan(prefix, low, high, reverse):
            self.touched["scan"] += 1
            yield item

    def due(self, table: str, low: int | None = None, high: int | None = None) -> list[Key]:
        """Each key that is found."""
        found = self.inner.due(table, low, high)
        self.touched["due"] += len(found)
        return found

    def next_due(self, table: str, low: int | None = None) -> int | None:
        """One entry."""
        self.touched["next_due"] += 1
        return self.inner.next_due(table, low)

    def between(self, prefix: Key, low: Key | None = None, high: Key | None = None) -> list[Any]:
        """Each value that is found."""
        found = self.inner.between(prefix, low, high)
        self.touched["between"] += len(found)
        return found

    def last(self, prefix: Key, low: Key | None = None, high: Key | None = None) -> Any | None:
        """One entry."""
        self.touched["last"] += 1
        return self.inner.last(prefix, low, high)


HOT: dict[str, Join] = {
    "inner": IntervalJoin(before=2, after=2, **COMMON),
    "left": IntervalJoin(before=2, after=2, kind="left", **COMMON),
    "left eager": IntervalJoin(before=2, after=2, kind="left", emit="eager", **COMMON),
    "semi": IntervalJoin(before=2, after=2, kind="semi", **COMMON),
    "product": WindowJoin(windows=Tumbling(size=4), mode="product", kind="left", **COMMON),
    "as-of": AsOfJoin(tolerance=4, kind="left", **COMMON),
    "as-of eager": AsOfJoin(tolerance=4, kind="left", emit="eager", **COMMON),
    "lookup": LookupJoin(horizon=4, kind="left", emit="eager", **COMMON),
    "n-way": NWayJoin(driver="left", sides={"right": AsOf(tolerance=4)}, **COMMON),
}
"""Joins in which an event has few partners, however many its key has."""


def touched(join: Join, events: int, keys: int, live: int) -> float:
    """Entries touched for each event, with ``live`` events standing before they are counted."""
    store = Counting()
    for number in range(live + events):
        if number == live:
            store.touched.clear()
        key = f"k{number % keys}"
        for side in join.sides:
            event = Event(f"{side}{number}", key, number, "assert", {"n": number})
            join.on_batch(store, side, [event], number - 2)
        if number % 100 == 0:
            join.on_watermark(store, number - 2)
    return store.touched.total() / events


@pytest.mark.parametrize("name", HOT)
def test_a_hot_key_touches_no_more_entries_for_an_event(name: str) -> None:
    """One key with all live events costs each of them what a thousand keys cost, and its matches.

    Counted in entries read, written and found: time would depend on the machine.
    """
    live = 8000
    hot = touched(HOT[name], 500, 1, live)
    cold = touched(HOT[name], 500, 1000, live)
    assert hot <= cold + 3 * 8  # eight touches for each of the partners, of which there are three


@pytest.mark.parametrize("name", ["inner", "as-of", "lookup"])
def test_an_input_is_one_record_of_the_changelog(name: str) -> None:
    """An event with its expiry is one entry: no index, timer or mark is written beside it."""
    join, store = JOINS[name], TaskStore()
    scope = store.scope("j")
    for side in join.sides:
        join.on_batch(scope, side, [Event(side, "k", 10, "assert", {"n": 1})], -100)
    taken = [record for changes in store.take_changes() for record in encode_changes(changes)]
    assert 2 == len(taken) == len(scope)


def test_what_came_and_went_between_two_checkpoints_is_not_written() -> None:
    """A timer that was set and met needs no record; a tombstone is for what the log knows."""
    store = TaskStore()
    scope = store.scope("j")
    scope.put(("t", 1), 1, 5)
    scope.put(("t", 2), 1, 5)
    scope.delete(("t", 1))
    assert [(("t", 2), 1)] == [(k, v) for c in store.take_changes() for k, v, _ in c.entries]
    scope.delete(("t", 2))
    assert [(("t", 2), None)] == [(k, v) for c in store.take_changes() for k, v, _ in c.entries]


def test_the_plain_forms_of_a_store_say_what_the_quick_ones_say() -> None:
    """``next_due``, ``between`` and ``last`` follow from ``scan`` and ``due``."""
    random, store = Random(2), MemoryStore()
    for number in range(60):
        ts = random.randrange(-300, 300)
        store.put(("s", "ab"[number % 2], ts, number), number, ts * 7)
    bounds = [None, -2200, -300, -7, 0, 7, 300, POS_INF]
    assert [Store.next_due(store, "s", low) for low in bounds] == [
        store.next_due("s", low) for low in bounds
    ]
    ranges = [((low,), (high,)) for low in (-200, 0, 50) for high in (-100, 0, 200)]
    for low, high in ranges:
        assert Store.between(store, ("s", "a"), low, high) == store.between(("s", "a"), low, high)
        assert Store.last(store, ("s", "b"), low, high) == store.last(("s", "b"), low, high)
