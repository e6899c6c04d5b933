"""As-of join: each left event with the last right event before it.

::

    tolerance = 20
    right:   r1 (10)        r2 (30)
    left:            l1 (25)        l2 (40)       l3 (90)
    result:          l1 x r1        l2 x r2       l3 has none: r2 is more than 20 back

``final``: certain when ``W - grace > l.ts``, since any r that could still come lies after l.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from joins.choice import ChoiceJoin
from joins.partners import AsOf


@dataclass(frozen=True, kw_only=True)
class AsOfJoin(ChoiceJoin):
    """Each l with the r of greatest (ts, id) that has ``l.ts - tolerance <= r.ts <= l.ts`` (ms)."""

    word: ClassVar[str] = "asof"

    tolerance: int

    @cached_property
    def rule(self) -> AsOf:
        """The last right event within tolerance."""
        return AsOf(tolerance=self.tolerance)

    def _last_use(self, side: str, ts: int) -> int:
        return ts if side == self.sides[0] else ts + self.tolerance
