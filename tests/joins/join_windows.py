"""Events in a row, the windows that hold all of them, and what stands of the outcomes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from joins import Event, Hopping, Matched, Outcome, Retracted, Session, Tumbling

HOT: Mapping[str, Any] = {
    "tumbling": Tumbling(size=10**6),
    "hopping": Hopping(size=10**6, advance=5 * 10**5),
    "session": Session(gap=3),
}


def events(values: Iterable[int], step: int = 1) -> list[Event]:
    return [Event(f"e{n}", "k", n * step, "assert", {"v": v}) for n, v in enumerate(values)]


def gone(event: Event) -> Event:
    return Event(event.id, event.key, event.ts, "retract", event.value)


def standing(outcomes: Iterable[Outcome], rows: dict[str, Any] | None = None) -> dict[str, Any]:
    rows = {} if rows is None else rows
    for outcome in outcomes:
        if isinstance(outcome, Retracted):
            assert rows.pop(outcome.of) == outcome.row
        elif isinstance(outcome, Matched):
            assert outcome.id not in rows
            rows[outcome.id] = outcome
    return rows
