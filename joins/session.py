"""Session windows: events of a key that follow each other closely, whatever their side.

::

    gap 10:   l(0)   r(8)    l(15)                  r(40)
              [------ one session, [0, 16) ------]  [40, 41)

A session is of live events, so a retract may split one and a new event may join two. It closes
when ``W - grace > last + gap`` (the greatest grace of the sides), since then nothing in time can
reach it any more. It is kept until ``W - max(grace, retract_grace) > last + gap``.

State beside the common entries: ``(name, "t", due, key, last)``, a session that ends at ``last``,
to be closed.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from joins import liveness
from joins.group import Sides, has_kind
from joins.join import Join
from joins.liveness import Change
from joins.outcome import Matched, Outcome, Row, changes
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

    @abstractmethod
    def _stands(
        self, key: str, sessions: list[Found], change: Change, watermark: int
    ) -> list[Row]:
        """The results of the sessions around a change, as far as the change may touch them."""

    @abstractmethod
    def _at_close(self, key: str, session: Found) -> list[Row]:
        """The results that become certain when a session closes."""

    def apply(self, store: Store, change: Change, watermark: int) -> list[Outcome]:
        """Compare the sessions around the event before and after the change."""
        event = change.event
        before = self._stands(event.key, self._around(store, event), change, watermark)
        self._record(store, change)
        sessions = self._around(store, event)
        for session in sessions:
            self._wait(store, event.key, session, watermark)
        after = self._stands(event.key, sessions, change, watermark)
        return changes(before, after, change.correction)

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
            events = store.scan((*self.prefix, "e", key, side), (low,), (high,), reverse=back)
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

    def _wait(self, store: Store, key: str, session: Found, watermark: int) -> None:
        due = self._closes(session.last)
        timer = (*self.prefix, "t", due, key, session.last)
        if due > watermark and store.get(timer) is None:
            store.put(timer, session.first)

    def _due_rows(self, store: Store, watermark: int) -> list[Row]:
        found: list[tuple[int, Row]] = []
        for timer, _ in list(store.scan((*self.prefix, "t"), high=(watermark + 1,))):
            store.delete(timer)
            due, key, last = int(timer[-3]), str(timer[-2]), int(timer[-1])
            if self.emit == "final" and self._is_last(store, key, last):
                first = self._end(store, key, last, back=True)
                session = self._found(store, key, first, last)
                found += [(due, row) for row in self._at_close(key, session)]
        found.sort(key=lambda item: (item[0], item[1].ts, item[1].id))
        return [row for _, row in found]

    def _is_last(self, store: Store, key: str, ts: int) -> bool:
        here = self._nearest(store, key, ts, ts + 1, back=False)
        return here is not None and self._end(store, key, ts, back=False) == ts

    def _last_use(self, side: str, ts: int) -> int:
        return ts + self.windows.gap

    def _forget(self, store: Store, path: Key, watermark: int) -> None:
        """An event stays as long as its session may still change."""
        key, side, ts = str(path[0]), str(path[1]), int(path[2])
        if store.get((*self.prefix, "e", *path)) is not None:
            due = self._expiry(side, self._end(store, key, ts, back=False))
            if due > watermark:
                store.put((*self.prefix, "x", due, *path), 0)
                return
        liveness.forget(store, self.prefix, path)


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

    def _stands(
        self, key: str, sessions: list[Found], change: Change, watermark: int
    ) -> list[Row]:
        seen = [session for session in sessions if self._seen(session, watermark)]
        return [row for session in seen for row in self._at_close(key, session)]

    def _at_close(self, key: str, session: Found) -> list[Row]:
        first, last, members = session
        if not has_kind(self.kind, members):
            return []
        id = digest_id(self.name, self.word, "matched", key, first, last + 1)
        return [Matched(id, key, last, members, self.value_of(members))]

    def holdback(self, store: Store) -> int | None:
        """The last ts of the session that closes first: its record has that ts."""
        return next((int(timer[-1]) for timer, _ in store.scan((*self.prefix, "t"))), None)


def _one(entries: Iterator[tuple[Key, Any]]) -> Iterator[tuple[Key, Any]]:
    for entry in entries:
        yield entry
        return
