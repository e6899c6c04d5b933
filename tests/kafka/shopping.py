"""Generated input of the shop, skewed by minutes, and what must come of it by its definition."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from confluent_kafka import Producer

from schemas.envelope import Event
from schemas.headers import to_headers
from schemas.wire import Codec
from streams.engine.murmur2 import partition_of
from streams.engine.own_types import teach
from streams.topics import Topic
from tests.kafka.shop import (
    RATE_MS,
    VISIT_MS,
    WINDOW_MS,
    Payment,
    Rate,
    Visit,
    payments,
    rates,
    visits,
)

T0 = 1_700_000_000_000
SPAN_MS, DISORDER_MS, SKEW_MS = 600_000, 2_000, 60_000
LAST = T0 + 2 * 86_400_000
"""When the records that end it lie: everything before is certain by then."""
NOWHERE = "nowhere"
"""The country of the records that end it."""
CUSTOMERS, MERCHANTS, COUNTRIES = 60, 12, 5


class Fact(NamedTuple):
    """A record to be written."""

    topic: Topic[Any]
    event: Event


def facts(seed: int, count: int, span_ms: int = SPAN_MS) -> list[Fact]:
    """Asserts, a few of them withdrawn or changed later, in the order in which they are written.

    What a seventh of the keys does is written minutes after the others' of the same time.
    """
    chance = random.Random(seed)
    made: list[tuple[int, Fact]] = []
    for number in range(count):
        ts = T0 + chance.randrange(span_ms)
        fact = _fact(chance, number, ts)
        due = (
            ts + chance.randrange(DISORDER_MS) + SKEW_MS * partition_of(fact.event.key.encode(), 7)
        )
        made.append((due, fact))
        if chance.random() < 0.06:
            later = Event(fact.event.id, fact.event.key, ts, "retract", fact.event.value)
            later.type = fact.event.type
            made.append((due + chance.randrange(1, 30_000), Fact(fact.topic, later)))
        if chance.random() < 0.03:
            made.append((due + chance.randrange(30_000, 60_000), fact))  # said again
    return [fact for _, fact in sorted(made, key=lambda item: item[0])]


def _fact(chance: random.Random, number: int, ts: int) -> Fact:
    customer, merchant = f"c{chance.randrange(CUSTOMERS)}", f"m{chance.randrange(MERCHANTS)}"
    kind = chance.random()
    value: Any
    if kind < 0.45:
        topic, value = payments, Payment(f"o{number}", customer, merchant, chance.randrange(10**8))
    elif kind < 0.9:
        topic, value = visits, Visit(f"v{number}", customer, f"l{chance.randrange(COUNTRIES)}")
    else:
        topic, value = rates, Rate(f"r{number}", merchant, chance.randrange(50))
    own = topic.type.event_id(value)
    assert own is not None
    return Fact(topic, Event(own, topic.key_of(value), ts, "assert", value, type=topic.type.name))


def endings(partitions: int) -> Iterator[Fact]:
    """One record for every partition of every source, so late that all before it is certain."""
    for partition in range(partitions):
        key = next(
            k for k in map(str, range(10**6)) if partition_of(k.encode(), partitions) == partition
        )
        for topic, value in (
            (payments, Payment(f"end{key}", key, key, 0)),
            (visits, Visit(f"end{key}", key, NOWHERE)),
            (rates, Rate(f"end{key}", key, 0)),
        ):
            own = topic.type.event_id(value)
            assert own is not None
            yield Fact(topic, Event(own, key, LAST, "assert", value, type=topic.type.name))


def write(bootstrap: str, written: list[Fact]) -> None:
    """Write the records as a client of somebody else's would: in order, partitioned by murmur2."""
    ordered = {"partitioner": "murmur2_random", "enable.idempotence": True}
    producer = Producer({"bootstrap.servers": bootstrap, **ordered})
    codec = teach(Codec())
    for topic, event in written:
        event.ingest_ts = LAST  # long after: nothing is of the future
        value = codec.encode(event.type, event.value)
        producer.produce(topic.name, value, event.key.encode(), headers=to_headers(event))
        producer.poll(0)
    assert producer.flush(30) == 0


def totals_of(written: list[Fact]) -> dict[tuple[str, int], tuple[int, int]]:
    """(country, end of the window) -> number and fees, straight from the words of the joins."""
    live: dict[str, Fact] = {}
    for fact in written:
        if fact.event.op == "assert":
            live[fact.event.id] = fact
        else:
            live.pop(fact.event.id, None)
    by_topic: defaultdict[str, list[Event]] = defaultdict(list)
    for fact in live.values():
        by_topic[fact.topic.name].append(fact.event)
    totals: dict[tuple[str, int], tuple[int, int]] = {}
    by_customer: defaultdict[str, list[Event]] = defaultdict(list)
    for visit in by_topic[visits.name]:
        by_customer[visit.key].append(visit)
    for pay in by_topic[payments.name]:
        for visit in by_customer[pay.key]:
            if abs(visit.ts - pay.ts) <= VISIT_MS and visit.value.country != NOWHERE:
                ts = max(visit.ts, pay.ts)
                fee = _fee(pay.value, ts, by_topic[rates.name])
                place = (visit.value.country, ts - ts % WINDOW_MS + WINDOW_MS)
                number, sum_sat = totals.get(place, (0, 0))
                totals[place] = (number + 1, sum_sat + fee)
    return totals


def _fee(payment: Payment, ts: int, known: list[Event]) -> int:
    found = [r for r in known if r.key == payment.merchant and ts - RATE_MS <= r.ts <= ts]
    if not found:
        return 0
    rate: Rate = max(found, key=lambda r: (r.ts, r.id)).value
    return payment.amount_sat * rate.per_mille // 1000
