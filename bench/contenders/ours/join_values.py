"""What the topics of the benches carry: event types of its own, as any user makes them."""

from __future__ import annotations

from schemas.events import Value
from streams import event_type


class Fact(Value, frozen=True):
    """An input: ``n`` tells it from all others, and is what is summed."""

    key: str
    n: int


class Pair(Value, frozen=True):
    """A left event's ``n`` with its partner's."""

    key: str
    left: int
    right: int | None


class Totals(Value, frozen=True):
    """A window of a key: how many events, and the sum of their ``n``."""

    key: str
    start: int
    count: int
    sum: int


class Trio(Value, frozen=True):
    """A window of a key: the ``n`` of each side, in the order of event time."""

    key: str
    start: int
    a: list[int]
    b: list[int]
    c: list[int]


class Count(Value, frozen=True):
    """How many records of a key there have been."""

    key: str
    count: int


FACT = event_type("bench.fact.v1", Fact, key=lambda value: value.key)
PAIR = event_type("bench.pair.v1", Pair, key=lambda value: value.key)
TOTALS = event_type("bench.totals.v1", Totals, key=lambda value: value.key)
TRIO = event_type("bench.trio.v1", Trio, key=lambda value: value.key)
COUNT = event_type("bench.count.v1", Count, key=lambda value: value.key)
