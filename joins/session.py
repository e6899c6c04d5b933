"""Session windows: events of a key that follow each other closely, whatever their side.

::

    gap 10:   l(0)   r(8)    l(15)                  r(40)
              [------ one session, [0, 16) ------]  [40, 41)

A session is of live events, so a retract may split one and a new event may join two. It closes
when ``W - grace > last + gap`` (the greatest grace of the sides), since then nothing in time can
reach it any more. It is kept until ``W - max(grace, retract_grace) > last + gap``.

State: ``("/sessions", key, first)``, a session and its tally (``joins.session_state``), due when it
is forgotten with its events, which have no time of their own; ``("/", "w")``, the watermark up to
which sessions have been closed.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from joins import liveness
from joins.clock import NEG_INF
from joins.join import Join
from joins.liveness import RETRACTED, Change
from joins.outcome import Matched, Member, Outcome, Row, changes, corrected
from joins.session_state import SESSIONS, Found, Working
from joins.state import Key, Store
from joins.tally import Tallies
from joins.windows import Session
from schemas.envelope import Event
from schemas.ids import digest_id


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
    def _at_close(self, key: str, session: Found) -> list[Row]:
        """The results that become certain when a session closes."""

    @abstractmethod
    def holdback(self, store: Store) -> int | None:
        """The least ts of a result that is still to come of an open session."""

    def _closed(self, store: Store, session: Found) -> None:
        """A session is closed."""

    @cached_property
    def _tallies(self) -> Tallies:
        return Tallies(self.sides, {})

    def _working(self, store: Store) -> Working:
        return Working(store, self.sides, self.windows.gap, self._tallies)

    def _save(self, work: Working, watermark: int) -> None:
        """Write down what a batch has made of its sessions."""
        closed = False
        for session in work.touched.values():
            waits = self._waits and self._closes(session.last) > watermark
            closed |= not waits
            work.save(session, self._gone(session.last), waits and session.story.corrects)
        if closed and self._waits and self._closed_until(work.store) < watermark:
            work.store.put(self._mark, watermark)

    def _record(self, store: Store, change: Change, watermark: int) -> None:
        """Write the change down; an event goes with its session, the mark of a retract alone."""
        liveness.record(store, change, None)
        if change.before is not None:
            event = change.event
            due = self._expiry(change.side, event.ts)
            mark = (RETRACTED, change.side, event.key, event.ts, event.id)
            store.put(mark, 1, max(due, watermark + 1))

    @property
    def delay(self) -> int | None:
        """An open session holds time back, and may go on for ever."""
        return None if self._waits else self.max_grace

    # --- deadlines and expiry ---------------------------------------------------------------

    def _closes(self, last: int) -> int:
        return last + self.windows.gap + self.max_grace + 1

    def _seen(self, session: Found, watermark: int) -> bool:
        return self.emit == "eager" or watermark >= self._closes(session.last)

    def _gone(self, last: int) -> int:
        """When a session that ends at ``last`` is forgotten."""
        return last + self.windows.gap + self.undo_grace + 1

    @cached_property
    def _mark(self) -> Key:
        return (*self.prefix, "w")

    def _closed_until(self, store: Store) -> int:
        mark = store.get(self._mark)
        return NEG_INF if mark is None else int(mark)

    def _open_from(self, store: Store) -> int:
        """Sessions that are forgotten from here on are open, the others are closed."""
        return self._closed_until(store) + self.undo_grace - self.max_grace + 1

    def _next_close(self, store: Store) -> int | None:
        due = store.next_due(SESSIONS, self._open_from(store)) if self._waits else None
        return None if due is None else due - self.undo_grace + self.max_grace

    def _timer_dues(self, store: Store) -> list[int | None]:
        return [self._next_close(store), store.next_due(SESSIONS)]

    def _due_rows(self, store: Store, watermark: int) -> list[Row]:
        if not self._waits:
            return []
        high = watermark + self.undo_grace - self.max_grace + 1
        places = store.due(SESSIONS, self._open_from(store), high)
        if places:
            store.put(self._mark, watermark)
        found: list[tuple[int, Row]] = []
        for place in places:
            found += self._closing(store, place)
        found.sort(key=lambda item: (item[0], item[1].ts, item[1].id))
        return [row for _, row in found]

    def _closing(self, store: Store, place: Key) -> Iterator[tuple[int, Row]]:
        session = self._working(store).load(str(place[1]), store.get(place) or [])
        self._closed(store, session)
        rows = self._at_close(session.key, session)
        for row in corrected(rows) if session.story.corrects else rows:
            yield session.last, row

    def _last_use(self, side: str, ts: int) -> int:
        return ts + self.windows.gap

    def _expire(self, store: Store, watermark: int) -> None:
        super()._expire(store, watermark)
        for place in store.due(SESSIONS, None, watermark + 1):
            first, last, *_ = store.get(place) or (0, 0)
            store.delete(place)
            for side in self.sides:
                for path, _ in list(store.scan((side, place[1]), (first,), (last + 1,))):
                    store.delete(path)
        if store.next_due(SESSIONS) is None:
            store.delete(self._mark)

    def _forget(self, store: Store, place: Key, watermark: int) -> None:
        """An event goes with its session."""
        store.delete((RETRACTED, *place))


@dataclass(frozen=True, kw_only=True)
class SessionGroup(SessionJoin):
    """One record a session, with everything that every side had in it."""

    kinds: ClassVar[tuple[str, ...]] = ("outer", "left", "inner")

    kind: str = "outer"

    @property
    def reach(self) -> int:
        """A session that loses its last event ends up to a gap earlier."""
        return self.windows.gap

    @property
    def delay(self) -> int | None:
        """The result of an open session is at its last event, a gap before its end."""
        return self.max_grace + (self.windows.gap if self._waits else 0)

    def _apply(self, store: Store, change: Change, watermark: int) -> list[Outcome]:
        return self._take_all(store, (change,), watermark)

    def _new(self, store: Store, side: str, event: Event, watermark: int) -> list[Outcome] | None:
        """A session is asked once about all that comes together."""
        return None

    def _take_all(self, store: Store, arrived: Iterable[Change], watermark: int) -> list[Outcome]:
        """Each session is read, written and said once, however many of its events come."""
        work = self._saying(store, watermark)
        for change in arrived:
            self._step(store, work, change, watermark)
        return self._finish(work, watermark)

    def _saying(self, store: Store, watermark: int) -> Working:
        def says(session: Found) -> list[Row]:
            return self._at_close(session.key, session) if self._seen(session, watermark) else []

        return Working(store, self.sides, self.windows.gap, self._tallies, says)

    def _step(self, store: Store, work: Working, change: Change, watermark: int) -> None:
        old = work.around(change.event.key, change.event.ts)
        self._record(store, change, watermark)
        work.renew(old, change)

    def _finish(self, work: Working, watermark: int) -> list[Outcome]:
        now: dict[int, list[Row]] = {story: [] for story in work.stories}
        for session in work.touched.values():
            if self._seen(session, watermark):
                now[id(session.story)] += self._at_close(session.key, session)
        said: list[Outcome] = []
        for number, story in work.stories.items():
            said += changes(story.before, now[number], story.corrects)
        self._save(work, watermark)
        return said

    def _at_close(self, key: str, session: Found) -> list[Row]:
        if not self._tallies.has_kind(self.kind, session.tally):
            return []
        first, last = session.first, session.last
        id = digest_id(self.name, self.word, "matched", key, first, last + 1)
        return [Matched(id, key, last, self._shown(session), self._value(session))]

    def _shown(self, session: Found) -> Mapping[str, Member]:
        return session.members

    def _value(self, session: Found) -> Any:
        return None

    @property
    def _waits(self) -> bool:
        return self.emit == "final"

    def holdback(self, store: Store) -> int | None:
        """The least ts of a result of any open session: the last ts of the one that closes next."""
        closes = self._next_close(store)
        return None if closes is None else closes - self._closes(0)
