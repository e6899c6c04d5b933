"""Arrivals by chance, from one source of chance: a seed, or hypothesis."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from random import Random
from typing import Any

from joins import Arrival, Event, Idle, Watermark

Item = Any
"""Arrival, Idle or Watermark."""


def timeline(
    rng: Random,
    sides: tuple[str, ...],
    values: tuple[Any, ...],
    declared: frozenset[str] = frozenset(),
    count: int = 24,
    per_key: int = 0,
    idle: float = 0.05,
) -> list[Item]:
    """Asserts, changed values, retracts (before their assert too), idleness, watermarks.

    ``per_key``: about so many facts share a key, and time goes on from key to key; 0: one or two
    keys at one time.
    """
    facts = _few(rng, sides, count) if not per_key else _many(rng, sides, count, per_key)
    items: list[Item] = []
    for step in range(count):
        about = step * len(facts) // count
        if rng.random() < idle:
            items.append(Idle(rng.choice(sides), rng.choice((0, 0, 1))))
        if declared and rng.random() < 0.15:
            around = facts[about][3] + rng.randint(-12, 10)
            items.append(Watermark(rng.choice(sorted(declared)), rng.choice((0, 0, 1)), around))
        back = rng.randint(0, 15) if per_key and rng.random() < 0.15 else 0
        number = min(max(about - back + rng.randint(-4, 3), 0), len(facts) - 1)
        items.append(_arrival(rng, number, facts[number], values))
    return items


def _few(rng: Random, sides: tuple[str, ...], count: int) -> list[Any]:
    span = rng.choice((8, 8, 20, 40))
    keys, tasks = rng.choice(("a", "a", "ab")), rng.choice(((0,), (0, 1)))
    facts = [
        (rng.choice(sides), rng.choice(tasks), rng.choice(keys), rng.randint(0, span))
        for _ in range(rng.randint(count // 5 + 1, count * 2 // 3))
    ]
    if rng.random() < 0.5:
        facts.sort(key=lambda fact: fact[3])
    return facts


def _many(rng: Random, sides: tuple[str, ...], count: int, per_key: int) -> list[Any]:
    facts = []
    for number in range(count * 3 // 5 + 1):
        at = number // per_key
        key = at - rng.choice((0, 0, 0, 1))
        facts.append((rng.choice(sides), key % 2, f"k{key}", at * 8 + rng.randint(0, 14)))
    return facts


def _arrival(rng: Random, number: int, fact: Any, values: tuple[Any, ...]) -> Item:
    side, partition, key, ts = fact
    op: Any = rng.choice(("assert", "assert", "assert", "retract"))
    # An id is told apart by its side alone: the same ids appear on every side.
    # Equal values are other objects, as they are when records are decoded.
    event = Event(f"e{number}", key, ts, op, copy(rng.choice(values)), rng.random() < 0.1)
    return Arrival(side, partition, event)


def as_a_writer_would(
    items: list[Item], declared: frozenset[str], reach: int, tables: frozenset[str] = frozenset()
) -> list[Item]:
    """Keep a declared side's promise: below its watermark only corrections, none below reach."""
    stood: dict[Any, int] = {}
    kept: list[Item] = []
    for item in items:
        where = (item.side, item.partition)
        if isinstance(item, Watermark):
            stood[where] = max(stood.get(where, item.ts), item.ts)
        elif isinstance(item, Arrival) and where in stood:
            limit = stood[where]
            if item.event.ts < limit - reach and item.side not in tables:
                continue
            item.event.correction |= item.event.ts < limit
        kept.append(item)
    return kept


def shrunk(items: list[Item], fails: Callable[[list[Item]], bool]) -> list[Item]:
    """The fewest of the items, in order, that still fail: of the one key where that is enough."""
    keys = {item.event.key for item in items if isinstance(item, Arrival)}
    for key in sorted(keys):
        alone = [i for i in items if not isinstance(i, Arrival) or i.event.key == key]
        if len(alone) < len(items) and fails(alone):
            return shrunk(alone, fails)
    size = max(1, len(items) // 2)
    while size:
        start = 0
        while start < len(items):
            less = items[:start] + items[start + size :]
            if fails(less):
                items = less
            else:
                start += size
        size //= 2
    return items
