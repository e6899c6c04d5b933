"""Joins in which each left event chooses at most one right event: as-of and lookup.

=======  ==========================================================
inner    each left event that has a partner, with it
left     and each that has none, as Unmatched
semi     each that has a partner, with None on the other side
anti     each that has none, as Unmatched
=======  ==========================================================

``final``: the choice is certain when ``W - grace > l.ts`` with the grace of the right side.
``eager``: at once, and corrected.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from joins import passed
from joins.errors import JoinError
from joins.join import Join
from joins.liveness import Change
from joins.outcome import Matched, Outcome, Row, Unmatched, changes
from joins.partners import AsOf, Lookup
from joins.state import Store
from schemas.envelope import Event
from schemas.ids import digest_id


@dataclass(frozen=True, kw_only=True)
class ChoiceJoin(Join):
    """Two sides, ``inner left semi anti``; the first side chooses."""

    kinds: ClassVar[tuple[str, ...]] = ("inner", "left", "semi", "anti")

    def _check(self) -> None:
        super()._check()
        if len(self.sides) != 2:
            raise JoinError(f"this join has two sides, not {len(self.sides)}: {self.sides}")

    @cached_property
    @abstractmethod
    def rule(self) -> AsOf | Lookup:
        """How a left event chooses."""

    @property
    def reach(self) -> int:
        """How far below a right event a left event that it corrects may lie."""
        return self.rule.reach

    def _apply(self, store: Store, change: Change, watermark: int) -> list[Outcome]:
        """Compare the choices that are in sight before and after the change."""
        if change.side == self.sides[0]:
            return self._choose(store, change, watermark)
        events = (change.side, change.event.key)
        low, high = self.rule.touched(store, events, change.event)
        lefts = self._events(store, change.event.key, self.sides[0], low, high)
        choosers = [event for event in lefts if self._seen(event.ts, watermark)]
        if not choosers:  # most versions come before anybody asks
            self._record(store, change, watermark)
            return []
        before = [row for event in choosers for row in self._rows(store, event)]
        self._record(store, change, watermark)
        after = [row for event in choosers for row in self._rows(store, event)]
        return changes(before, after, change.correction or self._behind(change, watermark))

    def _choose(self, store: Store, change: Change, watermark: int) -> list[Outcome]:
        before, after = change.before, change.after
        self._record(store, change, watermark)
        if self._seen(change.event.ts, watermark):
            if self.emit == "final":
                passed.reach(store, watermark)
            old = [] if before is None else self._rows(store, before)
            new = [] if after is None else self._rows(store, after)
            return changes(old, new, change.correction)
        return []

    def _seen(self, ts: int, watermark: int) -> bool:
        return self.emit == "eager" or watermark >= self._deadline(ts)

    def _deadline(self, ts: int) -> int:
        return ts + self.graces[self.sides[1]] + 1

    def _rows(self, store: Store, event: Event) -> list[Row]:
        events = (self.sides[1], event.key)
        right = self.rule.find(store, events, event.ts)
        if right is None:
            return [self._row(event, None)] if self.kind in ("left", "anti") else []
        if self.kind == "anti":
            return []
        return [self._row(event, None if self.kind == "semi" else right)]

    def _row(self, event: Event, right: Event | None) -> Row:
        unmatched = right is None and self.kind != "semi"
        outcome = "unmatched" if unmatched else "matched"
        right_id = None if right is None else right.id
        id = digest_id(self.name, self.word, outcome, event.id, right_id)
        members = dict(zip(self.sides, (event, right), strict=True))
        if unmatched:
            return Unmatched(id, event.key, event.ts, self.sides[0], members)
        return Matched(id, event.key, event.ts, members)

    def on_watermark(self, store: Store, watermark: int) -> list[Outcome]:
        """Every deadline up to ``watermark``, in order; then what is no longer needed goes."""
        said = super().on_watermark(store, watermark)
        if self.emit == "final":
            passed.tidy(store, self.sides[0])
        return said

    def _due_rows(self, store: Store, watermark: int) -> list[Row]:
        if self.emit == "eager":
            return []
        left = self.sides[0]
        found = [
            row
            for event in passed.since(store, left, self._lead, watermark)
            for row in self._rows(store, event)
        ]
        # The deadline is the ts and a constant, so deadlines in order are ts in order.
        found.sort(key=lambda row: (row.ts, row.id))
        return found

    @cached_property
    def _lead(self) -> int:
        """How long after its deadline a left event is forgotten (ms)."""
        return self._expiry(self.sides[0], 0) - self._deadline(0)

    def _timer_dues(self, store: Store) -> list[int | None]:
        due = None if self.emit == "eager" else passed.next_due(store, self.sides[0], self._lead)
        return [None if due is None else due - self._lead]
