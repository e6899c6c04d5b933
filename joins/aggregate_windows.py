"""Aggregates of tumbling and hopping windows, each with its tally.

State beside the common entries: ``("/windows", key, start)``, the tally of a window, due when the
window is forgotten; ``("/", "t", due)``, the start of windows that are to be closed. An event is
counted in each window that it is in; so a window is said without looking at another.

A window that is read when it closes, since its result has the members, is counted then, once; it
gets a tally when an event comes, or is corrected, after that. All others have one from their first
event on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import chain

from joins.group import GroupJoin
from joins.liveness import Change
from joins.mergeable import Aggregate
from joins.outcome import Matched, Member, Outcome, Row, changes
from joins.state import Store
from joins.tally import Tallies, Tally
from joins.windows import Window
from schemas.envelope import Event


@dataclass(frozen=True, kw_only=True)
class Aggregating:
    """The aggregates of a window's members; sides are ``left`` alone unless named."""

    sides: tuple[str, ...] = ("left",)
    aggregates: Mapping[str, Aggregate] = field(default_factory=dict)
    members: bool = True

    @cached_property
    def _tallies(self) -> Tallies:
        return Tallies(self.sides, self.aggregates)


@dataclass(slots=True)
class Touched:
    """A tally that a batch changes."""

    tally: Tally
    known: bool
    """It was there before."""
    corrects: bool = False


@dataclass(slots=True)
class Work:
    """What a batch has to do with, by key and start."""

    tallies: dict[tuple[str, int], Touched] = field(default_factory=dict)
    before: dict[tuple[str, int], Row | None] = field(default_factory=dict)
    """Windows of which something is said at once, and what was said of them before."""
    new: set[int] = field(default_factory=set)
    """Where windows start that are to be closed in time."""


Events = Mapping[str, tuple[Event, ...]]
WINDOWS = "/windows"
"""The table of the tallies."""


@dataclass(frozen=True, kw_only=True)
class FixedAggregate(Aggregating, GroupJoin):
    """Aggregates over tumbling or hopping windows: a tally a window."""

    def _take_all(self, store: Store, arrived: Iterable[Change], watermark: int) -> list[Outcome]:
        """Each window is read, written and said once, however many of its events come."""
        work = Work()
        for change in arrived:
            self._fold(store, change, watermark, work)
        return self._settle(store, work, watermark)

    def _fold(self, store: Store, change: Change, watermark: int, work: Work) -> None:
        event, tallies = change.event, work.tallies
        for start in self._starts(event.ts):
            if self._lazy and not self._seen(start, watermark):
                work.new.add(start)
                continue
            place = (event.key, start)
            touched = tallies.get(place)
            if touched is None:
                touched = tallies[place] = self._touch(store, place, watermark, work)
            if change.correction:
                touched.corrects = True
                self._tallies.change(touched.tally, change)
            else:
                self._tallies.add(touched.tally, change.side, event)
        self._record(store, change, watermark)

    def _starts(self, ts: int) -> Iterable[int]:
        """Where the tallies start that an event is counted in."""
        return self.windows.starts(ts)

    @cached_property
    def _lazy(self) -> bool:
        """Whether a window is counted when it closes, and not before."""
        return self.emit == "final" and self.members

    def _touch(self, store: Store, place: tuple[str, int], watermark: int, work: Work) -> Touched:
        known = store.get((WINDOWS, *place))
        if known is not None:
            tally = self._tallies.own(known)
        else:
            tally = self._tallies.of(self._live(store, *place) if self._lazy else {})
        if self._seen(place[1], watermark):
            there = known is not None or not self._tallies.empty(tally)
            work.before[place] = self._said(store, *place, tally) if there else None
        return Touched(tally, known is not None)

    def _settle(self, store: Store, work: Work, watermark: int) -> list[Outcome]:
        said: list[Outcome] = []
        for place, before in work.before.items():
            touched = work.tallies[place]
            now = self._said(store, *place, touched.tally)
            said += turned(before, now, touched.corrects)
        self._keep(store, work, watermark)
        return said

    def _keep(self, store: Store, work: Work, watermark: int) -> None:
        for place, touched in work.tallies.items():
            if not touched.known:
                work.new.update(self._windows_over(place[1]))
            if not self._tallies.empty(touched.tally):
                due = max(self._forgotten(place[1]), watermark + 1)
                store.put((WINDOWS, *place), self._tallies.kept(touched.tally), due)
            elif touched.known:
                store.delete((WINDOWS, *place))
        for start in work.new:
            if not self._seen(start, watermark):
                self._expect(store, start)

    def _windows_over(self, start: int) -> Iterable[int]:
        """Where the windows start that a tally is part of."""
        return (start,)

    def _said(
        self, store: Store, key: str, start: int, tally: Tally, events: Events | None = None
    ) -> Row | None:
        """What a window has to say that has this tally, an owned one; ``events``: if known."""
        if not self._tallies.has_kind(self.kind, tally):
            return None
        end = start + self.windows.size
        id = self.matched_id(key, str(start), str(end))
        value = self._tallies.values(tally, partial(self._all, store, key, start))
        members: Mapping[str, Member] = dict.fromkeys(self.sides)
        if self.members:
            members = self._live(store, key, start) if events is None else events
        return Matched(id, key, end - 1, members, value)

    def _live(self, store: Store, key: str, start: int) -> Events:
        """The live events of a window, by side."""
        last = start + self.windows.size - 1
        return {side: tuple(self._events(store, key, side, start, last)) for side in self.sides}

    def _all(self, store: Store, key: str, start: int) -> Iterator[Event]:
        return chain.from_iterable(self._live(store, key, start).values())

    # --- time -------------------------------------------------------------------------------

    def _timer_dues(self, store: Store) -> list[int | None]:
        return [*super()._timer_dues(store), store.next_due(WINDOWS)]

    def _closing(self, store: Store, start: int) -> Iterator[Row]:
        if self._lazy:
            yield from super()._closing(store, start)
            return
        due = self._forgotten(start)
        for place in store.due(WINDOWS, due, due + 1):
            if place[2] != start:  # an older window, written again after its time
                continue
            tally = store.get(place)
            assert tally is not None
            row = self._said(store, str(place[1]), start, self._tallies.regaining(tally))
            if row is not None:
                yield row

    def _row(self, store: Store, key: str, window: Window) -> Row | None:
        """What a window has to say by its events."""
        events = self._live(store, key, window.start)
        return self._said(store, key, window.start, self._tallies.of(events), events)

    def _expire(self, store: Store, watermark: int) -> None:
        super()._expire(store, watermark)
        store.expire(WINDOWS, watermark + 1)


def turned(before: Row | None, now: Row | None, corrects: bool) -> list[Outcome]:
    """What has to be said when a window said ``before`` and says ``now``."""
    if before is None and (now is None or not corrects):
        return [] if now is None else [now]
    return changes(_there(before), _there(now), corrects)


def _there(row: Row | None) -> tuple[Row, ...]:
    return () if row is None else (row,)
