"""Where the sessions of a key are, and how an event moves them.

::

    gap 10:   [0 .. 15]  24  [31 .. 60]      24 joins them:            [0 .. 60]
              [0 .. 24 .. 60]                without 24 they are two:  [0 .. 15] [31 .. 60]

A session is one entry of state, ``("/sessions", key, first)``: so an event finds its session, and
the ones that it joins, in O(log n) of the key's sessions, and is told from its neighbours in
O(log n) of its events. Only a retract that splits a session reads events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from joins.liveness import Change
from joins.outcome import Row
from joins.state import Store
from joins.tally import Tallies, Tally
from schemas.envelope import Event

SESSIONS = "/sessions"


@dataclass(slots=True)
class Story:
    """Sessions that come of one another in a batch: what was said of them before."""

    before: list[Row] = field(default_factory=list)
    corrects: bool = False
    """A correction had a part in them."""


@dataclass(slots=True)
class Found:
    """A session: its first and last ts, and what is kept beside its events."""

    key: str
    first: int
    last: int
    tally: Tally
    reader: Reader
    story: Story = field(default_factory=Story)

    @property
    def members(self) -> dict[str, tuple[Event, ...]]:
        """Its live events by side, each by (ts, id)."""
        return self.reader.members(self.key, self.first, self.last)

    @property
    def filled(self) -> list[bool]:
        """Side by side, whether it has an event."""
        return [count > 0 for count in self.tally[: len(self.reader.sides)]]


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the live events of a store."""

    store: Store
    sides: tuple[str, ...]

    def members(self, key: str, first: int, last: int) -> dict[str, tuple[Event, ...]]:
        """By side those with ``first <= ts <= last``, each by (ts, id)."""
        read = self.store.between
        return {side: tuple(read((side, key), (first,), (last + 1,))) for side in self.sides}

    def before(self, key: str, low: int, ts: int) -> int | None:
        """The ts of the last event with ``low <= its ts < ts``."""
        found = (self.store.last((side, key), (low,), (ts,)) for side in self.sides)
        return max((event.ts for event in found if event is not None), default=None)

    def after(self, key: str, ts: int, high: int) -> int | None:
        """The ts of the first event with ``ts < its ts <= high``."""
        scans = (self.store.scan((side, key), (ts + 1,), (high + 1,)) for side in self.sides)
        found = (next(iter(scan), None) for scan in scans)
        return min((entry[1].ts for entry in found if entry is not None), default=None)


