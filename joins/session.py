"""Session windows: events of a key that follow each other closely, whatever their side.

::

    gap 10:   l(0)   r(8)    l(15)                  r(40)
              [------ one session, [0, 16) ------]  [40, 41)

A session is of live events, so a retract may split one and a new event may join two. It closes
when ``W - grace > last + gap`` (the greatest grace of the sides), since then nothing in time can
reach it any more. It is kept until ``W - max(grace, retract_grace) > last + gap``.

State beside the common entries: ``(name, "t", due, key, last)``, a session that ends at ``last``,
to be closed (1: a correction had a part in it); ``(name, "h", ts, key, last)``, the least ts that
a result of it may have.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from joins import liveness
from joins.group import Sides, has_kind
from joins.join import Join, first_at
from joins.liveness import Change
from joins.outcome import Matched, Outcome, Row, changes, corrected
from joins.state import Key, Store
from joins.windows import Session
from schemas.envelope import Event
from schemas.ids import digest_id


class Found(NamedTuple):
    """A session: its first and last ts, and its events by side and (ts, id)."""

    first: int
    last: int
    members: Sides


@dataclass(frozen=True, kw_only=True)
class SessionJoin(Join):
    """What session group and product share: finding sessions, closing and forgetting them."""

    word: ClassVar[str] = "window"

    windows: Session

    @property
    @abstractmethod
    def _waits(self) -> bool:
        """Whether an open session has results to come."""

    @abstractmethod
    def _stands(self, key: str, sessions: list[Found], change: Change, watermark: int) -> list[Row]:
        """The results of the sessions around a change, as far as the change may touch them."""

    @abstractmethod
    def _at_close(self, key: str, session: Found) -> list[Row]:
        """The results that become certain when a session closes."""

    @abstractmethod
    def _least(self, session: Found) -> int | None:
        """The least ts of a result that is still to come of an open session."""

    def _apply(self, store: Store, change: Change, watermark: int) -> list[Outcome]:
        """Compare the sessions around the event before and after the change."""
        event = change.event
        old = self._around(store, event)
        before = self._stands(event.key, old, change, watermark)
        self._record(store, change, watermark)
        new = self._around(store, event)
        after = self._stands(event.key, new, change, watermark)
        corrects = self._turn(store, change, old, new, watermark)
        return changes(before, after, corrects)

    def _turn(
        self, store: Store, change: Change, old: list[Found], new: list[Found], watermark: int
    ) -> bool:
        """Move the timers; whether a correction had a part in what was open."""
        key = change.event.key
        before = {timer for session in old for timer in self._timers(key, session, watermark)}
        corrects = change.correction or any(store.get(timer) == 1 for timer in before)
        after = {timer for session in new for timer in self._timers(key, session, watermark)}
        for timer in before - after:
            store.delete(timer)
        for timer in after if corrects else after - before:
            store.put(timer, int(corrects))
        return corrects

    def _timers(self, key: str, session: Found, watermark: int) -> Iterator[Key]:
        due, least = self._closes(session.last), self._least(session)
        if self._waits and due > watermark:
            yield (*self.prefix, "t", due, key, session.last)
            if least is not None:
                yield (*self.prefix, "h", least, key, session.last)

    def holdback(self, store: Store) -> int | None:
        """The least ts of a result of any open session."""
        return first_at(store, (*self.prefix, "h"), 2)

    @property
    def delay(self) -> int | None:
        """An open session holds time back, and may go on for ever."""
        return None if self._waits else self.max_grace

    # --- sessions ---------------------------------------------------------------------------

    def _around(self, store: Store, event: Event) -> list[Found]:
        """The session that the event is in, or the ones that it would join; the earliest first."""
        key, ts = event.key, event.ts
        left, right = self._end(store, key, ts, back=True), self._end(store, key, ts, back=False)
        here = self._nearest(store, key, ts, ts + 1, back=False) is not None
        if here:
            return [self._found(store, key, left, right)]
        parts = []
        if left < ts:
            last = self._nearest(store, key, left, ts, back=True)
            parts.append(self._found(store, key, left, ts if last is None else last))
        if right > ts:
            first = self._nearest(store, key, ts + 1, right + 1, back=False)
            parts.append(self._found(store, key, ts if first is None else first, right))
        if len(parts) == 2 and parts[1].first - parts[0].last <= self.windows.gap:
            return [self._found(store, key, left, right)]
        return parts

    def _end(self, store: Store, key: str, ts: int, back: bool) -> int:
        """Where a chain of events at most ``gap`` apart, beginning at ``ts``, ends."""
        gap = self.windows.gap
        while True:
            low, high = (ts - gap, ts) if back else (ts + 1, ts + gap + 1)
            # The farthest event within the gap: the chain may skip those between.
            found = self._nearest(store, key, low, high, back=not back)
            if found is None:
                return ts
            ts = found

    def _nearest(self, store: Store, key: str, low: int, high: int, back: bool) -> int | None:
        """The last (``back``) or first ts of a live event of any side in ``[low, high)``."""
        found = []
        for side in self.sides:
            events = store.scan((side, key), (low,), (high,), reverse=back)
            found += [int(path[-2]) for path, _ in _one(events)]
        return (max if back else min)(found) if found else None

    def _found(self, store: Store, key: str, first: int, last: int) -> Found:
        members = {side: tuple(self._events(store, key, side, first, last)) for side in self.sides}
        return Found(first, last, members)

    # --- deadlines and expiry ---------------------------------------------------------------

    def _closes(self, last: int) -> int:
        return last + self.windows.gap + self.max_grace + 1

    def _seen(self, session: Found, watermark: int) -> bool:
        return self.emit == "eager" or watermark >= self._closes(session.last)

    def _due_rows(self, store: Store, watermark: int) -> list[Row]:
        found: list[tuple[int, Row]] = []
        timers = list(store.scan((*self.prefix, "t"), high=(watermark + 1,)))
        for timer, correction in timers:
            due, key, last = int(timer[-3]), str(timer[-2]), int(timer[-1])
            session = self._found(store, key, self._end(store, key, last, back=True), last)
            for entry in list(self._timers(key, session, due - 1)):
                store.delete(entry)
            rows = self._at_close(key, session)
            found += [(due, row) for row in (corrected(rows) if correction else rows)]
        found.sort(key=lambda item: (item[0], item[1].ts, item[1].id))
        return [row for _, row in found]

    def _last_use(self, side: str, ts: int) -> int:
        return ts + self.windows.gap

    def _forget(self, store: Store, place: Key, watermark: int) -> None:
        """An event stays as long as its session may still change."""
        side, key, ts = str(place[0]), str(place[1]), int(place[2])
        if store.get(place) is not None:
            due = self._expiry(side, self._end(store, key, ts, back=False))
            if due > watermark:
                liveness.keep(store, place, due)
                return
        liveness.forget(store, place)


@dataclass(frozen=True, kw_only=True)
class SessionGroup(SessionJoin):
    """One record a session, with everything that every side had in it."""

    kinds: ClassVar[tuple[str, ...]] = ("outer", "left", "inner")

    kind: str = "outer"

    @property
    def reach(self) -> int:
        """A session that loses its last event ends up to a gap earlier."""
        return self.windows.gap

    def value_of(self, members: Sides) -> Any:
        """What is said of a session beside its members."""
        return None

    def _stands(self, key: str, sessions: list[Found], change: Change, watermark: int) -> list[Row]:
        seen = [session for session in sessions if self._seen(session, watermark)]
        return [row for session in seen for row in self._at_close(key, session)]

    def _at_close(self, key: str, session: Found) -> list[Row]:
        first, last, members = session
        if not has_kind(self.kind, members):
            return []
        id = digest_id(self.name, self.word, "matched", key, first, last + 1)
        return [Matched(id, key, last, members, self.value_of(members))]

    @property
    def _waits(self) -> bool:
        return self.emit == "final"

    @property
    def delay(self) -> int | None:
        """The result of an open session is at its last event, a gap before its end."""
        return self.max_grace + (self.windows.gap if self._waits else 0)

    def _least(self, session: Found) -> int | None:
        return session.last


def _one(entries: Iterator[tuple[Key, Any]]) -> Iterator[tuple[Key, Any]]:
    for entry in entries:
        yield entry
        return
