"""Window aggregates: one row a key and window, of numbers over its events.

>>> from joins import Arrival, Count, Event, Sum, Tumbling, WindowAggregate, run
>>> join = WindowAggregate(windows=Tumbling(size=10), aggregates={"n": Count(), "s": Sum("sat")})
>>> arrivals = [
...     Arrival("left", 0, Event(id=f"e{ts}", key="k", ts=ts, op="assert", value={"sat": ts}))
...     for ts in (1, 4, 12)
... ]
>>> [(row.ts, row.value) for row in run(join, arrivals)]
[(9, {'n': 2, 's': 5}), (19, {'n': 1, 's': 12})]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from joins.errors import JoinError
from joins.group import GroupJoin, Sides
from joins.session import SessionGroup
from joins.windows import Session, Windows
from schemas.envelope import Event


class Aggregate(Protocol):
    """A pure function of a window's events, ordered side by side and then by (ts, id)."""

    def of(self, events: Iterable[Event]) -> Any:
        """The aggregate of these events."""


@dataclass(frozen=True)
class Count:
    """How many events."""

    def of(self, events: Iterable[Event]) -> int:
        """The number of events."""
        return sum(1 for _ in events)


@dataclass(frozen=True)
class _OfField:
    """Over a field of each value, a mapping's or a record's; events without it do not count."""

    field: str

    def values(self, events: Iterable[Event]) -> list[Any]:
        """The field's values, where there are any."""
        found = (field_of(event.value, self.field) for event in events)
        return [value for value in found if value is not None]


class Sum(_OfField):
    """The sum of a field; 0 where no event has it."""

    def of(self, events: Iterable[Event]) -> Any:
        """The sum."""
        return sum(self.values(events))


class Min(_OfField):
    """The least value of a field; None where no event has it."""

    def of(self, events: Iterable[Event]) -> Any:
        """The least."""
        return min(self.values(events), default=None)


class Max(_OfField):
    """The greatest value of a field; None where no event has it."""

    def of(self, events: Iterable[Event]) -> Any:
        """The greatest."""
        return max(self.values(events), default=None)


def field_of(value: Any, name: str) -> Any:
    """A field of a mapping or of a record, or None."""
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


@dataclass(frozen=True, kw_only=True)
class _Aggregating:
    """The aggregates of a window's members; sides are ``left`` alone unless named."""

    sides: tuple[str, ...] = ("left",)
    aggregates: Mapping[str, Aggregate] = field(default_factory=dict)

    def value_of(self, members: Sides) -> Any:
        """Name -> aggregate."""
        events = [event for side in members.values() for event in side]
        return {name: aggregate.of(events) for name, aggregate in self.aggregates.items()}


@dataclass(frozen=True, kw_only=True)
class FixedAggregate(_Aggregating, GroupJoin):
    """Aggregates over tumbling or hopping windows."""


@dataclass(frozen=True, kw_only=True)
class SessionAggregate(_Aggregating, SessionGroup):
    """Aggregates over session windows."""


def WindowAggregate(  # noqa: N802 - it reads as a class, like its siblings
    *, windows: Windows, aggregates: Mapping[str, Aggregate], **common: Any
) -> GroupJoin | SessionGroup:
    """Aggregates of each key's windows: ``Matched.value`` is a dict, the events are the members.

    ``common``: as in ``Join``; by default there is one side, ``left``.
    """
    if not aggregates:
        raise JoinError("name at least one aggregate, for example {'n': Count()}")
    machine: Callable[..., GroupJoin | SessionGroup] = (
        SessionAggregate if isinstance(windows, Session) else FixedAggregate
    )
    return machine(windows=windows, aggregates=dict(aggregates), **common)
