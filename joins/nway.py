"""N-way join: each event of a driving side with its partners on every other side, independently.

::

    sides:  prices AsOf(tolerance=20)   labels Lookup(horizon=...)   records Interval(5, 10)
    a driver's event at 100:  the last price in [80, 100], the label valid at 100, or None,
                              the records in [95, 110] by (ts, id), or None where there is none

One Matched for each event of the driver, with the driver's id and ts. ``final``: when no side can
change it any more; ``eager``: at once, and corrected. A side with ``Lookup`` is a versioned table:
never late, and for ``final`` it has to be declared.

State beside the common entries: ``("/c", driver, key, ts, id)``, the mark of a driver's event that
waits and is a correction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from joins import passed
from joins.clock import SideTime
from joins.errors import JoinError
from joins.liveness import Change
from joins.outcome import Matched, Member, Outcome, Row, changes, corrected
from joins.partners import Rule, record_version
from joins.state import Store
from joins.waiting import WaitingJoin
from schemas.envelope import Event
from schemas.ids import digester

CORRECTS = "/c"
"""The table of the marks of waiting events that are corrections."""


@dataclass(frozen=True, kw_only=True)
class DriverJoin(WaitingJoin):
    """The machine behind ``NWayJoin``: ``sides`` has the driver first; ``rules``: the others'."""

    word: ClassVar[str] = "nway"
    kinds: ClassVar[tuple[str, ...]] = ("left",)

    kind: str = "left"
    rules: Mapping[str, Rule]

    def _check(self) -> None:
        if not self.rules or tuple(self.rules) != self.sides[1:]:
            raise JoinError("an n-way join needs at least one side beside its driver")
        super()._check()

    @property
    def reach(self) -> int:
        """The farthest of its sides."""
        return max(rule.reach for rule in self.rules.values())

    @property
    def needs_declared(self) -> frozenset[str]:
        """The tables, when results are to be final."""
        tables = [side for side, rule in self.rules.items() if rule.table]
        return frozenset(tables if self.emit == "final" else ())

    @property
    def driver(self) -> str:
        """The side whose every event has a result."""
        return self.sides[0]

    # --- an event ---------------------------------------------------------------------------

    def _new(self, store: Store, side: str, event: Event, watermark: int) -> list[Outcome] | None:
        # Whoever this may touch is no older than this.
        low = event.ts if side == self.driver else event.ts - self._back[side]
        known = store.get((side, event.key, event.ts, event.id)) is not None
        if known or self.emit == "eager" or self._seen(low, watermark):
            return super()._new(store, side, event, watermark)
        self._record(store, Change(side, None, event, False), watermark)
        return []

    def _apply(self, store: Store, change: Change, watermark: int) -> list[Outcome]:
        """Compare the rows of the driver's events that the change touches."""
        if change.side == self.driver:
            return self._drive(store, change, watermark)
        drivers = [
            event for event in self._touched(store, change) if self._seen(event.ts, watermark)
        ]
        before = [self._row(store, event) for event in drivers]
        self._record(store, change, watermark)
        after = [self._row(store, event) for event in drivers]
        return changes(before, after, change.correction or self._behind(change, watermark))

    def _drive(self, store: Store, change: Change, watermark: int) -> list[Outcome]:
        self._record(store, change, watermark)
        event = change.event
        if self._seen(event.ts, watermark):
            if self.emit == "final":
                passed.reach(store, watermark)
            before, after = (
                [] if event is None else [self._row(store, event)]
                for event in (change.before, change.after)
            )
            return changes(before, after, change.correction)
        mark = (CORRECTS, self.driver, event.key, event.ts, event.id)
        if change.after is None:
            store.delete(mark)
        elif change.before is None and change.correction:
            store.put(mark, 1)
        return []

    def _touched(self, store: Store, change: Change) -> list[Event]:
        event = change.event
        low, high = self.rules[change.side].touched(store, (change.side, event.key), event)
        return self._events(store, event.key, self.driver, low, high)

    def _row(self, store: Store, event: Event) -> Row:
        members: dict[str, Member] = {self.driver: event}
        for side, rule in self.rules.items():
            members[side] = rule.find(store, (side, event.key), event.ts)
        id = self._id(event.id)
        return Matched(id, event.key, event.ts, members)

    @cached_property
    def _back(self) -> dict[str, int]:
        """How far below an event of a side a driver's may lie that it touches (ms)."""
        return {side: 0 if rule.table else rule.reach for side, rule in self.rules.items()}

    @cached_property
    def _id(self) -> Callable[..., str]:
        return digester(self.name, self.word, "matched")

    # --- deadlines --------------------------------------------------------------------------

    @cached_property
    def _waits(self) -> int:
        """Until none of its partners can change any more (ms)."""
        return max(rule.wait + self.graces[side] + 1 for side, rule in self.rules.items())

    def _due_rows(self, store: Store, watermark: int) -> list[Row]:
        if self.emit == "eager":
            return []
        found: list[Row] = []
        for event in passed.since(store, self.driver, self._lead, watermark):
            row = self._row(store, event)
            mark = (CORRECTS, self.driver, event.key, event.ts, event.id)
            found += corrected([row]) if store.get(mark) else [row]
            store.delete(mark)
        found.sort(key=lambda row: (row.ts, row.id))
        return found

    def holdback(self, store: Store) -> int | None:
        """The least ts that waits, corrections excepted: deadlines in order are ts in order."""
        if self.emit == "eager":
            return None
        due = passed.next_due(store, self.driver, self._lead)
        while due is not None:
            for place in store.due(self.driver, due, due + 1):
                if not store.get((CORRECTS, *place)):
                    return int(place[2])
            due = store.next_due(self.driver, due + 1)
        return None

    @property
    def delay(self) -> int | None:
        """A driver's event waits for the last of its partners."""
        return max(self.max_grace, self._waits - 1 if self.emit == "final" else 0)

    # --- expiry -----------------------------------------------------------------------------

    def _side_time(self, side: str, declared: bool) -> SideTime:
        table = side != self.driver and self.rules[side].table
        return SideTime(declared, self.lateness_of(side), self.graces[side], never_late=table)

    def _record(self, store: Store, change: Change, watermark: int) -> None:
        if change.side != self.driver and self.rules[change.side].table:
            kept = self._kept + self.undo_grace
            record_version(store, change, kept)
        else:
            super()._record(store, change, watermark)

    @cached_property
    def _kept(self) -> int:
        """How much longer than ``undo_grace`` a driver's event is kept (ms)."""
        tables = [rule.reach - self.undo_grace for rule in self.rules.values() if rule.table]
        return max([0, *(rule.wait for rule in self.rules.values()), *tables])

    def _last_use(self, side: str, ts: int) -> int:
        # A partner stays as long as a driver's event whose row shows it.
        serves = 0 if side == self.driver else max(self.rules[side].serves, 0)
        return ts + serves + self._kept


def NWayJoin(*, driver: str, sides: Mapping[str, Rule], **common: Any) -> DriverJoin:  # noqa: N802 - as a class
    """An n-way join. ``sides``: name -> ``AsOf``, ``Lookup`` or ``Interval``, without the driver.

    ``common``: ``name, lateness, grace, retract_grace, emit`` as in ``Join``.
    """
    return DriverJoin(sides=(driver, *sides), rules=dict(sides), **common)
