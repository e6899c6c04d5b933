"""Window aggregates: one row a key and window, of numbers over its events.

>>> from joins import Arrival, Count, Event, Sum, Tumbling, WindowAggregate, run
>>> join = WindowAggregate(windows=Tumbling(size=10), aggregates={"n": Count(), "s": Sum("sat")})
>>> arrivals = [
...     Arrival("left", 0, Event(id=f"e{ts}", key="k", ts=ts, op="assert", value={"sat": ts}))
...     for ts in (1, 4, 12)
... ]
>>> [(row.ts, row.value) for row in run(join, arrivals)]
[(9, {'n': 2, 's': 5}), (19, {'n': 1, 's': 12})]

A result is always that of the window's live events by ``Aggregate.of``, to the bit: whatever the
order of arrival, the batches and the retracts. It is told from a state that is kept beside the
events, which are only read where the state cannot know:

=========  ============================  ===============================================
Count      the number                    exact
Sum        the exact sum                 exact, also of floats
Mean       number, exact sum             exact; the float nearest to the mean
Variance   number, exact sum, squares    exact; the float nearest to it
Min, Max   value, how many have it       reads the events when the last of these goes
Distinct   a count by value              exact up to ``exact`` values (256)
           1 byte x 2^precision          error 1.04 / sqrt(2^precision); a retract reads
TopK       a count by value              exact; above 1000 values each result reads
Quantiles  a count by bucket             within ``error``; above 5000 buckets each result
                                         reads
others     (only ``of``)                 each result reads
=========  ============================  ===============================================

*exact*: a retract is followed without reading an event. State beside the common entries:
``("/windows", key, start)``, the tally of a window (``joins.tally``), due when the window is
forgotten; ``("/", "t", due)``, the start of windows that are to be closed. With hopping windows an
event is counted in each window that it is in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import chain
from typing import Any

from joins.aggregates_exact import Count, Max, Mean, Min, Sum, Variance
from joins.errors import JoinError
from joins.group import GroupJoin
from joins.liveness import Change
from joins.mergeable import Aggregate, field_of
from joins.outcome import Matched, Member, Outcome, Row, changes, in_order
from joins.session import SessionGroup
from joins.session_state import Found
from joins.state import Key, Store
from joins.tally import Tallies, Tally
from joins.windows import Session, Windows
from schemas.envelope import Event
from schemas.ids import digest_id

__all__ = [
    "Aggregate", "Count", "FixedAggregate", "Max", "Mean", "Min", "SessionAggregate", "Sum",
    "Variance", "WindowAggregate", "field_of",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Aggregating:
    """The aggregates of a window's members; sides are ``left`` alone unless named."""

    sides: tuple[str, ...] = ("left",)
    aggregates: Mapping[str, Aggregate] = field(default_factory=dict)
    members: bool = True

    @cached_property
    def _tallies(self) -> Tallies:
        return Tallies(self.sides, self.aggregates)


@dataclass(slots=True)
class _Touched:
    """A window that a batch changes: its tally by now, and what was said of it before."""

    tally: Tally
    known: bool
    """It was there before."""
    seen: bool
    """What is said of it is said at once."""
    before: Row | None
    corrects: bool = False


WINDOWS = "/windows"
"""The table of the tallies."""
_Places = dict[tuple[str, int], _Touched]
"""By key and start of the window."""


