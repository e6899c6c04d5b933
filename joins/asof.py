"""As-of join: each left event with the last right event before it.

::

    tolerance = 20
    right:   r1 (10)        r2 (30)
    left:            l1 (25)        l2 (40)       l3 (90)
    result:          l1 x r1        l2 x r2       l3 has none: r2 is more than 20 back

``final``: certain when ``W - grace > l.ts``, since any r that could still come lies after l.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from joins.choice import ChoiceJoin
from joins.errors import JoinError
from joins.liveness import Change
from joins.state import Store
from schemas.envelope import Event


@dataclass(frozen=True, kw_only=True)
class AsOfJoin(ChoiceJoin):
    """Each l with the r of greatest (ts, id) that has ``l.ts - tolerance <= r.ts <= l.ts`` (ms)."""

    word: ClassVar[str] = "asof"

    tolerance: int

    def _check(self) -> None:
        super()._check()
        if self.tolerance < 0:
            raise JoinError(f"tolerance is a number of ms from 0, not {self.tolerance}")

    @property
    def reach(self) -> int:
        """A right event serves only later left events."""
        return 0

    def best(self, store: Store, key: str, ts: int) -> Event | None:
        """The last right event in ``[ts - tolerance, ts]``."""
        right = (*self.prefix, "e", key, self.sides[1])
        found = store.scan(right, (ts - self.tolerance,), (ts + 1,), reverse=True)
        return next((event for _, event in found), None)

    def _choosers(self, store: Store, change: Change) -> Iterator[Event]:
        """Left events from this right event up to the next one."""
        event = change.event
        low, high = event.ts, event.ts + self.tolerance
        for other in self._events(store, event.key, self.sides[1], low, high):
            if (other.ts, other.id) > (event.ts, event.id):
                high = other.ts - 1
                break
        return self._events(store, event.key, self.sides[0], low, high)

    def _last_use(self, side: str, ts: int) -> int:
        return ts if side == self.sides[0] else ts + self.tolerance
