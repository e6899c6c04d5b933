"""Interval join: events of two sides that are near each other in time.

::

    before = 5, after = 10
                        l.ts
          |--------------|----------------------------|
      l.ts - 5                                    l.ts + 10
          [ every r of the key in here is a partner of l ]

    left, final:   "l has no partner" is certain when  W - grace > l.ts + 10

>>> from joins import Arrival, Event, IntervalJoin, run
>>> def event(id, ts):
...     return Event(id=id, key="k", ts=ts, op="assert", value=id)
>>> join = IntervalJoin(before=5, after=10, kind="left")
>>> arrivals = [
...     Arrival("left", 0, event("l1", 100)),
...     Arrival("right", 0, event("r1", 110)),
...     Arrival("left", 0, event("l2", 130)),
... ]
>>> for outcome in run(join, arrivals):
...     print(type(outcome).__name__, outcome.ts)
Matched 110
Unmatched 130
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from joins.errors import JoinError
from joins.pairs import PairJoin
from joins.slot import Slot


@dataclass(frozen=True, kw_only=True)
class IntervalJoin(PairJoin):
    """All pairs with ``l.ts - before <= r.ts <= l.ts + after`` (ms, both ends included).

    Either may be negative as long as the interval is not empty: ``before=-1, after=10`` pairs only
    with later events.
    """

    word: ClassVar[str] = "interval"

    before: int
    after: int

    def _check(self) -> None:
        if self.before + self.after < 0:
            raise JoinError(f"no time lies in [-({self.before}), {self.after}]: swap or widen it")
        super()._check()

    @property
    def reach(self) -> int:
        """An unmatched partner may lie this far below the correction that unmatches it."""
        return max(self.before, self.after, 0)

    @property
    def outlived(self) -> bool:
        """A right event may be gone while its left partner still waits, and the other way."""
        return True

    def slots(self, side: str, ts: int) -> list[Slot]:
        """One: ``[-before, after]`` around a left event, mirrored around a right one."""
        return [self.slot_of(side, ts)]

    def slot_of(self, side: str, ts: int) -> Slot:
        """The one."""
        if side == self.sides[0]:
            return Slot(0, ts - self.before, ts + self.after)
        return Slot(0, ts - self.after, ts + self.before)

    def facing(self, slot: Slot, side: str, ts: int) -> Slot:
        """The partner's own interval."""
        return self.slot_of(side, ts)

    def _last_use(self, side: str, ts: int) -> int:
        return self.slot_of(side, ts).high

    def _span(self, side: str) -> int:
        return self._deadline(side, self.slot_of(side, 0))
