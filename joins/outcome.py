"""What a join says: Matched, Unmatched, Late, Retracted (SEMANTICS 5), and how it changes its mind.

The id of a result is ``digest_id`` over these parts:

================  ================================================================================
interval, asof,   step name, join type, outcome type, for each side in order its event id or null
lookup, product   (a hopping product adds the start of the window)
group, aggregate  step name, ``window``, outcome type, key, start, end
n-way             step name, ``nway``, outcome type, id of the driver's event
fold              step name, ``fold``, outcome type, key
================  ================================================================================

Join types are ``interval window asof lookup nway fold``, outcome types ``matched unmatched``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import msgspec
from msgspec.structs import replace

from schemas.envelope import Event

Member: TypeAlias = Event | tuple[Event, ...] | None
Members: TypeAlias = Mapping[str, Member]
"""Side name -> the event, or events by (ts, id), or None."""


class _Said(msgspec.Struct, frozen=True, eq=False, gc=False):
    """Compared without how it came to be."""

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        names = [name for name in self.__struct_fields__ if name not in ("correction", "row")]
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def __ne__(self, other: object) -> bool:  # a Struct has one of its own, which compares it all
        return not self == other

    __hash__ = None  # type: ignore[assignment]  # members is a mapping


class Matched(_Said, frozen=True, eq=False, gc=False):
    """Events that belong together. ``value`` is the result of a fold or an aggregate.

    ``correction``: it follows from a retract, a changed value or another correction. It is about
    how the result came to be, so it takes no part in comparison.
    """

    id: str
    key: str
    ts: int
    members: Members
    value: Any = None
    correction: bool = False


class Unmatched(_Said, frozen=True, eq=False, gc=False):
    """An event of ``side`` that has no partner."""

    id: str
    key: str
    ts: int
    side: str
    members: Members
    correction: bool = False


@dataclass(frozen=True, slots=True)
class Late:
    """An event that came too late, ``by`` so many ms, and touched nothing.

    ``by = watermark - g - ts``; ``idle``: in time for its own partition, and late only because the
    task had gone on without that partition while it was idle.
    """

    side: str
    event: Event
    watermark: int
    by: int
    idle: bool = False


class Retracted(_Said, frozen=True, eq=False, gc=False):
    """The result with the id ``of`` no longer holds."""

    of: str
    key: str
    ts: int
    row: Matched | Unmatched | None = None
    """What it said, so that nobody has to remember it."""
    correction: ClassVar[bool] = True

    def __repr__(self) -> str:
        return f"Retracted(of={self.of!r}, key={self.key!r}, ts={self.ts!r})"


Row: TypeAlias = Matched | Unmatched
"""A result that stands until it is retracted."""
Outcome: TypeAlias = Matched | Unmatched | Late | Retracted


def same_content(one: Row, other: Row) -> bool:
    """Whether two results with one id say the same: same time, same events with the same values.

    A value that follows from events that are not told is compared to the bit: 1 is not 1.0.
    """
    if one.ts != other.ts or _content(one.members) != _content(other.members):
        return False
    values = [row.value if isinstance(row, Matched) else None for row in (one, other)]
    return values[0] is values[1] or repr(values[0]) == repr(values[1])


def changes(before: Iterable[Row], after: Iterable[Row], correction: bool) -> list[Outcome]:
    """What has to be said when the standing results go from ``before`` to ``after``.

    First what no longer holds, then what holds now, each by (ts, id). A result whose content
    differs is withdrawn and said again with the same id: that follows from a retract, so it is a
    correction in any case.
    """
    old = {row.id: row for row in before}
    new = {row.id: row for row in after}
    kept = {id for id in old.keys() & new.keys() if same_content(old[id], new[id])}
    gone = in_order(row for id, row in old.items() if id not in kept)
    come = in_order(
        replace(row, correction=True) if correction or id in old else row
        for id, row in new.items()
        if id not in kept
    )
    return [*map(withdrawn, gone), *come]


def withdrawn(row: Row) -> Retracted:
    """That a result no longer holds."""
    return Retracted(row.id, row.key, row.ts, row)


def corrected(rows: Iterable[Row]) -> list[Row]:
    """The rows, marked as corrections."""
    return [replace(row, correction=True) for row in rows]


def in_order(rows: Iterable[Row]) -> list[Row]:
    """Results that become certain at one instant, by (ts, id)."""
    return sorted(rows, key=lambda row: (row.ts, row.id))


def _content(members: Members) -> list[Any]:
    return [_said(member) for member in members.values()]


def _said(member: Member) -> Any:
    if member is None:
        return None
    if isinstance(member, tuple):
        return [(event.id, event.value) for event in member]
    return (member.id, member.value)
