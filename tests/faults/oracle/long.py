"""The same comparison for an input that does not fit into memory: sums of digests for sets.

For inputs that are in order and have nothing to withdraw, put aside or repeat.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from tests.faults.inputs import NEAR_MS, ORDERS, PARTITIONS, VISITS, WINDOW_MS, Record
from tests.faults.oracle.reading import Row, Topics
from tests.faults.oracle.truth import ENDED
from tests.faults.oracle.verdict import Verdict

_BITS = (1 << 64) - 1
FIELDS = {
    "fault.tallies": ("order", "account", "shop", "amount_sat", "n", "sum_sat"),
    "fault.met": ("order", "visit"),
}


class Bag:
    """How many things there are, and the sum of their digests: equal for equal multisets."""

    def __init__(self) -> None:
        self.count, self.digest = 0, 0

    def add(self, *thing: Any) -> None:
        """Put one in."""
        self.count += 1
        self.digest = self.digest + hash(thing) & _BITS

    def compare(self, verdict: Verdict, name: str, found: Bag) -> None:
        """Note what is amiss; what is lost and what is doubled may hide each other as wrong."""
        verdict.checked[name] += self.count
        missing = self.count - found.count
        for kind, number in (("lost", missing), ("doubled", -missing)):
            if number > 0:
                verdict.counts[kind] += number
                verdict.examples[kind].append(f"{name}: {found.count} of {self.count}")
        if not missing and found.digest != self.digest:
            verdict.note("wrong", f"{name}: as many as there must be, but not the same")


class Long:
    """The truth of a long input, taken in as it is read."""

    def __init__(self) -> None:
        self.tallies, self.met, self.shops = Bag(), Bag(), Bag()
        self.windows: dict[tuple[str, int], tuple[int, int]] = {}
        self.state: dict[str, tuple[int, int]] = {}
        self.keys: defaultdict[tuple[str, str], int] = defaultdict(int)
        """By topic and key, a digest of its records in order."""
        self.events = 0

    def read(self, topics: Topics) -> None:
        """Take the whole input in, partition by partition."""
        for partition in range(PARTITIONS):
            visits: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
            for row in topics.each(VISITS, partition):
                self._note(row)
                visits[row.key].append((row.ts, row.id))
            for row in topics.each(ORDERS, partition):
                self._note(row)
                self._order(row, visits[row.key])

    def _note(self, row: Row) -> None:
        place = (row.topic, row.key)
        told = (row.id, row.ts, str(row.value))
        self.keys[place] = hash((self.keys[place], *told))
        self.events += 1

    def _order(self, row: Row, visits: list[tuple[int, str]]) -> None:
        value: Any = row.value
        shop, amount = value["shop"], value["amount_sat"]
        n, total = self.state.get(row.key, (0, 0))
        self.state[row.key] = n, total = n + 1, total + amount
        self.tallies.add(row.id, row.key, shop, amount, n, total)
        self.shops.add(row.id, shop, amount)
        low = bisect_left(visits, (row.ts - NEAR_MS, ""))
        for _, visit in visits[low : bisect_right(visits, (row.ts + NEAR_MS, "~"))]:
            self.met.add(row.id, visit)
        if shop != ENDED:
            place = (shop, row.ts - row.ts % WINDOW_MS + WINDOW_MS)
            n, total = self.windows.get(place, (0, 0))
            self.windows[place] = n + 1, total + amount

    def unlike(self, written: Iterable[Record]) -> list[str]:
        """How the input differs from what was to be written."""
        keys: defaultdict[tuple[str, str], int] = defaultdict(int)
        for record in written:
            place = (record.topic, record.key)
            keys[place] = hash((keys[place], record.id, record.ts, str(record.value)))
        return [
            f"{topic} of {key}" for topic, key in keys if keys[topic, key] != self.keys[topic, key]
        ]


def judge_long(verdict: Verdict, truth: Long, topics: Topics) -> None:
    """Every output topic; what is withdrawn counts as doubled, since nothing is to be."""
    found: dict[str, Bag] = {}
    for topic, fields in FIELDS.items():
        bag = found[topic] = Bag()
        for partition in range(PARTITIONS):
            for _, value in topics.values(topic, partition):
                bag.add(*map(value.get, fields))
    truth.tallies.compare(verdict, "tallies", found["fault.tallies"])
    truth.met.compare(verdict, "met", found["fault.met"])
    shops, windows = Bag(), []
    state: defaultdict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for partition in range(PARTITIONS):
        for offset, v in topics.values("fault.shop_tallies", partition):
            shop, amount = v["shop"], v["amount_sat"]
            shops.add(v["order"], shop, amount)
            n, total = state[shop]
            state[shop] = v["n"], v["sum_sat"]
            if state[shop] != (n + 1, total + amount):
                verdict.note("wrong", f"shop_tallies {partition}/{offset}: {v} after {n, total}")
        for _, v in topics.values("fault.shop_windows", partition):
            windows.append(((v["shop"], v["window_end_ts"]), (v["n"], v["sum_sat"])))
    truth.shops.compare(verdict, "shop_tallies", shops)
    verdict.contents("shop_windows", truth.windows, windows)
