"""Fold: a pure function of all that is known of a key.

::

    mempool:  added(ts 10)              evicted(ts 70)
    blocks:                confirmed(ts 50)
    result:   "seen"       "confirmed"  function([added, confirmed, evicted]), ...

The function gets the key's live events of all sides as (side, event), by (ts, id), and gives the
value of the key's one row, or None for no row. It is asked again at each change, whatever ``emit``
says; the row's ts is the greatest of its inputs.

A key leaves state ``horizon`` after its last event. So that this does not depend on how far the
watermark happens to be, a pause longer than ``horizon`` between two events of a key (retracted
ones count) begins the key anew: the row is the function of the events since the last such pause.
Where the pause was so long that the old events have left state, the new row is said without a
Retracted of the old one, which it replaces, having the same id.

``holds`` says of which values a key is still waiting for more, however long (a payment that may yet
be taken back): a pause at which such a value stood does not begin the key anew, and the key stays
in state until an event gives it a value that does not hold, and ``horizon`` has passed after that.
Whoever uses it sees to it that such events come.

::

    horizon 10, holds "seen"
    added(0) ------------- 500 -------------> evicted(500)   one key: [added, evicted]
    confirmed(0) --------- 500 -------------> evicted(500)   a new one: [evicted]
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice, pairwise
from typing import Any, ClassVar

from joins import liveness
from joins.errors import JoinError
from joins.join import Join
from joins.liveness import RETRACTED, Change
from joins.outcome import Matched, Outcome, Row, changes
from joins.state import Key, Store
from schemas.envelope import Event
from schemas.ids import digester

Function = Callable[[list[tuple[str, Event]]], Any]


@dataclass(frozen=True, kw_only=True)
class Fold(Join):
    """One row a key: ``function`` of its live events of all sides; ``horizon`` in ms."""

    word: ClassVar[str] = "fold"
    kinds: ClassVar[tuple[str, ...]] = ("outer",)

    kind: str = "outer"
    function: Function
    horizon: int
    holds: Callable[[Any], bool] | None = None

    def _check(self) -> None:
        super()._check()
        if self.horizon < 0:
            raise JoinError(f"horizon is a number of ms from 0, not {self.horizon}")

    @property
    def reach(self) -> int:
        """Without its last event a row's ts falls back to the event before."""
        return self.horizon

    def _apply(self, store: Store, change: Change, watermark: int) -> list[Outcome]:
        """Ask the function before and after the change."""
        key = change.event.key
        before = self._all(store, key)
        old = self._rows(key, self._latest(before, self._marks(store, key)))
        self._record(store, change, watermark)
        if change.before is None:
            after = before.copy()
            insort(after, (change.side, change.event), key=self._place)
        else:
            after = self._all(store, key)
        new = self._rows(key, self._latest(after, self._marks(store, key)))
        return changes(old, new, change.correction)

    def _new(self, store: Store, side: str, event: Event, watermark: int) -> list[Outcome] | None:
        """The first event of a key, as most are, stands alone."""
        if store.next_due(RETRACTED) is not None or any(
            store.between((name, event.key)) for name in self.sides
        ):
            return super()._new(store, side, event, watermark)
        self._record(store, Change(side, None, event, False), watermark)
        return [*self._rows(event.key, [(side, event)])]

    def _rows(self, key: str, events: list[tuple[str, Event]]) -> list[Row]:
        value = self.function(events) if events else None
        if value is None:
            return []
        members = {
            name: tuple(event for side, event in events if side == name) for name in self.sides
        }
        return [Matched(self._id(key), key, events[-1][1].ts, members, value)]

    @cached_property
    def _id(self) -> Callable[..., str]:
        return digester(self.name, self.word, "matched")

    def _latest(self, events: list[tuple[str, Event]], marks: list[int]) -> list[tuple[str, Event]]:
        """Those of the key's live events that came since it began."""
        if not events or (not marks and events[-1][1].ts - events[0][1].ts <= self.horizon):
            return events
        start = self._start(events, _times(events, marks))
        return [item for item in events if item[1].ts >= start]

    def _start(self, events: list[tuple[str, Event]], times: list[int]) -> int:
        """After the key's last pause of more than ``horizon`` at which its value did not hold."""
        start = times[0]
        for last, after in pairwise(times):
            if after - last > self.horizon and not self._held(events, start, last):
                start = after
        return start

    def _held(self, events: list[tuple[str, Event]], start: int, end: int) -> bool:
        if self.holds is None:
            return False
        known = [item for item in events if start <= item[1].ts <= end]
        value = self.function(known) if known else None
        return value is not None and self.holds(value)

    def _marks(self, store: Store, key: str) -> list[int]:
        """When those of the key's events were that have been retracted."""
        if store.next_due(RETRACTED) is None:
            return []
        marks = [store.scan((RETRACTED, side, key)) for side in self.sides]
        return [int(mark[3]) for mark, _ in chain(*marks)]

    def _all(self, store: Store, key: str) -> list[tuple[str, Event]]:
        """The key's live events by (ts, id)."""
        found = [(side, event) for side in self.sides for event in store.between((side, key))]
        return sorted(found, key=self._place)

    def _place(self, item: tuple[str, Event]) -> tuple[int, str, int]:
        return item[1].ts, item[1].id, self.sides.index(item[0])

    def _due_rows(self, store: Store, watermark: int) -> list[Row]:
        return []

    def _timer_dues(self, store: Store) -> list[int | None]:
        return []

    def _last_use(self, side: str, ts: int) -> int:
        return ts + self.horizon

    def _forget(self, store: Store, place: Key, watermark: int) -> None:
        """An event stays while a later one continues it, or its key's value holds."""
        side, key, last = str(place[0]), str(place[1]), int(place[2])
        while self._expiry(side, last) <= watermark:
            after = self._continued(store, key, last)
            if after is None:
                self._end(store, place, last)
                return
            last = after
        liveness.keep(store, place, self._expiry(side, last))

    def _end(self, store: Store, place: Key, last: int) -> None:
        """Nothing continues the key after ``last``, unless it holds."""
        key = str(place[1])
        if self._holds_at(store, key, last):
            event = store.get(place)
            store.delete((RETRACTED, *place))  # says nothing that the value does not say
            if event is not None:
                store.put(place, event)
            return
        for side in self.sides if self.holds is not None else ():
            for event in store.between((side, key), None, (int(place[2]) + 1,)):
                liveness.forget(store, (side, key, event.ts, event.id))
        liveness.forget(store, place)

    def _holds_at(self, store: Store, key: str, last: int) -> bool:
        if self.holds is None:
            return False
        events = self._all(store, key)
        times = [ts for ts in _times(events, self._marks(store, key)) if ts <= last]
        return bool(times) and self._held(events, self._start(events, times), last)

    def _continued(self, store: Store, key: str, ts: int) -> int | None:
        """The last ts at most ``horizon`` after ``ts``."""
        low, high = (ts + 1,), (ts + self.horizon + 1,)
        found = []
        for side in self.sides:
            event = store.last((side, key), low, high)
            found += [] if event is None else [event.ts]
            marks = store.scan((RETRACTED, side, key), low, high, reverse=True)
            found += [int(mark[3]) for mark, _ in islice(marks, 1)]
        return max(found, default=None)


def _times(events: list[tuple[str, Event]], marks: list[int]) -> list[int]:
    """When anything was ever said of a key, in order."""
    return sorted([*marks, *(event.ts for _, event in events)])
