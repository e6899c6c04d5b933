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
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from joins import passed
from joins.errors import JoinError
from joins.liveness import Change
from joins.outcome import Matched, Outcome, Row, Unmatched, changes
from joins.partners import AsOf, Lookup
from joins.state import Store
from joins.waiting import WaitingJoin
from schemas.envelope import Event
from schemas.ids import digester


@dataclass(frozen=True, kw_only=True)
class ChoiceJoin(WaitingJoin):
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

    def _new(self, store: Store, side: str, event: Event, watermark: int) -> list[Outcome] | None:
        left, right = self.sides
        ts, key = event.ts, event.key
        seen = self._seen(ts, watermark)
        if side == right and seen:
            last: Event | None = store.last((left, key))
            if last is not None and last.ts >= ts:
                return super()._new(store, side, event, watermark)
        if not store.add((side, key, ts, event.id), event, self._due(side, event)):
            return None
        if side == right or not seen:
            return []
        if self.emit == "final":
            passed.reach(store, watermark)
        return self._rows(store, event)  # type: ignore[return-value]

    def _due(self, side: str, event: Event) -> int | None:
        """When a new event is forgotten."""
        return event.ts + self._spans[side]

    @cached_property
    def _spans(self) -> dict[str, int]:
        return {side: self._expiry(side, 0) for side in self.sides}

    @cached_property
    def _waits(self) -> int:
        """How long after a left event its choice is certain (ms)."""
        return self.graces[self.sides[1]] + 1

    @cached_property
    def _ids(self) -> tuple[Callable[..., str], Callable[..., str]]:
        return tuple(digester(self.name, self.word, what) for what in ("matched", "unmatched"))  # type: ignore[return-value]

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
        old = [self.rule.find(store, events, chooser.ts) for chooser in choosers]
        self._record(store, change, watermark)
        new = [self.rule.find(store, events, chooser.ts) for chooser in choosers]
        # Who keeps the very same partner has nothing new to say.
        turned = [pair for pair in zip(choosers, old, new, strict=True) if pair[1] is not pair[2]]
        before = [row for chooser, right, _ in turned for row in self._stands(chooser, right)]
        after = [row for chooser, _, right in turned for row in self._stands(chooser, right)]
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

    def _rows(self, store: Store, event: Event) -> list[Row]:
        events = (self.sides[1], event.key)
        return self._stands(event, self.rule.find(store, events, event.ts))

    def _stands(self, event: Event, right: Event | None) -> list[Row]:
        """What is said of a left event that has chosen ``right``."""
        if right is None:
            return [self._row(event, None)] if self.kind in ("left", "anti") else []
        if self.kind == "anti":
            return []
        return [self._row(event, None if self.kind == "semi" else right)]

    def _row(self, event: Event, right: Event | None) -> Row:
        left, other = self.sides
        members = {left: event, other: right}
        matched, unmatched = self._ids
        if right is None and self.kind != "semi":
            return Unmatched(unmatched(event.id, None), event.key, event.ts, left, members)
        right_id = None if right is None else right.id
        return Matched(matched(event.id, right_id), event.key, event.ts, members)

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