@dataclass(frozen=True, kw_only=True)
class FixedAggregate(_Aggregating, GroupJoin):
    """Aggregates over tumbling or hopping windows."""

    def _apply(self, store: Store, change: Change, watermark: int) -> list[Outcome]:
        """Take a change into the windows that it is in."""
        places: _Places = {}
        self._fold(store, change, watermark, places)
        return self._settle(store, places, watermark)

    def on_batch(
        self,
        store: Store,
        side: str,
        events: Iterable[Event],
        watermark: int,
        void: list[Event] | None = None,
    ) -> list[Outcome]:
        """Each window is read, written and said once, however many of its events come."""
        places: _Places = {}
        for event in events:
            change = self.effect(store, side, event)
            if change is not None:
                self._fold(store, change, watermark, places)
            elif void is not None:
                void.append(event)
        return self._settle(store, places, watermark)

    def _fold(self, store: Store, change: Change, watermark: int, places: _Places) -> None:
        event = change.event
        for start in self.windows.starts(event.ts):
            place = (event.key, start)
            touched = places.get(place)
            if touched is None:
                touched = places[place] = self._touch(store, place, watermark)
            self._tallies.change(touched.tally, change)
            if change.correction:
                touched.corrects = True
        self._record(store, change, watermark)

    def _touch(self, store: Store, place: tuple[str, int], watermark: int) -> _Touched:
        key, start = place
        seen = self.emit == "eager" or watermark >= start + self._open_for
        tally = store.get((WINDOWS, key, start))
        if tally is None:
            return _Touched(self._tallies.zero(), False, seen, None)
        mine = self._tallies.own(tally)
        return _Touched(mine, True, seen, self._said(store, key, start, mine) if seen else None)

    def _settle(self, store: Store, places: _Places, watermark: int) -> list[Outcome]:
        said: list[Outcome] = []
        new: set[int] = set()
        for (key, start), touched in places.items():
            if touched.seen:
                now = self._said(store, key, start, touched.tally)
                said += changes(_there(touched.before), _there(now), touched.corrects)
            due = max(start + self._kept_for, watermark + 1)
            self._keep(store, (WINDOWS, key, start), touched, due)
            if not (touched.known or touched.seen):
                new.add(start)
        for start in new:
            self._expect(store, start)
        return said

    def _keep(self, store: Store, place: Key, touched: _Touched, due: int) -> None:
        if not self._tallies.empty(touched.tally):
            store.put(place, self._tallies.kept(touched.tally), due)
        elif touched.known:
            store.delete(place)

    def _said(self, store: Store, key: str, start: int, tally: Tally) -> Row | None:
        """What a window with this tally, an owned one, has to say."""
        if not self._tallies.has_kind(self.kind, tally):
            return None
        end = start + self.windows.size
        id = digest_id(self.name, self.word, "matched", key, start, end)
        value = self._tallies.values(tally, partial(self._all, store, key, start))
        return Matched(id, key, end - 1, self._members(store, key, start), value)

    def _members(self, store: Store, key: str, start: int) -> Mapping[str, Member]:
        if not self.members:
            return dict.fromkeys(self.sides)
        last = start + self.windows.size - 1
        return {side: tuple(self._events(store, key, side, start, last)) for side in self.sides}

    def _all(self, store: Store, key: str, start: int) -> Iterator[Event]:
        for side in self.sides:
            yield from self._events(store, key, side, start, start + self.windows.size - 1)

    # --- time -------------------------------------------------------------------------------

    @cached_property
    def _open_for(self) -> int:
        """From a window's start until it closes."""
        return self.windows.size + self.max_grace

    @cached_property
    def _kept_for(self) -> int:
        """From a window's start until nothing can change it any more."""
        return self.windows.size + self.undo_grace

    def _expect(self, store: Store, start: int) -> None:
        """Close the windows that start here in time."""
        timer = (*self.prefix, "t", start + self._open_for)
        if store.get(timer) is None:
            store.put(timer, start)

    def _timer_dues(self, store: Store) -> list[int | None]:
        return [*super()._timer_dues(store), store.next_due(WINDOWS)]

    def _due_rows(self, store: Store, watermark: int) -> list[Row]:
        rows: list[Row] = []
        for timer, start in list(store.scan((*self.prefix, "t"), high=(watermark + 1,))):
            store.delete(timer)
            rows += in_order(self._closing(store, start))
        return rows

    def _closing(self, store: Store, start: int) -> Iterator[Row]:
        due = start + self._kept_for
        for place in store.due(WINDOWS, due, due + 1):
            tally = store.get(place)
            assert tally is not None
            row = self._said(store, str(place[1]), start, self._tallies.regaining(tally))
            if row is not None:
                yield row

    def _expire(self, store: Store, watermark: int) -> None:
        super()._expire(store, watermark)
        for place in store.due(WINDOWS, None, watermark + 1):
            store.delete(place)


@dataclass(frozen=True, kw_only=True)
class SessionAggregate(_Aggregating, SessionGroup):
    """Aggregates over session windows."""

    def _shown(self, session: Found) -> Mapping[str, Member]:
        return session.members if self.members else dict.fromkeys(self.sides)

    def _value(self, session: Found) -> Any:
        def read() -> Iterator[Event]:
            return chain.from_iterable(session.members.values())

        return self._tallies.values(session.tally, read)


def WindowAggregate(  # noqa: N802 - it reads as a class, like its siblings
    *,
    windows: Windows,
    aggregates: Mapping[str, Aggregate],
    members: bool = True,
    **common: Any,
) -> FixedAggregate | SessionAggregate:
    """Aggregates of each key's windows: ``Matched.value`` is a dict, the events are the members.

    With ``members=False`` each side's member is None: results are small, a result whose value does
    not change is not said again, and no result reads the window. ``common``: as in ``Join``; by
    default there is one side, ``left``.
    """
    if not aggregates:
        raise JoinError("name at least one aggregate, for example {'n': Count()}")
    machine: Callable[..., FixedAggregate | SessionAggregate] = (
        SessionAggregate if isinstance(windows, Session) else FixedAggregate
    )
    return machine(windows=windows, aggregates=dict(aggregates), members=members, **common)


def _there(row: Row | None) -> tuple[Row, ...]:
    return () if row is None else (row,)
