"""N-way join: each event of a driving side with its partners on every other side, independently.

::

    sides:  prices AsOf(tolerance=20)   labels Lookup(horizon=...)   records Interval(5, 10)
    a driver's event at 100:  the last price in [80, 100], the label valid at 100, or None,
                              the records in [95, 110] by (ts, id), or None where there is none

One Matched for each event of the driver, with the driver's id and ts. ``final``: when no side can
change it any more; ``eager``: at once, and corrected. A side with ``Lookup`` is a versioned table:
never late, and for ``final`` it has to be declared.

State beside the common entries: ``(name, "t", due, ts, key, id)``, a driver's event that waits (1:
a correction).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from joins.clock import SideTime
from joins.errors import JoinError
from joins.join import Join
from joins.liveness import Change
from joins.outcome import Matched, Member, Outcome, Row, changes, corrected
from joins.partners import Rule, record_version
from joins.state import Store
from schemas.envelope import Event
from schemas.ids import digest_id


@dataclass(frozen=True, kw_only=True)
class DriverJoin(Join):
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

    def apply(self, store: Store, change: Change, watermark: int) -> list[Outcome]:
        """Compare the rows of the driver's events that the change touches."""
        if change.side == self.driver:
            return self._drive(store, change, watermark)
        drivers = [
            event for event in self._touched(store, change) if self._seen(event.ts, watermark)
        ]
        before = [self._row(store, event) for event in drivers]
        self._record(store, change)
        after = [self._row(store, event) for event in drivers]
        return changes(before, after, change.correction or self._behind(change, watermark))

    def _drive(self, store: Store, change: Change, watermark: int) -> list[Outcome]:
        self._record(store, change)
        event = change.event
        if self._seen(event.ts, watermark):
            before, after = (
                [] if event is None else [self._row(store, event)]
                for event in (change.before, change.after)
            )
            return changes(before, after, change.correction)
        timer = (*self.prefix, "t", self._deadline(event.ts), event.ts, event.key, event.id)
        if change.after is None:
            store.delete(timer)
        elif change.before is None:
            store.put(timer, int(change.correction))
        return []

    def _touched(self, store: Store, change: Change) -> list[Event]:
        event = change.event
        events = (*self.prefix, "e", event.key, change.side)
        low, high = self.rules[change.side].touched(store, events, event)
        return list(self._events(store, event.key, self.driver, low, high))

    def _row(self, store: Store, event: Event) -> Row:
        members: dict[str, Member] = {self.driver: event}
        for side, rule in self.rules.items():
            members[side] = rule.find(store, (*self.prefix, "e", event.key, side), event.ts)
        id = digest_id(self.name, self.word, "matched", event.id)
        return Matched(id, event.key, event.ts, members)

    # --- deadlines --------------------------------------------------------------------------

    def _seen(self, ts: int, watermark: int) -> bool:
        return self.emit == "eager" or watermark >= self._deadline(ts)

    def _deadline(self, ts: int) -> int:
        return ts + self._wait

    @cached_property
    def _wait(self) -> int:
        return max(rule.wait + self.graces[side] + 1 for side, rule in self.rules.items())

    def _due_rows(self, store: Store, watermark: int) -> list[Row]:
        found: list[Row] = []
        for timer, correction in list(store.scan((*self.prefix, "t"), high=(watermark + 1,))):
            store.delete(timer)
            _, ts, key, id = timer[-4:]
            event = store.get((*self.prefix, "e", key, self.driver, ts, id))
            assert event is not None  # a retract takes its timer along
            row = self._row(store, event)
            found += corrected([row]) if correction else [row]
        found.sort(key=lambda row: (row.ts, row.id))
        return found

    def holdback(self, store: Store) -> int | None:
        """The least ts that waits, corrections excepted: deadlines in order are ts in order."""
        waiting = store.scan((*self.prefix, "t"))
        return next((int(key[3]) for key, correction in waiting if not correction), None)

    @property
    def delay(self) -> int | None:
        """A driver's event waits for the last of its partners."""
        return max(self.max_grace, self._wait - 1 if self.emit == "final" else 0)

    # --- expiry -----------------------------------------------------------------------------

    def _side_time(self, side: str, declared: bool) -> SideTime:
        table = side != self.driver and self.rules[side].table
        return SideTime(declared, self.lateness_of(side), self.graces[side], never_late=table)

    def _record(self, store: Store, change: Change) -> None:
        if change.side != self.driver and self.rules[change.side].table:
            kept = self._kept + self.undo_grace
            record_version(store, self.prefix, change.side, change.before, change.after, kept)
        else:
            super()._record(store, change)

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
