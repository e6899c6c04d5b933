"""What the joins of the bench must give, straight from their definition; no code of ours.

Rows: ``(l, r)`` for interval, as-of and lookup, the numbers of the two events, r None where there
is none; ``(key, start, count, sum)`` for the windowed count and sum; ``(key, start, a, b, c)`` with
a tuple of numbers a side for the group. Every row is there once.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import msgspec

from bench.harness.feeds import Fact

Row = Hashable
Side = dict[str, list[tuple[int, int]]]
"""Key to its events (ts, n), in the order of time."""
SIZE_MS = 10_000
"""Interval to both sides, tolerance, window."""


class Difference(msgspec.Struct, frozen=True):
    """How an output differs from a definition, in rows."""

    missing: int
    extra: int
    doubled: int

    @property
    def wrong(self) -> int:
        """All of them."""
        return self.missing + self.extra + self.doubled


def difference(truth: set[Row], found: Mapping[Row, int]) -> Difference:
    """Rows that are not there, that should not be there, and that are there more than once.

    >>> difference({1, 2}, {2: 2, 3: 1})
    Difference(missing=1, extra=1, doubled=1)
    """
    there = {row: count for row, count in found.items() if count > 0}
    extra = sum(count for row, count in there.items() if row not in truth)
    doubled = sum(count - 1 for row, count in there.items() if row in truth)
    return Difference(len(truth - there.keys()), extra, doubled)


def by_side(facts: Iterable[Fact]) -> dict[str, Side]:
    """Events by side and key, in the order of time; the last ones of the input left out."""
    found: dict[str, Side] = defaultdict(lambda: defaultdict(list))
    for fact in facts:
        if fact.n >= 0:
            found[fact.side][fact.key].append((fact.ts, fact.n))
    for side in found.values():
        for events in side.values():
            events.sort()
    return found


def interval(sides: Mapping[str, Side], left: bool = False) -> set[Row]:
    """All pairs at most ``SIZE_MS`` apart; ``left``: and each l that is in none."""
    rows: set[Row] = set()
    for key, events in sides["left"].items():
        others = sides["right"].get(key, [])
        for ts, n in events:
            low = bisect_left(others, (ts - SIZE_MS,))
            partners = others[low : bisect_left(others, (ts + SIZE_MS + 1,))]
            rows.update((n, r) for _, r in partners)
            if left and not partners:
                rows.add((n, None))
    return rows


def asof(sides: Mapping[str, Side], tolerance: int | None = SIZE_MS, left: bool = True) -> set[Row]:
    """Each l with the newest r that is not younger; at most ``tolerance`` older where there is one.

    This is the lookup, too: there is no ``valid_to`` in the input.
    """
    rows: set[Row] = set()
    for key, events in sides["left"].items():
        others = sides["right"].get(key, [])
        for ts, n in events:
            at = bisect_right(others, (ts, float("inf"))) - 1
            fits = at >= 0 and (tolerance is None or others[at][0] >= ts - tolerance)
            if fits or left:
                rows.add((n, others[at][1] if fits else None))
    return rows


def totals(side: Side) -> set[Row]:
    """Count and sum of each key's tumbling windows."""
    rows: set[Row] = set()
    for key, events in side.items():
        for start, numbers in _windows(events).items():
            rows.add((key, start, len(numbers), sum(numbers)))
    return rows


def group(sides: Mapping[str, Side]) -> set[Row]:
    """The events of every side in each key's tumbling windows."""
    found: dict[tuple[str, int], dict[str, tuple[int, ...]]] = defaultdict(dict)
    for name, side in sides.items():
        for key, events in side.items():
            for start, numbers in _windows(events).items():
                found[key, start][name] = tuple(numbers)
    return {
        (key, start, *(members.get(name, ()) for name in "abc"))
        for (key, start), members in found.items()
    }


def window_product(sides: Mapping[str, Side], left: bool = False) -> set[Row]:
    """What a join by tumbling windows gives: all pairs in the same window, not those across two."""
    rows: set[Row] = set()
    for key, events in sides["left"].items():
        others = _windows(sides["right"].get(key, []))
        for ts, n in events:
            partners = others.get(ts - ts % SIZE_MS, [])
            rows.update((n, r) for r in partners)
            if left and not partners:
                rows.add((n, None))
    return rows


def _windows(events: Iterable[tuple[int, int]]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for ts, n in events:
        found[ts - ts % SIZE_MS].append(n)
    return found


def counted(rows: Iterable[Any]) -> Counter[Row]:
    """Rows as an output topic has them: lists become tuples, what belongs to no event is left out.

    >>> counted([[1, 2], [1, 2], [-1, -1], ["k1", 0, [3], [], []], ["~0", 0, 1, -1]])
    Counter({(1, 2): 2, ('k1', 0, (3,), (), ()): 1})
    """
    return Counter(_row(row) for row in rows if not _is_end(row[0]))


def _is_end(first: str | int) -> bool:
    return first.startswith("~") if isinstance(first, str) else first < 0


def _row(row: Iterable[Any]) -> Row:
    return tuple(tuple(part) if isinstance(part, list) else part for part in row)
