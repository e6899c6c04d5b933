"""The input of the joins: keyed events out of order, the same for every contender.

Event ``number`` belongs to side ``number % sides`` and has a key drawn with a fixed seed. In
``ROUND_MS`` of event time there are as many events as keys, all sides together, and each event is
up to ``DISORDER_MS`` older, evenly drawn: in its partition none is as much as that below one before
it. No two events of a side have key and time in common, so that no definition needs a rule for
ties. A last event in each partition, ``END_MS`` later, with a key and a negative number of its own,
says that all others have come.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from streams.engine.murmur2 import partition_of

SEED = 11
START_MS = 1_700_000_000_000
ROUND_MS = 10_000
DISORDER_MS = 2_000
END_MS = 20_000
TABLE_MS = 20_000
"""So long before the first event the first versions of a table lie."""
LATE_VERSION_MS = 10_000
"""A version may come so long after it began to hold."""


class Fact(NamedTuple):
    """One input event; ``ts`` in ms."""

    side: str
    key: str
    ts: int
    n: int
    partition: int


class Keys:
    """The keys with their partitions, as Java clients hash them."""

    def __init__(self, count: int, partitions: int) -> None:
        self.names = [f"k{number}" for number in range(count)]
        self.partitions = [partition_of(name.encode(), partitions) for name in self.names]
        self.last = [_last(partition, partitions) for partition in range(partitions)]


def _last(partition: int, partitions: int) -> str:
    """A key of this partition that no event has."""
    numbers = iter(range(10_000))
    return next(
        k for n in numbers if partition_of((k := f"~{n}").encode(), partitions) == partition
    )


def streams(sides: tuple[str, ...], count: int, keys: Keys) -> Iterator[Fact]:
    """``count`` events of sides in turn, then the last ones."""
    random_, seen = random.Random(SEED), set[tuple[int, int, int]]()
    draw, wide = random_.randrange, len(keys.names)
    for number in range(count):
        side = number % len(sides)
        ts = now(number, keys) - draw(DISORDER_MS)
        key = draw(wide)
        while (side, key, ts) in seen:
            key = draw(wide)
        seen.add((side, key, ts))
        yield Fact(sides[side], keys.names[key], ts, number, keys.partitions[key])
    yield from _ends(sides, count, keys)


def table(count: int, keys: Keys, versions: bool) -> Iterator[Fact]:
    """A table (``right``) that has every key from the start on, and a stream (``left``).

    With ``versions`` every other event is a new version, which comes up to ``LATE_VERSION_MS``
    after it began to hold.
    """
    for number, name in enumerate(keys.names):
        yield Fact("right", name, START_MS - TABLE_MS, count + number, keys.partitions[number])
    random_, seen = random.Random(SEED), set[tuple[bool, int, int]]()
    draw, wide = random_.randrange, len(keys.names)
    for number in range(count):
        version = versions and number % 2 == 1
        ts = now(number, keys) - draw(LATE_VERSION_MS if version else DISORDER_MS)
        key = draw(wide)
        while (version, key, ts) in seen:
            key = draw(wide)
        seen.add((version, key, ts))
        side = "right" if version else "left"
        yield Fact(side, keys.names[key], ts, number, keys.partitions[key])
    yield from _ends(("left",), count, keys)


def now(number: int, keys: Keys) -> int:
    """The event time at which event ``number`` comes (ms)."""
    return START_MS + number * ROUND_MS // len(keys.names)


def _ends(sides: Iterable[str], count: int, keys: Keys) -> Iterator[Fact]:
    ts = now(count, keys) + END_MS
    for side in sides:
        for partition, name in enumerate(keys.last):
            yield Fact(side, name, ts, -1 - partition, partition)


def as_json(fact: Fact) -> bytes:
    """The value for contenders that have a parser of their own for JSON.

    >>> as_json(Fact("left", "k1", 1700000000000, 7, 0))
    b'{"key":"k1","ts":1700000000000,"n":7}'
    """
    return b'{"key":"%s","ts":%d,"n":%d}' % (fact.key.encode(), fact.ts, fact.n)
