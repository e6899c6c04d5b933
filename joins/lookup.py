"""Lookup join: a stream against a versioned table.

::

    table:   v1 from 0 ------------------ v2 from 50, to 80 ----) 80
    stream:        l1 (20)                     l2 (60)              l3 (90)
    result:        l1 x v1                     l2 x v2              l3 x v1

A version is an event of the second side: its ts is its ``valid_from``, its value has fields and may
have a ``valid_to``; value None deletes, that is, hides every version before it. Each l gets the
version of greatest ``(valid_from, id)`` with ``valid_from <= l.ts`` and no ``valid_to <= l.ts``.

A version is never late: it corrects every l that is still kept (``W <= l.ts + horizon``, and at
least as long as an l can be retracted), and serves all later ones. The versions themselves stay,
being the table, except those whose ``valid_to`` lies before every l that could still ask.

``final`` needs the time of the table, so a table side that is only observed is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from joins.choice import ChoiceJoin
from joins.clock import SideTime
from joins.liveness import Change
from joins.partners import Lookup, gone, record_version
from joins.state import Store
from schemas.envelope import Event


@dataclass(frozen=True, kw_only=True)
class LookupJoin(ChoiceJoin):
    """Each left event with its version; ``horizon`` (ms): how long a version may correct it."""

    word: ClassVar[str] = "lookup"

    horizon: int

    @cached_property
    def rule(self) -> Lookup:
        """The version that is valid at the left event's time."""
        return Lookup(horizon=self.horizon)

    @property
    def needs_declared(self) -> frozenset[str]:
        """The table, when results are to be final."""
        return frozenset(self.sides[1:] if self.emit == "final" else ())

    def _side_time(self, side: str, declared: bool) -> SideTime:
        table = side == self.sides[1]
        return SideTime(declared, self.lateness_of(side), self.graces[side], never_late=table)

    def _record(self, store: Store, change: Change, watermark: int) -> None:
        if change.side == self.sides[0]:
            super()._record(store, change, watermark)
        else:
            record_version(store, change, self._kept)

    def _due(self, side: str, event: Event) -> int | None:
        return super()._due(side, event) if side == self.sides[0] else gone(event, self._kept)

    @cached_property
    def _kept(self) -> int:
        return max(self.horizon, self.undo_grace)

    def _last_use(self, side: str, ts: int) -> int:
        return ts + self._kept - self.undo_grace
