"""Aggregates of hopping windows that are said when they close, from panes.

::

    size 10, advance 5:   [0 ....... 10)            panes of 5: the greatest size that cuts no
                               [5 ....... 15)       window; a window is two of them, merged
                               [  pane  )

An event is counted in one pane however many windows it is in, so it is one entry of state; a
window's panes are merged when it closes. (``eager`` says each window at each change, so there each
has a tally of its own.) State: ``("/windows", key, start)``, the tally of a pane, due when the last
window over it is forgotten; ``("/", "t", due)`` as of ``FixedAggregate``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from math import gcd

from joins.aggregate_windows import WINDOWS, FixedAggregate, Touched, Work, turned
from joins.outcome import Outcome, Row
from joins.state import Store
from joins.windows import Hopping


@dataclass(frozen=True, kw_only=True)
class PaneAggregate(FixedAggregate):
    """Aggregates over hopping windows that overlap, ``final``: a tally a pane."""

    windows: Hopping

    @cached_property
    def _pane(self) -> int:
        return gcd(self.windows.size, self.windows.advance)

    @cached_property
    def _lazy(self) -> bool:
        """An event is in many windows: they share what is counted once."""
        return False

    def _starts(self, ts: int) -> Iterable[int]:
        return (ts // self._pane * self._pane,)

    def _windows_over(self, start: int) -> Iterable[int]:
        return self.windows.starts(start)

    def _forgotten(self, start: int) -> int:
        return self.windows.last_end(start) + self.undo_grace

    def _touch(self, store: Store, place: tuple[str, int], watermark: int, work: Work) -> Touched:
        key, pane = place
        for start in self._windows_over(pane):
            if self._seen(start, watermark) and (key, start) not in work.before:
                work.before[key, start] = self._merged(store, key, start)
        known = store.get((WINDOWS, *place))
        tally = self._tallies.zero() if known is None else self._tallies.own(known)
        return Touched(tally, known is not None)

    def _settle(self, store: Store, work: Work, watermark: int) -> list[Outcome]:
        self._keep(store, work, watermark)
        said: list[Outcome] = []
        for (key, start), before in work.before.items():
            panes = range(start, start + self.windows.size, self._pane)
            touched = [work.tallies[key, pane] for pane in panes if (key, pane) in work.tallies]
            corrects = any(tally.corrects for tally in touched)
            said += turned(before, self._merged(store, key, start), corrects)
        return said

    def _merged(self, store: Store, key: str, start: int) -> Row | None:
        """What a window has to say, from its panes."""
        panes = store.between((WINDOWS, key), (start,), (start + self.windows.size,))
        if not panes:
            return None
        tally = self._tallies.own(panes[0])
        for pane in panes[1:]:
            tally = self._tallies.merge(tally, pane)
        return self._said(store, key, start, tally)

    def _closing(self, store: Store, start: int) -> Iterator[Row]:
        last = start + self.windows.size - self._pane
        places = store.due(WINDOWS, self._forgotten(start), self._forgotten(last) + 1)
        for key in dict.fromkeys(str(place[1]) for place in places):
            row = self._merged(store, key, start)
            if row is not None:
                yield row
