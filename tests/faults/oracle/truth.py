"""What the words of the job say must come of an input, computed straight from its records."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from tests.faults.inputs import FUTURE_MS, LATENESS_MS, NEAR_MS, ORDERS, VISITS, WINDOW_MS, Record
from tests.faults.oracle.reading import Row

Place = tuple[str, int, int]
"""Topic, partition, offset."""
ENDED = "end"
"""The shop of the orders that end the input: their windows stay open."""


class Truth(NamedTuple):
    """All that must be found."""

    tallies: dict[str, tuple[Any, ...]]
    """By order: account, shop, amount, number, sum."""
    met: set[tuple[str, str]]
    """Orders with visits."""
    shops: dict[str, tuple[str, int]]
    """By order: shop and amount; the numbers are those of the order in which they came."""
    windows: dict[tuple[str, int], tuple[int, int]]
    """By shop and end: number and sum."""
    state: dict[str, tuple[int, int]]
    """By account: number and sum."""
    dead: set[Place]
    late: set[Place]


def truth_of(rows: Iterable[Row], retract_grace_ms: int) -> Truth:
    """The truth of an input, from its records in the order of their partitions."""
    sifted = Sifted(retract_grace_ms)
    live: dict[str, Row] = {}
    tallies: dict[str, tuple[Any, ...]] = {}
    state: dict[str, tuple[int, int]] = {}
    for row in rows:
        if sifted.refuses(row):
            continue
        if row.op == "assert" and row.id not in live:
            live[row.id] = row
        elif row.op == "retract" and row.id in live:
            del live[row.id]
        else:
            continue
        if row.topic == ORDERS:
            _count(row, tallies, state)
    orders = [row for row in live.values() if row.topic == ORDERS]
    shops = {row.id: (_of(row)["shop"], _of(row)["amount_sat"]) for row in orders}
    visits = [row for row in live.values() if row.topic == VISITS]
    kept = {account: sums for account, sums in state.items() if sums != (0, 0)}
    return Truth(
        tallies, _met(orders, visits), shops, _windows(orders), kept, sifted.dead, sifted.late
    )


class Sifted:
    """Tells which records are no part of it, as the job's promise has it (late, future, bad)."""

    def __init__(self, retract_grace_ms: int) -> None:
        self.grace = retract_grace_ms
        self.seen: dict[tuple[str, int], int] = {}
        """By partition, the greatest time of the records that count (ms)."""
        self.dead, self.late = set[Place](), set[Place]()

    def refuses(self, row: Row) -> bool:
        """Whether a record has no effect, and is put aside instead."""
        place, partition = (row.topic, row.partition, row.offset), (row.topic, row.partition)
        watermark = self.seen.get(partition, -(1 << 62)) - LATENESS_MS
        grace = self.grace if row.correction or row.op == "retract" else 0
        if row.value is None or row.value.get("amount_sat", 0) < 0:
            self.dead.add(place)
        elif row.ts < watermark - grace:
            self.late.add(place)
        elif row.ts - row.ingest > FUTURE_MS:
            self.dead.add(place)
        else:
            self.seen[partition] = max(self.seen.get(partition, row.ts), row.ts)
            return False
        return True


def _count(
    row: Row, tallies: dict[str, tuple[Any, ...]], state: dict[str, tuple[int, int]]
) -> None:
    value = _of(row)
    (n, total), amount = state.get(row.key, (0, 0)), value["amount_sat"]
    sign = 1 if row.op == "assert" else -1
    state[row.key] = n, total = n + sign, total + sign * amount
    if sign > 0:
        tallies[row.id] = (value["account"], value["shop"], amount, n, total)
    else:
        del tallies[row.id]


def _met(orders: list[Row], visits: list[Row]) -> set[tuple[str, str]]:
    """All pairs of one account whose times are near."""
    by_account: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for visit in visits:
        by_account[visit.key].append((visit.ts, visit.id))
    for known in by_account.values():
        known.sort()
    pairs = set()
    for row in orders:
        known = by_account[row.key]
        low = bisect_left(known, (row.ts - NEAR_MS, ""))
        high = bisect_right(known, (row.ts + NEAR_MS, "~"))
        pairs |= {(row.id, visit) for _, visit in known[low:high]}
    return pairs


def _windows(orders: list[Row]) -> dict[tuple[str, int], tuple[int, int]]:
    found: defaultdict[tuple[str, int], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for row in orders:
        value = _of(row)
        if value["shop"] != ENDED:
            place = (value["shop"], row.ts - row.ts % WINDOW_MS + WINDOW_MS)
            n, total = found[place]
            found[place] = (n + 1, total + value["amount_sat"])
    return dict(found)


def _of(row: Row) -> dict[str, Any]:
    assert row.value is not None
    return row.value


def unlike(written: list[Record], rows: list[Row]) -> list[str]:
    """How an input topic differs from what was to be written: key by key, in order."""
    expected: defaultdict[tuple[str, str], list[tuple[Any, ...]]] = defaultdict(list)
    found: defaultdict[tuple[str, str], list[tuple[Any, ...]]] = defaultdict(list)
    for record in written:
        told = (record.id, record.op, record.ts, record.value)
        expected[record.topic, record.key].append(told)
    for row in rows:
        found[row.topic, row.key].append((row.id, row.op, row.ts, row.value))
    return [
        f"{topic} of {key}: {len(found[topic, key])} of {len(expected[topic, key])} records"
        for topic, key in sorted(expected.keys() | found.keys())
        if expected[topic, key] != found[topic, key]
    ]
