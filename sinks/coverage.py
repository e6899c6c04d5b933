"""Which offsets a file already holds, so that a repeated batch adds nothing to it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

from sinks.base import SinkRecord

Place = tuple[str, int]
"""(topic, partition)"""

Range = tuple[int, int]
"""First offset, and the one after the last."""

MOST_RANGES = 10_000
"""Ranges kept for a place: each transaction marker in a partition ends one."""
OPEN_RANGES = 5_000
"""The highest ranges, whose gaps may be records under way: no batch makes more of them."""


class Coverage:
    """Half-open ranges of offsets for each (topic, partition).

    >>> held = Coverage()
    >>> held.add(("t", 0), 10, 20)
    >>> held.holds(("t", 0), 19), held.holds(("t", 0), 20), held.positions()
    (True, False, {('t', 0): 20})
    """

    def __init__(self) -> None:
        self._ranges: dict[Place, list[Range]] = {}

    def holds(self, place: Place, offset: int) -> bool:
        """Whether ``offset`` lies in a range."""
        ranges = self._ranges.get(place, [])
        at = bisect_right(ranges, (offset, _LAST)) - 1
        return at >= 0 and offset < ranges[at][1]

    def add(self, place: Place, first: int, end: int) -> None:
        """Cover ``[first, end)``."""
        ranges = self._ranges.setdefault(place, [])
        at = bisect_right(ranges, (first, _LAST))
        if at and ranges[at - 1][1] >= first:
            at -= 1
            first = ranges[at][0]
        upto = at
        while upto < len(ranges) and ranges[upto][0] <= end:
            end = max(end, ranges[upto][1])
            upto += 1
        ranges[at:upto] = [(first, end)]
        if len(ranges) > MOST_RANGES:
            self._ranges[place] = thinned(ranges)

    def ranges(self, place: Place) -> list[Range]:
        """Return the ranges of a place, lowest first."""
        return list(self._ranges.get(place, []))

    def fresh(self, records: Sequence[SinkRecord]) -> dict[Place, list[SinkRecord]]:
        """Return the records that are not covered, once each and in offset order, by place."""
        found: dict[Place, dict[int, SinkRecord]] = {}
        for record in records:
            place = (record.topic, record.partition)
            if not self.holds(place, record.offset):
                found.setdefault(place, {})[record.offset] = record
        return {place: [rows[offset] for offset in sorted(rows)] for place, rows in found.items()}

    def positions(self) -> dict[Place, int]:
        """Return the end of the highest range, by place."""
        return {place: ranges[-1][1] for place, ranges in self._ranges.items()}


def thinned(ranges: Sequence[Range]) -> list[Range]:
    """Return three quarters of ``MOST_RANGES`` ranges, with the narrowest of the old gaps filled.

    The narrow gaps are transaction markers, which never become records; the wide ones, which a
    replay may still fill, stay. So does every gap between the ``OPEN_RANGES`` highest ranges: a
    batch that goes out in several lanes leaves gaps of records that are still to be delivered.

    >>> thinned([(0, 4), (5, 9), (1000, 1001)])
    [(0, 4), (5, 9), (1000, 1001)]
    """
    old = ranges[: max(0, len(ranges) - OPEN_RANGES)]
    gaps = sorted((b[0] - a[1], b[0]) for a, b in pairwise(old))
    filled = {start for _, start in gaps[: max(0, len(ranges) - MOST_RANGES * 3 // 4)]}
    kept: list[Range] = []
    for first, end in ranges:
        if first in filled:
            kept[-1] = (kept[-1][0], end)
        else:
            kept.append((first, end))
    return kept


_LAST = 1 << 64
"""Above every offset."""
