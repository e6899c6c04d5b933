"""Every distance and every watermark, millisecond by millisecond."""

from __future__ import annotations

from typing import Any

import pytest
from join_cases import EMITS, MAKERS, Case, values_of
from join_deep import DEEP
from join_laws import prove

from joins import Arrival, Event, Idle, Watermark

AT = 40
DISTANCES = range(-14, 15)


def two(case: Case, name: str, key: str, distance: int) -> list[Arrival]:
    """An event of the first side and one of each other, at a distance."""
    value = values_of(name)[1]
    first, *others = case.join.sides or ("left",)
    items = [Arrival(first, 0, Event(f"l{key}", key, AT, "assert", value))]
    items += [
        Arrival(side, 0, Event(f"r{key}", key, AT + distance + n, "assert", value))
        for n, side in enumerate(others)
    ]
    return items


def graces(case_sides: tuple[str, ...]) -> dict[str, int]:
    """A grace of its own for each side."""
    return {side: 1 + 2 * n for n, side in enumerate(case_sides)}


@pytest.mark.parametrize("emit", EMITS)
@pytest.mark.parametrize("name", MAKERS)
def test_each_distance_at_each_watermark(name: str, emit: str) -> None:
    """Pairs at all distances of one side from the other, while time goes on by 1 ms."""
    sides = MAKERS[name]().join.sides
    case = MAKERS[name](emit=emit, grace=graces(sides), retract_grace=9)
    items: list[Any] = [i for d in DISTANCES for i in two(case, name, f"k{d}", d)]
    for watermark in range(AT - 16, AT + 32):
        items += [Watermark(side, 0, watermark) for side in sides]
    prove(name, case, items, frozenset(sides))


@pytest.mark.parametrize("emit", EMITS)
@pytest.mark.parametrize("name", MAKERS)
def test_a_retract_at_each_watermark(name: str, emit: str) -> None:
    """At each millisecond, as long as it is in time, an event of a pair of its own goes."""
    sides = MAKERS[name]().join.sides
    case = MAKERS[name](emit=emit, grace=graces(sides), retract_grace=9)
    steps = range(AT - 6, AT + 28)
    distances = (-9, -5, -1, 0, 2, 7) if DEEP else (-5, 0, 7)
    pairs = {(w, d): two(case, name, f"k{w},{d}", d) for w in steps for d in distances}
    items: list[Any] = [item for pair in pairs.values() for item in pair]
    for watermark in steps:
        items += [Watermark(side, 0, watermark) for side in sides]
        for distance in distances:
            gone = pairs[watermark, distance][-(watermark % 2)]
            if gone.event.ts >= watermark - 9:
                items.append(Arrival(gone.side, 0, changed(gone.event, "retract", True)))
    prove(name, case, items, frozenset(sides))


@pytest.mark.parametrize("emit", EMITS)
@pytest.mark.parametrize("name", MAKERS)
def test_lateness_of_each_side_at_each_millisecond(name: str, emit: str) -> None:
    """Asserts, corrections and retracts around ``W_p - g``, observed; then of an idle side."""
    sides = MAKERS[name]().join.sides
    late = {side: n for n, side in enumerate(sides)}
    case = MAKERS[name](emit=emit, lateness=late, grace=graces(sides), retract_grace=9)
    declared, items, value = case.declared, list[Any](), values_of(name)[1]
    items += [Watermark(side, 0, AT) for side in sorted(declared)]
    for side in sides:
        items.append(Arrival(side, 0, Event("w", "k", AT, "assert", value)))
    for side in sides:
        for ts in range(AT - 14, AT + 1):
            for what, correction in (("plain", False), ("mark", True)):
                event = Event(f"{what}{ts}", f"k{ts}", ts, "assert", value, correction)
                items.append(Arrival(side, 0, event))
                items.append(Arrival(side, 0, changed(event, "retract", False)))
                items.append(Arrival(side, 0, event))
    for side in sides[1:]:
        items.append(Idle(side, 0))
    items.append(Arrival(sides[0], 0, Event("far", "k", AT + 20, "assert", value)))
    for side in sides[1:]:
        for ts in range(AT + 6, AT + 21):
            items.append(Arrival(side, 0, Event(f"i{ts}", f"k{ts}", ts, "assert", value)))
    prove(name, case, items, declared)


def changed(event: Event, op: Any, correction: bool) -> Event:
    """The event with another op."""
    return Event(event.id, event.key, event.ts, op, event.value, correction)
