"""Window product: within each window, every pair.

::

    windows of 10:   [0  l1     r1   10) [10   r2    20)
                         l1 x r1              r2 has no partner

An event of several (hopping) windows has pairs, and can be without a partner, in each of them; the
start of the window is then part of the id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from joins.pairs import PairJoin
from joins.slot import Slot
from joins.windows import Fixed, Hopping


@dataclass(frozen=True, kw_only=True)
class ProductJoin(PairJoin):
    """All pairs that are in one tumbling or hopping window (``WindowJoin(mode="product")``)."""

    word: ClassVar[str] = "window"

    windows: Fixed

    @property
    def reach(self) -> int:
        """From the end of a window to its start."""
        return self.windows.size - 1

    def slots(self, side: str, ts: int) -> list[Slot]:
        """One for each window."""
        return [Slot(w.start, w.start, w.end - 1) for w in self.windows.containing(ts)]

    def slot_of(self, side: str, ts: int) -> Slot:
        """The first window."""
        return self.slots(side, ts)[0]

    @property
    def _hops(self) -> bool:
        return isinstance(self.windows, Hopping)

    def tag_parts(self, slot: Slot) -> tuple[str, ...]:
        """The window's start, where windows overlap."""
        return (str(slot.tag),) if self._hops else ()

    def _last_use(self, side: str, ts: int) -> int:
        return self.windows.last_end(ts) - 1

    def _span(self, side: str) -> int:
        return self.windows.size + self.graces[self._other_of[side]]
