"""Window group: one record a window, with everything that every side had in it.

::

    windows of 10:  [0  a1   b1   a2   10) [10        20)
                    one record, ts 9: {a: (a1, a2), b: (b1,)}

=======  ======================================
outer    every window with an event (default)
left     the first side is not empty
inner    no side is empty
=======  ======================================

``final``: when the window closes, ``W - grace > end - 1`` with the greatest grace of the sides.
``eager``: at each change, once a batch. State beside the common entries: ``("/", "t", due)``, the
start of windows that are to be closed. Of which keys these are the timeline of the events tells: an
event is forgotten a constant after its last window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from joins.join import Join
from joins.liveness import Change
from joins.outcome import Matched, Outcome, Row, changes, in_order
from joins.state import Store
from joins.windows import Fixed, Window
from schemas.envelope import Event
from schemas.ids import digester

Sides = dict[str, tuple[Event, ...]]
Standing = dict[tuple[str, Window], Row | None]
"""By key and window what was said of it."""


@dataclass(frozen=True, kw_only=True)
class GroupJoin(Join):
    """One record a key and window, of any number of sides (``WindowJoin(mode="group")``)."""

    word: ClassVar[str] = "window"
    kinds: ClassVar[tuple[str, ...]] = ("outer", "left", "inner")

    kind: str = "outer"
    windows: Fixed

    @cached_property
    def matched_id(self) -> Callable[..., str]:
        """From key, start and end to the id of a result."""
        return digester(self.name, self.word, "matched")

    @property
    def reach(self) -> int:
        """A window's ts is its last instant, never below that of an event in it."""
        return 0

    def _apply(self, store: Store, change: Change, watermark: int) -> list[Outcome]:
        """Compare the windows that are in sight before and after the change."""
        return self._take_all(store, (change,), watermark)

    @cached_property
    def _lazy(self) -> bool:
        """Whether nothing need be known of a window before it closes but its events."""
        return self.emit == "final"

    def _new(self, store: Store, side: str, event: Event, watermark: int) -> list[Outcome] | None:
        """It waits for its windows, or is one of the changes of a batch."""
        ts = event.ts
        starts = self.windows.starts(ts) if self._lazy else ()
        if not starts or self._seen(starts[0], watermark):
            return None
        if not store.add((side, event.key, ts, event.id), event, self._expiry(side, ts)):
            return None
        for start in starts:
            self._expect(store, start)
        return []

    def _take_all(self, store: Store, arrived: Iterable[Change], watermark: int) -> list[Outcome]:
        """Read each window that is in sight once before and once after: it may be a large one."""
        before: Standing = {}
        corrects: set[tuple[str, Window]] = set()
        for change in arrived:
            touched = self._take(store, change, watermark, before)
            corrects.update(touched if change.correction else ())
        said: list[Outcome] = []
        for place, old in before.items():
            now = self._now(store, (place,))
            said += changes(_rows((old,)), now, place in corrects)
        return said

    def _take(
        self, store: Store, change: Change, watermark: int, before: Standing
    ) -> list[tuple[str, Window]]:
        """Write a change down, ``before`` that the windows in sight; returns these.

        The others are to be closed in time.
        """
        key, seen = change.event.key, []
        for start in self.windows.starts(change.event.ts):
            if not self._seen(start, watermark):
                self._expect(store, start)
                continue
            window = Window(start, start + self.windows.size)
            seen.append((key, window))
            if (key, window) not in before:
                before[key, window] = self._row(store, key, window)
        self._record(store, change, watermark)
        return seen

    def _now(self, store: Store, places: Iterable[tuple[str, Window]]) -> list[Row]:
        return _rows(self._row(store, *place) for place in places)

    def _row(self, store: Store, key: str, window: Window) -> Row | None:
        members: Sides = {
            side: tuple(self._events(store, key, side, window.start, window.end - 1))
            for side in self.sides
        }
        return group_row(self, key, window, members)

    # --- time -------------------------------------------------------------------------------

    @cached_property
    def _open_for(self) -> int:
        """From a window's start until it closes."""
        return self.windows.size + self.max_grace

    def _seen(self, start: int, watermark: int) -> bool:
        """Whether what is said of a window is said at once."""
        return self.emit == "eager" or watermark >= start + self._open_for

    def _expect(self, store: Store, start: int) -> None:
        """Close the windows that start here in time."""
        timer = (*self.prefix, "t", start + self._open_for)
        if store.get(timer) is None:
            store.put(timer, start)

    def _due_rows(self, store: Store, watermark: int) -> list[Row]:
        rows: list[Row] = []
        for timer, start in list(store.scan((*self.prefix, "t"), high=(watermark + 1,))):
            store.delete(timer)
            rows += in_order(self._closing(store, start))
        return rows

    def _closing(self, store: Store, start: int) -> Iterator[Row]:
        """What the windows have to say that start here."""
        window = Window(start, start + self.windows.size)
        least, most = self._forgotten(start), self._forgotten(window.end - 1)
        places = (p for side in self.sides for p in store.due(side, least, most + 1))
        keys = dict.fromkeys(str(p[1]) for p in places if start <= p[2] < window.end)  # type: ignore[operator]
        return (row for key in keys if (row := self._row(store, key, window)) is not None)

    def _forgotten(self, ts: int) -> int:
        """When nothing can change what an event at ``ts`` is part of any more."""
        return self.windows.last_end(ts) + self.undo_grace

    def _last_use(self, side: str, ts: int) -> int:
        return self.windows.last_end(ts) - 1

    def _expiry(self, side: str, ts: int) -> int:
        return max(self.windows.last_end(ts), ts + 1) + self.undo_grace


def _rows(found: Iterable[Row | None]) -> list[Row]:
    return [row for row in found if row is not None]


def has_kind(kind: str, members: Sides) -> bool:
    """Whether a window with these members has a record, by ``kind``."""
    filled = [bool(events) for events in members.values()]
    return {"outer": any(filled), "left": filled[0], "inner": all(filled)}[kind]


def group_row(join: GroupJoin, key: str, window: Window, members: Sides) -> Row | None:
    """The record of a window, or None where ``kind`` wants none."""
    if not has_kind(join.kind, members):
        return None
    id = join.matched_id(key, str(window.start), str(window.end))
    return Matched(id, key, window.end - 1, members)
