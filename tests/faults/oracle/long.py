"""The same comparison for an input that does not fit into memory: sums of digests for sets.

For inputs that are in order and have nothing to withdraw, put aside or repeat.
"""

from __future__ import annotations

import marshal
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Any
from zlib import crc32

from tests.faults.inputs import NEAR_MS, ORDERS, PARTITIONS, VISITS, WINDOW_MS, Shape, written
from tests.faults.oracle.reading import Row, Topics
from tests.faults.oracle.truth import ENDED, Truth
from tests.faults.oracle.verdict import Verdict

FIELDS = {
    "fault.tallies": ("order", "account", "shop", "amount_sat", "n", "sum_sat"),
    "fault.met": ("order", "visit"),
}


def digest(thing: Any, before: int = 0) -> int:
    """The same in every process, which ``hash`` is not; 32 bits."""
    return crc32(marshal.dumps(thing, 0), before)


def digests(shape: Shape) -> dict[tuple[str, str], int]:
    """By topic and key, a digest of the records of an input in order."""
    keys: defaultdict[tuple[str, str], int] = defaultdict(int)
    for record in written(shape):
        place = (record.topic, record.key)
        keys[place] = digest((record.id, record.ts, record.value), keys[place])
    return dict(keys)


class Bag:
    """How many things there are, and the sum of their digests: equal for equal multisets."""

    def __init__(self, count: int = 0, digests: int = 0) -> None:
        self.count, self.digests = count, digests

    def add(self, thing: Any) -> None:
        """Put one in."""
        self.count += 1
        self.digests += digest(thing)

    def joined(self, other: Bag) -> Bag:
        """Both together."""
        return Bag(self.count + other.count, self.digests + other.digests)

    def compare(self, verdict: Verdict, name: str, found: Bag) -> None:
        """Note what is amiss; what is lost and what is doubled may hide each other as wrong."""
        verdict.checked[name] += self.count
        missing = self.count - found.count
        for kind, number in (("lost", missing), ("doubled", -missing)):
            if number > 0:
                verdict.counts[kind] += number
                verdict.examples[kind].append(f"{name}: {found.count} of {self.count}")
        if not missing and found.digests != self.digests:
            verdict.note("wrong", f"{name}: as many as there must be, but not the same")


class Long:
    """The truth of a long input, taken in as it is read."""

    def __init__(self) -> None:
        self.tallies, self.met, self.shops = Bag(), Bag(), Bag()
        self.windows: dict[tuple[str, int], tuple[int, int]] = {}
        self.keys: dict[tuple[str, str], int] = {}
        """By topic and key, a digest of its records in order."""
        self.state: dict[str, tuple[int, int]] = {}
        """By account: number and sum, in the end."""
        self.events = 0

    def read(self, topics: Topics, partitions: Iterable[int] = range(PARTITIONS)) -> None:
        """Take the input in, partition by partition."""
        for partition in partitions:
            visits: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
            for row in topics.each(VISITS, partition):
                self._note(row)
                visits[row.key].append((row.ts, row.id))
            for row in topics.each(ORDERS, partition):
                self._note(row)
                self._order(row, visits[row.key])

    def _note(self, row: Row) -> None:
        place = (row.topic, row.key)
        self.keys[place] = digest((row.id, row.ts, row.value), self.keys.get(place, 0))
        self.events += 1

    def _order(self, row: Row, visits: list[tuple[int, str]]) -> None:
        value: Any = row.value
        shop, amount = value["shop"], value["amount_sat"]
        n, total = self.state.get(row.key, (0, 0))
        self.state[row.key] = n, total = n + 1, total + amount
        self.tallies.add((row.id, row.key, shop, amount, n, total))
        self.shops.add((row.id, shop, amount))
        low = bisect_left(visits, (row.ts - NEAR_MS, ""))
        for _, visit in visits[low : bisect_right(visits, (row.ts + NEAR_MS, "~"))]:
            self.met.add((row.id, visit))
        if shop != ENDED:
            place = (shop, row.ts - row.ts % WINDOW_MS + WINDOW_MS)
            n, total = self.windows.get(place, (0, 0))
            self.windows[place] = n + 1, total + amount

    def joined(self, other: Long) -> Long:
        """The truth of both, of other partitions."""
        both = Long()
        both.tallies = self.tallies.joined(other.tallies)
        both.met, both.shops = self.met.joined(other.met), self.shops.joined(other.shops)
        both.windows, both.keys = dict(self.windows), {**self.keys, **other.keys}
        for place, (n, total) in other.windows.items():
            before = both.windows.get(place, (0, 0))
            both.windows[place] = before[0] + n, before[1] + total
        both.state = {**self.state, **other.state}
        both.events = self.events + other.events
        return both

    @property
    def rest(self) -> Truth:
        """What of it fits into memory: the state, and that nothing is put aside."""
        return Truth({}, set(), {}, {}, self.state, set(), set())

    def unlike(self, expected: Mapping[tuple[str, str], int]) -> list[str]:
        """How the input differs from what was to be written."""
        keys = sorted(expected.keys() | self.keys.keys())
        return [
            f"{topic} of {key}"
            for topic, key in keys
            if expected.get((topic, key)) != self.keys.get((topic, key))
        ]


class Found:
    """What the output topics hold; what is withdrawn counts as doubled, since nothing is to be."""

    def __init__(self) -> None:
        self.tallies, self.met, self.shops = Bag(), Bag(), Bag()
        self.windows: list[tuple[tuple[str, int], tuple[int, int]]] = []
        self.verdict = Verdict()
        """What does not follow from what was before it."""

    def read(self, topics: Topics, partitions: Iterable[int] = range(PARTITIONS)) -> None:
        """Take the outputs in, partition by partition."""
        for partition in partitions:
            for topic, bag in (("fault.tallies", self.tallies), ("fault.met", self.met)):
                fields = itemgetter(*FIELDS[topic])
                for _, value in topics.values(topic, partition):
                    bag.add(fields(value))
            self._chain(topics, partition)
            for _, v in topics.values("fault.shop_windows", partition):
                self.windows.append(((v["shop"], v["window_end_ts"]), (v["n"], v["sum_sat"])))

    def _chain(self, topics: Topics, partition: int) -> None:
        state: defaultdict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
        for offset, v in topics.values("fault.shop_tallies", partition):
            shop, amount = v["shop"], v["amount_sat"]
            self.shops.add((v["order"], shop, amount))
            n, total = state[shop]
            state[shop] = v["n"], v["sum_sat"]
            if state[shop] != (n + 1, total + amount):
                words = f"shop_tallies {partition}/{offset}: {v} after {n, total}"
                self.verdict.note("wrong", words)

    def joined(self, other: Found) -> Found:
        """What both found, in other partitions."""
        both = Found()
        both.tallies = self.tallies.joined(other.tallies)
        both.met, both.shops = self.met.joined(other.met), self.shops.joined(other.shops)
        both.windows = [*self.windows, *other.windows]
        both.verdict.join(self.verdict).join(other.verdict)
        return both


def judge_long(
    verdict: Verdict, truth: Long, found: Found, windows: Iterable[tuple[Any, ...]]
) -> None:
    """Every output topic, and the rows of windows; state and what is put aside fit into memory."""
    truth.tallies.compare(verdict, "tallies", found.tallies)
    truth.met.compare(verdict, "met", found.met)
    truth.shops.compare(verdict, "shop_tallies", found.shops)
    verdict.contents("shop_windows", truth.windows, found.windows)
    verdict.contents("sink windows", truth.windows, [(row[:2], row[2:]) for row in windows])
    verdict.join(found.verdict)
