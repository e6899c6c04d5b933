"""Arrivals made in one line, and outcomes as short as that."""

from __future__ import annotations

from typing import Any

from joins import Arrival, Event, Late


def on(side: str, id: str, ts: int, value: Any = 1, op: Any = "assert", **more: Any) -> Arrival:
    key, partition = more.pop("key", "k"), more.pop("partition", 0)
    event = Event(id=id, key=key, ts=ts, op=op, value=value, **more)
    return Arrival(side=side, partition=partition, event=event)


def names(outcomes: list[Any]) -> list[tuple[Any, ...]]:
    """What, at which time, of which ids."""
    return [(type(o).__name__, at(o), *ids(o)) for o in outcomes]


def at(outcome: Any) -> int:
    return int(outcome.event.ts if isinstance(outcome, Late) else outcome.ts)


def ids(outcome: Any) -> list[Any]:
    members = getattr(outcome, "members", {}).values()
    return [[e.id for e in m] if isinstance(m, tuple) else m and m.id for m in members]
