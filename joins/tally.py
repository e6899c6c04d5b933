"""What is kept beside the events of a window: how many there are, and a state an aggregate.

A tally is plain data, ``[events of each side..., state of each aggregate...]``. A state is None
where only the events can tell: of an aggregate without states, after a ``remove`` that it could not
follow, and where it has become too large.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from joins.liveness import Change
from joins.mergeable import Aggregate, Mergeable, Stateful, state_of
from schemas.envelope import Event

Tally: TypeAlias = list[Any]
Read: TypeAlias = Callable[[], Iterable[Event]]
"""The window's live events, side by side and then by (ts, id)."""


class Tallies:
    """How the tallies of one join are kept."""

    def __init__(self, sides: tuple[str, ...], aggregates: Mapping[str, Aggregate]) -> None:
        self.size = len(sides)
        self._position = {side: index for index, side in enumerate(sides)}
        self._aggregates = [
            (name, number, found if isinstance(found, Mergeable) else None, found)
            for number, (name, found) in enumerate(aggregates.items(), self.size)
        ]
        self._mergeable = [(number, found) for _, number, found, _ in self._aggregates if found]
        self._growing = [
            (number, found)
            for number, found in self._mergeable
            if getattr(type(found), "keeps", None) is not Stateful.keeps
        ]

        self._blank: Tally = [0] * self.size + [None] * len(self._aggregates)
        for number, aggregate in self._mergeable:
            self._blank[number] = aggregate.zero()
        self._flat = not any(isinstance(part, dict) for part in self._blank)

    def zero(self) -> Tally:
        """Of no events."""
        return self.own(self._blank)

    def of(self, events: Mapping[str, Iterable[Event]]) -> Tally:
        """Of these events."""
        tally = self.zero()
        for side, found in events.items():
            for event in found:
                self.add(tally, side, event)
        return tally

    def own(self, tally: Tally) -> Tally:
        """A copy that may be changed."""
        if self._flat:
            return list(tally)
        return [dict(part) if type(part) is dict else part for part in tally]

    def regaining(self, tally: Tally) -> Tally:
        """The tally, or a copy if ``values`` has to regain a state of it."""
        return self.own(tally) if None in tally else tally

    def change(self, tally: Tally, change: Change) -> None:
        """Take a change into an owned tally."""
        if change.before is not None:
            self.remove(tally, change.side, change.before)
        if change.after is not None:
            self.add(tally, change.side, change.after)

    def add(self, tally: Tally, side: str, event: Event) -> None:
        """Count an event into an owned tally."""
        tally[self._position[side]] += 1
        for number, aggregate in self._mergeable:
            state = tally[number]
            if state is not None:
                tally[number] = aggregate.add(state, event)

    def remove(self, tally: Tally, side: str, event: Event) -> None:
        """Take an event out of an owned tally; without any it is as new.

        A tally that was forgotten in time, and begun again, has nothing to lose.
        """
        if not tally[self._position[side]]:
            return
        tally[self._position[side]] -= 1
        if not any(tally[: self.size]):
            tally[:] = self.zero()
            return
        for number, aggregate in self._mergeable:
            state = tally[number]
            if state is not None:
                tally[number] = aggregate.remove(state, event)

    def merge(self, one: Tally, other: Tally) -> Tally:
        """Of the events of both; ``one`` is owned."""
        for index in range(self.size):
            one[index] += other[index]
        for number, aggregate in self._mergeable:
            lost = one[number] is None or other[number] is None
            one[number] = None if lost else aggregate.merge(one[number], other[number])
        return one

    def empty(self, tally: Tally) -> bool:
        """Whether no event is left."""
        return not any(tally[: self.size])

    def has_kind(self, kind: str, tally: Tally) -> bool:
        """Whether a window with this tally has a record, by ``kind``."""
        if kind == "left":
            return bool(tally[0])
        counts = tally[: self.size]
        return all(counts) if kind == "inner" else any(counts)

    def kept(self, tally: Tally) -> Tally:
        """An owned tally as it is stored: without the states that are too large."""
        for number, aggregate in self._growing:
            if tally[number] is not None and not aggregate.keeps(tally[number]):
                tally[number] = None
        return tally

    def values(self, tally: Tally, read: Read) -> dict[str, Any]:
        """Name -> aggregate; an owned tally regains the states that it had lost."""
        events = list(read()) if None in tally else []
        found: dict[str, Any] = {}
        for name, number, mergeable, aggregate in self._aggregates:
            if mergeable is None:
                found[name] = aggregate.of(events)
                continue
            if tally[number] is None:
                tally[number] = state_of(mergeable, events)
            found[name] = mergeable.result(tally[number])
        return found