class Working:
    """The sessions that a batch has to do with, read and written once each."""

    def __init__(
        self,
        store: Store,
        sides: tuple[str, ...],
        gap: int,
        tallies: Tallies,
        says: Callable[[Found], list[Row]] | None = None,
    ) -> None:
        """``says``: what was said of a session, asked before the batch changes it."""
        self.store, self.gap, self.tallies, self.says = store, gap, tallies, says
        self.reader = Reader(store, sides)
        self.touched: dict[tuple[str, int], Found] = {}
        self.stories: dict[int, Story] = {}
        """Of the sessions that have changed, by identity."""

    def around(self, key: str, ts: int) -> list[Found]:
        """The session that an event at ``ts`` is in, or those that it joins; the earliest first."""
        near: list[Found] = []
        entry = self.store.last((SESSIONS, key), None, (ts + 1,))
        if entry is not None:
            last = self.last_of(key, entry)
            if last + self.gap >= ts:
                near.append(self.known(key, entry))
            if last >= ts:
                return near
        later = self.store.between((SESSIONS, key), (ts + 1,), (ts + self.gap + 1,))
        return near + [self.known(key, entry) for entry in later]

    def last_of(self, key: str, entry: list[Any]) -> int:
        """Where the session of an entry ends by now."""
        session = self.touched.get((key, int(entry[0])))
        return int(entry[1]) if session is None else session.last

    def known(self, key: str, entry: list[Any]) -> Found:
        """The session of an entry, as the batch has changed it."""
        place = (key, int(entry[0]))
        session = self.touched.get(place)
        if session is None:
            session = self.touched[place] = self.load(key, entry)
            if self.says is not None:
                session.story.before = self.says(session)
        return session

    def load(self, key: str, entry: list[Any]) -> Found:
        """The session of an entry."""
        first, last, corrects, *tally = entry
        story = Story(corrects=bool(corrects))
        return Found(key, first, last, self.tallies.own(tally), self.reader, story)

    def renew(self, old: list[Found], change: Change) -> list[Found]:
        """What has become of the sessions around a change, now that it is written down."""
        key, ts = change.event.key, change.event.ts
        if len(old) == 1 and old[0].first <= ts and change.after is not None:
            return [self._grown(old[0], change)]
        story = self._told(old)
        story.corrects |= change.correction
        if change.after is None:
            new = self._without(old, change)
        else:
            new = [self._with(old, key, ts)]
            self.tallies.change(new[0].tally, change)
        for session in new:
            session.story = story
        self._place(old, new)
        return new

    def _grown(self, session: Found, change: Change) -> Found:
        session.last = max(session.last, change.event.ts)
        story = self.stories[id(session.story)] = session.story
        story.corrects |= change.correction
        self.tallies.change(session.tally, change)
        return session

    def _told(self, old: list[Found]) -> Story:
        """One story of all."""
        story = old[0].story if old else Story()
        self.stories[id(story)] = story
        for session in old[1:]:
            other = session.story
            if other is not story:
                story.before += other.before
                story.corrects |= other.corrects
                self.stories.pop(id(other), None)
                for found in self.touched.values():
                    if found.story is other:
                        found.story = story
        return story

    def _with(self, old: list[Found], key: str, ts: int) -> Found:
        if not old:
            return Found(key, ts, ts, self.tallies.zero(), self.reader)
        tally = old[0].tally
        for session in old[1:]:
            tally = self.tallies.merge(tally, session.tally)
        first, last = min(ts, old[0].first), max(ts, old[-1].last)
        return Found(key, first, last, tally, self.reader)

    def _without(self, old: list[Found], change: Change) -> list[Found]:
        parts = [part for session in old for part in self._parts(session, change.event.ts)]
        if len(parts) != 1:
            return parts
        self.tallies.change(old[0].tally, change)
        parts[0].tally = old[0].tally
        return parts

    def _parts(self, session: Found, ts: int) -> list[Found]:
        """What a session falls into when an event at ``ts`` has gone."""
        key, first, last = session.key, session.first, session.last
        if self.reader.before(key, ts, ts + 1) is not None:
            return [self._part(key, first, last)]
        before, after = self.reader.before(key, first, ts), self.reader.after(key, ts, last)
        if before is not None and after is not None and after - before <= self.gap:
            return [self._part(key, first, last)]
        low = [] if before is None else [self._part(key, first, before)]
        high = [] if after is None else [self._part(key, after, last)]
        if low and high:
            for part in (*low, *high):
                part.tally = self.tallies.of(part.members)
        return low + high

    def _part(self, key: str, first: int, last: int) -> Found:
        return Found(key, first, last, [], self.reader)

    def _place(self, old: Iterable[Found], new: list[Found]) -> None:
        """Let the store know where sessions begin; the rest is written at the end of the batch."""
        gone = {(session.key, session.first) for session in old}
        come = {(session.key, session.first): session for session in new}
        for place in gone - come.keys():
            del self.touched[place]
            self.store.delete((SESSIONS, *place))
        for place, session in come.items():
            self.touched[place] = session
            if place not in gone:
                self.store.put((SESSIONS, *place), [session.first])

    def save(self, session: Found, due: int, corrects: bool) -> None:
        """Write a session whole; it is due when it is forgotten."""
        tally = self.tallies.kept(session.tally)
        entry = [session.first, session.last, int(corrects), *tally]
        self.store.put((SESSIONS, session.key, session.first), entry, due)
