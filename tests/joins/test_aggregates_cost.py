"""What windows cost, hot or cold: in entries that are read and written, without a clock."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from join_cases import EMITS
from join_windows import HOT, events, gone, standing

from joins import (
    Count,
    Event,
    Hopping,
    Join,
    MemoryStore,
    Min,
    Quantiles,
    Session,
    Sum,
    Tumbling,
    Variance,
    WindowAggregate,
    WindowJoin,
)
from joins.state import Key


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
