"""What an aggregate is: a function of a window's events that can be kept up to date.

An aggregate that is only ``Aggregate`` is computed from the window's events whenever it is said.
A ``Mergeable`` one has a state beside the events, which each event is added to and removed from
and which is merged when sessions join, so that a result costs nothing but reading the state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import Any, Protocol, TypeAlias, runtime_checkable

from joins.errors import JoinError
from schemas.envelope import Event

State: TypeAlias = Any
"""Plain data: int, float, str, bytes, and lists and dicts of them."""


class Aggregate(Protocol):
    """A pure function of a window's events, ordered side by side and then by (ts, id)."""

    def of(self, events: Iterable[Event]) -> Any:
        """The aggregate of these events."""


@runtime_checkable
class Mergeable(Aggregate, Protocol):
    """An aggregate with a state for which ``result(state of any history) == of(live events)``.

    ``add``, ``remove`` and ``merge`` give the state to go on with; a dict they may change in place,
    anything else they leave as it was. ``None`` is no state: ``remove`` and ``merge`` give it where
    the state cannot tell what would be without the event. Then, and where ``keeps`` says that a
    state has become too large to be kept, the window's live events are read.
    """

    def zero(self) -> State:
        """The state of no events."""

    def add(self, state: State, event: Event) -> State:
        """The state with one more event."""

    def remove(self, state: State, event: Event) -> State | None:
        """The state without an event that was added before."""

    def merge(self, one: State, other: State) -> State | None:
        """The state of the events of both."""

    def result(self, state: State) -> Any:
        """What is said of a window with this state."""

    def keeps(self, state: State) -> bool:
        """Whether the state is small enough to be kept beside the events."""


@dataclass(frozen=True)
class Stateful:
    """What mergeable aggregates have in common."""

    def of(self: Any, events: Iterable[Event]) -> Any:
        """The aggregate of these events."""
        return self.result(state_of(self, events))

    def keeps(self, state: State) -> bool:
        """Most states have a size that does not grow."""
        return True


def state_of(aggregate: Mergeable, events: Iterable[Event]) -> State:
    """The state of these events."""
    state = aggregate.zero()
    for event in events:
        state = aggregate.add(state, event)
    return state


@dataclass(frozen=True)
class OfField(Stateful):
    """Over a field of each value, a mapping's or a record's; events without it do not count."""

    field: str

    def number(self, event: Event) -> int | float | None:
        """The field as a finite number; NaN and infinities do not count, as if it were missing.

        A bool is 0 or 1. Raises JoinError on what is no int or float.
        """
        record = event.value
        value = record.get(self.field) if type(record) is dict else field_of(record, self.field)
        if type(value) is int or value is None:
            return value
        if isinstance(value, float):
            return float(value) if isfinite(value) else None
        if isinstance(value, int):
            return int(value)
        raise JoinError(
            f"{type(self).__name__}({self.field!r}) takes an int or a float, not {value!r} "
            f"of event {event.id}; give amounts as an int of their least unit"
        )


def field_of(value: Any, name: str) -> Any:
    """A field of a mapping or of a record, or None."""
    return value.get(name) if _is_mapping(value.__class__) else getattr(value, name, None)


@lru_cache
def _is_mapping(kind: Any) -> bool:
    return issubclass(kind, Mapping)
