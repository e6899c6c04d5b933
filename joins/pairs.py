"""Pairs of events of two sides, and events that have no partner: interval and window product.

What a join of this family has to know is, for an event, its *slots*: in which range of time its
partners lie, and the last instant at which one may appear. An interval join has one slot an event,
a product has one for each window that the event is in.

=======  ===========================================================================
inner    every pair
left     and each left event without a partner, as Unmatched
right    and each right event without a partner
outer    both
semi     each left event that has a partner, once: Matched with None on the other side
anti     each left event that has none, as Unmatched
=======  ===========================================================================

``final``: a pair is certain at once; that there is no partner, when the slot's last instant is
below ``W - grace`` (the grace of the side that the partner would come from). ``eager``: both at
once, and what is known is corrected.

State beside the common entries: ``("/t:" + side, ts, key, id, tag)``, an event without a partner
whose slot is open, where that matters (2: because of a correction), due at its deadline;
``("/m", side, key, ts, id, tag)``, the mark of an event that has had a partner which is now so old
that nothing can withdraw it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple

from joins.clock import POS_INF
from joins.errors import JoinError
from joins.join import Join
from joins.liveness import RETRACTED, Change
from joins.outcome import Matched, Outcome, Row, Unmatched, changes, corrected, in_order, withdrawn
from joins.slot import Slot
from joins.state import Key, Store
from schemas.envelope import Event
from schemas.ids import digester


class Shift(NamedTuple):
    """What stood before a change and what stands after it."""

    before: list[Row]
    after: list[Row]


HAD = "/m"
"""The table of the marks of events that have had a partner."""
UNMATCHED = {"left": (0,), "right": (1,), "outer": (0, 1), "anti": (0,)}


@dataclass(frozen=True, kw_only=True)
class PairJoin(Join):
    """Two sides, ``inner left right outer semi anti``."""

    kinds: ClassVar[tuple[str, ...]] = ("inner", "left", "right", "outer", "semi", "anti")

    def _check(self) -> None:
        super()._check()
        if len(self.sides) != 2:
            raise JoinError(f"this join has two sides, not {len(self.sides)}: {self.sides}")

    @abstractmethod
    def slots(self, side: str, ts: int) -> list[Slot]:
        """The slots of an event of ``side``."""

    def facing(self, slot: Slot, side: str, ts: int) -> Slot:
        """The slot of a partner (at ``ts`` on ``side``) that ``slot`` found."""
        return slot

    @property
    def _hops(self) -> bool:
        """Whether an event may have several slots, or none."""
        return False

    @abstractmethod
    def slot_of(self, side: str, ts: int) -> Slot:
        """The slot of an event, the first where it has several."""

    def tag_parts(self, slot: Slot) -> tuple[str, ...]:
        """What the slot adds to an id."""
        return ()

    @property
    def outlived(self) -> bool:
        """Whether an event may be needed longer than one of its partners."""
        return False

    @cached_property
    def _pairs(self) -> bool:
        return self.kind not in ("semi", "anti")

    @cached_property
    def _watched(self) -> tuple[str, ...]:
        """Sides of which it matters whether an event has a partner."""
        positions = (0,) if self.kind == "semi" else UNMATCHED.get(self.kind, ())
        return tuple(self.sides[position] for position in positions)

    @cached_property
    def _waits(self) -> bool:
        """Whether an event without a partner waits for its deadline."""
        return bool(self._watched) and (self.emit == "final" or self.kind == "semi")

    @cached_property
    def _other_of(self) -> dict[str, str]:
        return {self.sides[0]: self.sides[1], self.sides[1]: self.sides[0]}

    @cached_property
    def _matched_id(self) -> Callable[..., str]:
        return digester(self.name, self.word, "matched")

    @cached_property
    def _unmatched_id(self) -> Callable[..., str]:
        return digester(self.name, self.word, "unmatched")

    # --- an event ---------------------------------------------------------------------------

    def _new(self, store: Store, side: str, event: Event, watermark: int) -> list[Outcome] | None:
        if self._hops:
            return super()._new(store, side, event, watermark)
        ts, key, other, watched = event.ts, event.key, self._other_of[side], self._watched
        slot = self.slot_of(side, ts)
        high = slot.high
        partners: list[Event] = store.between((other, key), (slot.low,), (high + 1,))
        first = bool(partners) and other in watched
        if first and self._closed(other, self.slot_of(other, partners[0].ts), watermark):
            return super()._new(store, side, event, watermark)
        due = (high if high > ts else ts) + self.undo_grace + 1
        if not store.add((side, key, ts, event.id), event, due):
            return None
        gone: list[Row] = []
        come: list[Row] = []
        if first:
            gone, come = self._first_of(store, other, partners, event)
        if partners and self._pairs:
            come += self._pair_rows(side, event, partners, slot)
        if side in watched:
            open_ = not self._closed(side, slot, watermark)
            if open_ and self._waits and not partners:
                store.put(self._timer(side, event, slot), 1, self._deadline(side, slot))
            else:
                come += self._single(side, event, bool(partners), open_, slot)
        if gone or len(come) > 1:
            return [*map(withdrawn, in_order(gone)), *in_order(come)]
        return come  # type: ignore[return-value]

    def _first_of(
        self, store: Store, side: str, partners: list[Event], new: Event
    ) -> tuple[list[Row], list[Row]]:
        """What changes for the partners, still open, of which ``new`` is the first one."""
        gone: list[Row] = []
        come: list[Row] = []
        for partner in partners:
            slot = self.slot_of(side, partner.ts)
            if not self._waits:
                if not self._has_another(store, side, partner, slot, new):
                    gone += self._single(side, partner, False, True, slot)
                continue
            timer = self._timer(side, partner, slot)
            began = store.get(timer)
            if began is not None:
                store.delete(timer)
                rows = self._single(side, partner, True, True, slot)
                come += corrected(rows) if began == 2 else rows
        return gone, come

    def _apply(self, store: Store, change: Change, watermark: int) -> list[Outcome]:
        """Compare what stands before and after the change, slot by slot."""
        shift = Shift([], [])
        side, event = change.side, change.event
        for slot in self.slots(side, event.ts):
            partners = self._partners(store, event.key, side, slot)
            if self._pairs:
                shift.before.extend(self._pair_rows(side, change.before, partners, slot))
                shift.after.extend(self._pair_rows(side, change.after, partners, slot))
            if side in self._watched:
                self._own(store, change, slot, bool(partners), watermark, shift)
            self._partners_of(store, change, slot, partners, watermark, shift)
        self._record(store, change, watermark)
        return changes(*shift, change.correction)

    def _own(
        self,
        store: Store,
        change: Change,
        slot: Slot,
        matched: bool,
        watermark: int,
        shift: Shift,
    ) -> None:
        """The changed event by itself: has it a partner?"""
        side, event = change.side, change.event
        matched = matched or self._was_matched(store, side, event, slot)
        open_ = not self._closed(side, slot, watermark)
        shift.before.extend(self._single(side, change.before, matched, open_, slot))
        shift.after.extend(self._single(side, change.after, matched, open_, slot))
        if self._waits and open_ and not matched:
            timer = self._timer(side, event, slot)
            if change.after is None:
                store.delete(timer)
            elif change.before is None:
                store.put(timer, 1 + change.correction, self._deadline(side, slot))

    def _partners_of(
        self,
        store: Store,
        change: Change,
        slot: Slot,
        partners: list[Event],
        watermark: int,
        shift: Shift,
    ) -> None:
        """The partners of the changed event: is it the only one they have?"""
        side = self._other_of[change.side]
        if side not in self._watched or (change.before and change.after):
            return
        for partner in partners:
            facing = self.facing(slot, side, partner.ts)
            if self._has_another(store, side, partner, facing, change.event):
                continue
            open_ = not self._closed(side, facing, watermark)
            gone, come = change.before is not None, change.after is not None
            waited = self._waits and open_ and self._turn(store, change, side, partner, facing)
            shift.before.extend(self._single(side, partner, gone, open_, facing))
            after = self._single(side, partner, come, open_, facing)
            shift.after.extend(corrected(after) if waited else after)

    def _turn(self, store: Store, change: Change, side: str, event: Event, slot: Slot) -> bool:
        """Begin or end an event's wait; True when it was a correction that had begun it."""
        timer = self._timer(side, event, slot)
        if change.after is None:
            store.put(timer, 1 + change.correction, self._deadline(side, slot))
            return False
        began = store.get(timer)
        store.delete(timer)
        return began == 2

    def _partners(self, store: Store, key: str, side: str, slot: Slot) -> list[Event]:
        return self._events(store, key, self._other_of[side], slot.low, slot.high)

    def _has_another(self, store: Store, side: str, event: Event, slot: Slot, than: Event) -> bool:
        if self._was_matched(store, side, event, slot):
            return True
        where, low = (self._other_of[side], event.key), (slot.low,)
        last: Event | None = store.last(where, low, (slot.high + 1,))
        if last is None or (last.id, last.ts) != (than.id, than.ts):
            return last is not None
        return store.last(where, low, (last.ts, last.id)) is not None

    def _closed(self, side: str, slot: Slot, watermark: int) -> bool:
        return watermark >= self._deadline(side, slot)

    def _deadline(self, side: str, slot: Slot) -> int:
        return slot.high + self.graces[self._other_of[side]] + 1

    # --- results ----------------------------------------------------------------------------

    def _pair_rows(
        self, side: str, event: Event | None, partners: Iterable[Event], slot: Slot
    ) -> list[Row]:
        if event is None:
            return []
        if side == self.sides[0]:
            return [self._matched(event, p, slot, max(event.ts, p.ts)) for p in partners]
        return [self._matched(p, event, slot, max(event.ts, p.ts)) for p in partners]

    def _matched(self, left: Event, right: Event | None, slot: Slot, ts: int) -> Matched:
        right_id = None if right is None else right.id
        id = self._matched_id(left.id, right_id, *self.tag_parts(slot))
        one, other = self.sides
        return Matched(id, left.key, ts, {one: left, other: right})

    def _single(
        self, side: str, event: Event | None, matched: bool, open_: bool, slot: Slot
    ) -> list[Row]:
        """What stands of an event by itself: nothing, its semi row, or that it is unmatched."""
        if event is None:
            return []
        if self.kind == "semi":
            return [self._matched(event, None, slot, event.ts)] if matched else []
        if matched or (open_ and self.emit == "final"):
            return []
        return [self._unmatched(side, event, slot)]

    def _unmatched(self, side: str, event: Event, slot: Slot) -> Unmatched:
        members = {name: event if name == side else None for name in self.sides}
        ids = [event.id if name == side else None for name in self.sides]
        id = self._unmatched_id(*ids, *self.tag_parts(slot))
        return Unmatched(id, event.key, event.ts, side, members)

    # --- deadlines --------------------------------------------------------------------------

    def _timer(self, side: str, event: Event, slot: Slot) -> Key:
        return (_waiting(side), event.ts, event.key, event.id, slot.tag)

    def _due_rows(self, store: Store, watermark: int) -> list[Row]:
        found: list[tuple[int, Row]] = []
        for side in self._watched if self._waits else ():
            for timer in store.due(_waiting(side), None, watermark + 1):
                correction = store.get(timer) == 2
                store.delete(timer)
                due, rows = self._waited(store, side, timer)
                rows = corrected(rows) if correction else rows
                found += [(due, row) for row in rows]
        found.sort(key=lambda item: (item[0], item[1].ts, item[1].id))
        return [row for _, row in found]

    def _waited(self, store: Store, side: str, timer: Key) -> tuple[int, list[Row]]:
        """The deadline of an event that waited, and what is certain of it then."""
        _, ts, key, id, tag = timer
        event = store.get((side, key, ts, id))
        slot = next(slot for slot in self.slots(side, int(ts)) if slot.tag == tag)
        return self._deadline(side, slot), self._single(side, event, False, False, slot)

    def _timer_dues(self, store: Store) -> list[int | None]:
        sides = self._watched if self._waits else ()
        return [store.next_due(_waiting(side)) for side in sides]

    def holdback(self, store: Store) -> int | None:
        """Least ts of an event that may still turn out to have no partner (semi: one).

        An event that waits because of a correction holds nothing back.
        """
        sides = self._watched if self._waits else ()
        return min((ts for side in sides for ts in self._waiting(store, side)), default=None)

    @property
    def delay(self) -> int | None:
        """An event that waits for a partner holds time back until its deadline."""
        sides = self._watched if self._waits else ()
        return max([self.max_grace, *(self._span(side) - 1 for side in sides)])

    def _waiting(self, store: Store, side: str) -> Iterator[int]:
        """The least ts that waits for each deadline, as far as the overall least may be there."""
        table = _waiting(side)
        least, due = POS_INF, store.next_due(table)
        while due is not None and due - self._span(side) < least:
            for timer in store.due(table, due, due + 1):
                if store.get(timer) == 1:
                    least = min(least, int(timer[1]))
                    yield least
                    break
            due = store.next_due(table, due + 1)

    @abstractmethod
    def _span(self, side: str) -> int:
        """The greatest distance from an event's ts to a deadline of it (ms)."""

    # --- expiry -----------------------------------------------------------------------------

    def _was_matched(self, store: Store, side: str, event: Event, slot: Slot) -> bool:
        if not self.outlived:
            return False
        return store.get((HAD, side, event.key, event.ts, event.id, slot.tag)) is not None

    def _expire(self, store: Store, watermark: int) -> None:
        if not self.outlived or not self._watched:
            super()._expire(store, watermark)
            return
        marked = next(iter(store.scan((HAD,))), None) is not None
        for side in self.sides:
            for place in store.due(side, None, watermark + 1):
                self._hand_over(store, place, watermark)
                if marked:
                    self._unmark(store, place)
                store.delete(place)
        for mark in store.due(RETRACTED, None, watermark + 1):
            self._unmark(store, mark[1:])
            store.delete(mark)

    def _hand_over(self, store: Store, place: Key, watermark: int) -> None:
        """Before an event goes, partners that outlive it note that they have had one."""
        side, key, ts = str(place[0]), str(place[1]), int(place[2])
        other = self._other_of[side]
        if other not in self._watched:
            return
        for slot in self.slots(side, ts):
            for partner in self._partners(store, key, side, slot):
                if self._expiry(other, partner.ts) > watermark:
                    facing = self.facing(slot, other, partner.ts)
                    mark = (HAD, other, key, partner.ts, partner.id, facing.tag)
                    if store.get(mark) is None:
                        store.put(mark, 1)

    def _unmark(self, store: Store, place: Key) -> None:
        """An event that goes needs no mark."""
        for slot in self.slots(str(place[0]), int(place[2])):
            store.delete((HAD, *place, slot.tag))


def _waiting(side: str) -> str:
    """The table of a side's events that wait for a partner."""
    return "/t:" + side
