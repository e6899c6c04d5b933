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
``eager``: at each change, once a batch. State beside the common entries: ``("/", "t", due, key,
start)``, a window to be closed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from joins.join import Join
from joins.liveness import Change
from joins.outcome import Matched, Outcome, Row, changes
from joins.state import Store
from joins.windows import Fixed, Window
from schemas.envelope import Event
from schemas.ids import digest_id

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

    @property
    def reach(self) -> int:
        """A window's ts is its last instant, never below that of an event in it."""
        return 0

    def _apply(self, store: Store, change: Change, watermark: int) -> list[Outcome]:
        """Compare the windows that are in sight before and after the change."""
        before: Standing = {}
        self._take(store, change, watermark, before)
        return changes(_rows(before.values()), self._now(store, before), change.correction)

    def on_batch(
        self,
        store: Store,
        side: str,
        events: Iterable[Event],
        watermark: int,
        void: list[Event] | None = None,
    ) -> list[Outcome]:
        """As of any join; what events change together is asked once."""
        return self._take_all(store, self._effects(store, side, events, void), watermark)

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
        for window in self.windows.containing(change.event.ts):
            if self.emit == "eager" or watermark >= self._closes(window):
                seen.append((key, window))
                if (key, window) not in before:
                    before[key, window] = self._row(store, key, window)
            else:
                self._wait(store, key, window)
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

    def _closes(self, window: Window) -> int:
        return window.end + self.max_grace

    def _wait(self, store: Store, key: str, window: Window) -> None:
        timer = (*self.prefix, "t", self._closes(window), key, window.start)
        if store.get(timer) is None:
            store.put(timer, 0)

    def _due_rows(self, store: Store, watermark: int) -> list[Row]:
        found: list[tuple[int, Row]] = []
        for timer, _ in list(store.scan((*self.prefix, "t"), high=(watermark + 1,))):
            due, key, start = int(timer[2]), str(timer[3]), int(timer[4])
            store.delete(timer)
            row = self._row(store, key, Window(start, start + self.windows.size))
            if row is not None:
                found.append((due, row))
        found.sort(key=lambda item: (item[0], item[1].ts, item[1].id))
        return [row for _, row in found]

    def _last_use(self, side: str, ts: int) -> int:
        return self.windows.last_end(ts) - 1


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
    id = digest_id(join.name, join.word, "matched", key, window.start, window.end)
    return Matched(id, key, window.end - 1, members)
