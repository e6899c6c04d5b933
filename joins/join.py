"""What every join has in common: its configuration, and the way it meets events and watermarks.

A join is immutable configuration; all that it remembers is in a ``Store`` of its own:

=============================  =================================================
``(side, key, ts, id)``        a live event
``("/r", side, key, ts, id)``  a retract of this id has had an effect
``("/...", ...)``              results that wait for ``W``, laid out by each join
=============================  =================================================

The first two are due when they are to be forgotten, which is a constant after ``ts`` in most joins:
so the same timeline tells which events another deadline has come to.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

from joins import liveness
from joins.clock import SideTime, TaskClock
from joins.errors import JoinError
from joins.liveness import RETRACTED, Change
from joins.outcome import Outcome, Row
from joins.state import Key, Store
from schemas.envelope import Event

Emit = Literal["final", "eager"]
PerSide = int | Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Join(ABC):
    """Common arguments; times in ms.

    ``name``: of the step, part of every result's id. ``sides``: in the order of the id.
    ``lateness``: how far an observed side's watermark stays behind its events. ``grace``: how much
    further behind an event may come and still count. ``retract_grace``: the same for corrections;
    by default the greatest ``grace``, or ``reach`` where that is more (a step that reads writers of
    ours adds their ``retract_grace``). ``emit``: ``final``, results come when they are certain;
    ``eager``, at once and are corrected.
    """

    word: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]]

    name: str = "join"
    kind: str = "inner"
    sides: tuple[str, ...] = ("left", "right")
    lateness: PerSide = 0
    grace: PerSide = 0
    retract_grace: int | None = None
    emit: Emit = "final"

    def __post_init__(self) -> None:
        object.__setattr__(self, "sides", tuple(self.sides))
        self._check()

    def _check(self) -> None:
        if self.kind not in self.kinds:
            raise JoinError(f"kind is one of {', '.join(self.kinds)} here, not {self.kind!r}")
        if self.emit not in ("final", "eager"):
            raise JoinError(f"emit is 'final' or 'eager', not {self.emit!r}")
        if len(set(self.sides)) != len(self.sides) or not self.sides:
            raise JoinError(f"sides need different names: {self.sides}")
        if any(side.startswith("/") for side in self.sides):
            raise JoinError(f"a side's name does not begin with '/': {self.sides}")
        for name, value in (("lateness", self.lateness), ("grace", self.grace)):
            _check_times(name, value, self.sides)
        if self.undo_grace < self.max_grace:
            raise JoinError(
                f"retract_grace {self.undo_grace} is less than grace {self.max_grace}: an event "
                "could be accepted that its retract could not withdraw; raise retract_grace"
            )

    @property
    @abstractmethod
    def reach(self) -> int:
        """How far below a correction's ts the corrections that follow from it may lie (ms)."""

    @abstractmethod
    def _apply(self, store: Store, change: Change, watermark: int) -> list[Outcome]:
        """``apply`` to any change."""

    @abstractmethod
    def _due_rows(self, store: Store, watermark: int) -> Iterable[Row]:
        """Results that became certain up to ``watermark``, in order; their timers go."""

    @abstractmethod
    def _last_use(self, side: str, ts: int) -> int:
        """The event is needed until ``W - undo_grace`` is greater than this (ms)."""

    def effect(self, store: Store, side: str, event: Event) -> Change | None:
        """What an accepted event changes, or None when it has no effect. Reads only."""
        return liveness.effect(store, side, event)

    def retracted(self, store: Store, side: str, event: Event) -> bool:
        """Whether a retract of this id has had an effect (the clock asks)."""
        return liveness.retracted(store, side, event)

    def on_event(self, store: Store, side: str, event: Event, watermark: int) -> list[Outcome]:
        """Outcomes of an accepted event; ``watermark`` as of the last ``on_watermark``."""
        change = self.effect(store, side, event)
        return [] if change is None else self.apply(store, change, watermark)

    def on_batch(
        self,
        store: Store,
        side: str,
        events: Iterable[Event],
        watermark: int,
        void: list[Event] | None = None,
    ) -> list[Outcome]:
        """Outcomes of accepted events that come together; the last one about an id stands.

        Events that have no effect are added to ``void``.
        """
        said: list[Outcome] = []
        arrived = self._effects(store, side, events, watermark, void, said)
        return said + self._take_all(store, arrived, watermark)

    def _effects(
        self,
        store: Store,
        side: str,
        events: Iterable[Event],
        watermark: int,
        void: list[Event] | None,
        said: list[Outcome],
    ) -> Iterator[Change]:
        """What events change, each asked when the one before it is written down.

        What is new and corrects nothing is written down here, and has ``said`` something, as long
        as nothing corrects: so that comes before what the changes say.
        """
        unmarked = store.next_due(RETRACTED) is None
        for event in events:
            if unmarked and event.op == "assert" and not event.correction:
                found = self._new(store, side, event, watermark)
                if found is not None:
                    said += found
                    continue
            change = self.effect(store, side, event)
            if change is not None:
                unmarked = unmarked and not change.correction
                yield change
            elif void is not None:
                void.append(event)

    def _take_all(self, store: Store, arrived: Iterable[Change], watermark: int) -> list[Outcome]:
        """Take changes in that come together; each is asked for when the one before is written."""
        return [o for change in arrived for o in self._apply(store, change, watermark)]

    def apply(self, store: Store, change: Change, watermark: int) -> list[Outcome]:
        """Take a change (``effect``) in; what it makes true and untrue."""
        if not change.correction and change.after is not None:
            found = self._new(store, change.side, change.after, watermark)
            if found is not None:
                return found
        return self._apply(store, change, watermark)

    def _new(self, store: Store, side: str, event: Event, watermark: int) -> list[Outcome] | None:
        """``apply`` to an event that corrects nothing, as most do.

        None, and nothing was done: it is live already, or is not to be taken alone.
        """
        if store.get((side, event.key, event.ts, event.id)) is not None:
            return None
        return self._apply(store, Change(side, None, event, False), watermark)

    def on_watermark(self, store: Store, watermark: int) -> list[Outcome]:
        """Every deadline up to ``watermark``, in order; then what is no longer needed goes."""
        rows: list[Outcome] = list(self._due_rows(store, watermark))
        self._expire(store, watermark)
        return rows

    def next_deadline(self, store: Store) -> int | None:
        """The least ``W`` at which ``on_watermark`` has anything to do."""
        dues = [*map(store.next_due, (*self.sides, RETRACTED)), *self._timer_dues(store)]
        return min((due for due in dues if due is not None), default=None)

    def holdback(self, store: Store) -> int | None:
        """Least ts of a result not yet emitted that is less than ``W - grace`` may become."""
        return None

    def clock(
        self, partitions: Iterable[tuple[str, int]], declared: Iterable[str] = ()
    ) -> TaskClock:
        """A clock for one task of this join; refuses what cannot be told in time."""
        known = set(declared)
        self.check_declared(known)
        return TaskClock(self.times(known), partitions, self.undo_grace)

    def times(self, declared: set[str]) -> dict[str, SideTime]:
        """How the time of each side is told, given which sides are declared."""
        return {side: self._side_time(side, side in declared) for side in self.sides}

    @property
    def delay(self) -> int | None:
        """How far below ``W`` the time that this join declares may be (ms); None: no bound.

        It is ``grace``, and more where a result that waits for ``W`` holds it back.
        """
        return self.max_grace

    @property
    def needs_declared(self) -> frozenset[str]:
        """Sides whose watermark has to be declared, lest nothing is ever certain."""
        return frozenset()

    def check_declared(self, declared: set[str]) -> None:
        """Raise JoinError where a side that needs a declared watermark has none."""
        for side in sorted(self.needs_declared - declared):
            raise JoinError(
                f"emit={self.emit!r} needs a declared watermark on side {side!r}: from its events "
                "alone nobody can tell when they are complete; declare it or use emit='eager'"
            )

    def _side_time(self, side: str, declared: bool) -> SideTime:
        return SideTime(declared, self.lateness_of(side), self.graces[side])

    @cached_property
    def prefix(self) -> Key:
        """Where a join may have entries of other kinds."""
        return ("/",)

    @cached_property
    def graces(self) -> dict[str, int]:
        """``grace`` by side."""
        return {side: _of_side(self.grace, side) for side in self.sides}

    @cached_property
    def max_grace(self) -> int:
        """The greatest ``grace`` of any side."""
        return max(self.graces.values())

    @cached_property
    def undo_grace(self) -> int:
        """``retract_grace``, or its default."""
        return max(self.max_grace, self.reach) if self.retract_grace is None else self.retract_grace

    def lateness_of(self, side: str) -> int:
        """``lateness`` of one side."""
        return _of_side(self.lateness, side)

    def _record(self, store: Store, change: Change, watermark: int) -> None:
        """Write the change down."""
        due = self._expiry(change.side, change.event.ts)
        liveness.record(store, change, max(due, watermark + 1))

    def _behind(self, change: Change, watermark: int) -> bool:
        """An event so old (a version is never late) that what follows from it may be, too."""
        return change.event.ts < watermark - self.max_grace

    def _expiry(self, side: str, ts: int) -> int:
        return max(self._last_use(side, ts), ts) + self.undo_grace + 1

    def _expire(self, store: Store, watermark: int) -> None:
        if not self._parts:
            for table in (*self.sides, RETRACTED):
                store.expire(table, watermark + 1)
            return
        # One at a time, since forgetting an event may look at its neighbours.
        for side in self.sides:
            for place in store.due(side, None, watermark + 1):
                self._forget(store, place, watermark)
        for mark in store.due(RETRACTED, None, watermark + 1):
            self._forget(store, mark[1:], watermark)

    @cached_property
    def _parts(self) -> bool:
        """Whether there is more to do than to drop what is due."""
        return type(self)._forget is not Join._forget

    def _forget(self, store: Store, place: Key, watermark: int) -> None:
        """Drop the id at ``place``, (side, key, ts, id)."""
        liveness.forget(store, place)

    def _timer_dues(self, store: Store) -> list[int | None]:
        return [first_at(store, (*self.prefix, "t"), 2)]

    def _events(
        self, store: Store, key: str, side: str, low: int | None = None, high: int | None = None
    ) -> list[Event]:
        """Live events of a key and side with ``low <= ts <= high``, by (ts, id)."""
        start = None if low is None else (low,)
        return store.between((side, key), start, None if high is None else (high + 1,))


def first_at(store: Store, prefix: Key, position: int) -> int | None:
    """The int at ``position`` of the first key under ``prefix``."""
    return next((int(key[position]) for key, _ in store.scan(prefix)), None)


def _of_side(value: PerSide, side: str) -> int:
    return value if isinstance(value, int) else value.get(side, 0)


def _check_times(name: str, value: PerSide, sides: tuple[str, ...]) -> None:
    values = {"": value} if isinstance(value, int) else value
    for side, time in values.items():
        if side and side not in sides:
            raise JoinError(f"{name} names the side {side!r}; there is {', '.join(sides)}")
        if time < 0:
            raise JoinError(f"{name} is a number of ms from 0, not {time}")
