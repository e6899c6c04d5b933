"""The input of a run, from a seed: what is written, in which order. Imports nothing of ours."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, NamedTuple

T0 = 1_700_000_000_000
"""Event time of the first record (ms)."""
ORDERS, VISITS = "fault.orders", "fault.visits"
PARTITIONS = 4
NEAR_MS = 250
"""How far an order and a visit that meet lie apart at most."""
WINDOW_MS = 1000
LATENESS_MS = 2000
"""The disorder that the job expects."""
FUTURE_MS = 3_600_000
"""How far an event may be ahead of its arrival."""
BLOCK_MS = 100
"""Event time of a block: what a reorganisation withdraws is whole blocks."""
END_MS = 600_000
"""How far behind all others the records lie that end the input."""
STRUCK = 1
"""The partition that a storm of poison comes to."""
ACCOUNTS, SHOPS, PLACES = 2000, 50, 20


class Shape(NamedTuple):
    """What is special about an input; shares are of all records."""

    seed: int = 1
    rate: int = 5000
    """Records a second, in event time and as they are written."""
    seconds: float = 20.0
    poison: float = 0.0
    """Share of records that are none."""
    storm: tuple[float, float] = (0.0, 0.0)
    """From when to when (s) nothing but poison comes to the partition ``STRUCK`` of each topic."""
    repeated: float = 0.0
    """Share of records that their producer writes again, up to a second later."""
    disorder_ms: int = 0
    """How far records are out of order."""
    late: float = 0.0
    """Share of records that come after the lateness has passed."""
    skewed_ms: int = 0
    """How far the clock of one producer of a hundred is wrong, ahead or behind."""
    idle_partition: int = -1
    """A partition that gets nothing but the end."""
    again: float = 0.0
    """Share of the input, its beginning, that is written once more at the end."""
    bad_orders: float = 0.0
    """Share of orders on which the job's first step raises: their amount is negative."""
    reorgs: tuple[int, ...] = ()
    """Depths in blocks of reorganisations, evenly spread over the run."""


class Record(NamedTuple):
    """One record as its producer writes it."""

    due: int
    """When it is written (ms of event time)."""
    topic: str
    key: str
    id: str
    ts: int
    op: str
    value: dict[str, Any] | None
    """None: poison, whose bytes follow from the id."""
    correction: bool = False


def written(shape: Shape) -> Iterator[Record]:
    """The whole input, in the order in which it is written, made as it is asked for."""
    plain = Shape(shape.seed, shape.rate, shape.seconds)
    if shape != plain:
        yield from arranged(shape)
        return
    yield from _plain(shape, random.Random(shape.seed))
    yield from _endings(shape)


def arranged(shape: Shape) -> list[Record]:
    """The whole input, in the order in which it is written."""
    chance = random.Random(shape.seed)
    made = [record for record in _plain(shape, chance) for record in _spoilt(shape, chance, record)]
    made.sort(key=lambda record: record.due)
    if shape.reorgs:
        made = list(_reorganised(shape, chance, made))
    repeated = made[: int(len(made) * shape.again)]
    last = T0 + int(shape.seconds * 1000)
    return [*made, *(one._replace(due=last) for one in repeated), *_endings(shape)]


def _plain(shape: Shape, chance: random.Random) -> Iterator[Record]:
    """Orders and visits in the order of their time."""
    for number in range(int(shape.rate * shape.seconds)):
        ts = T0 + number * 1000 // shape.rate
        record = _one(chance, number, ts)
        if partition_of(record.key) != shape.idle_partition:
            yield record


def _one(chance: random.Random, number: int, ts: int) -> Record:
    account = f"a{chance.randrange(ACCOUNTS)}"
    if chance.random() < 0.8:
        shop, amount = f"s{chance.randrange(SHOPS)}", chance.randrange(1, 10**6)
        return order(ts, f"o{number}", account, shop, amount)
    value = {"visit": f"v{number}", "account": account, "place": f"p{chance.randrange(PLACES)}"}
    return Record(ts, VISITS, account, value["visit"], ts, "assert", value)


def order(ts: int, id: str, account: str, shop: str, amount: int) -> Record:
    """An order, written in time."""
    value = {"order": id, "account": account, "shop": shop, "amount_sat": amount}
    return Record(ts, ORDERS, account, id, ts, "assert", value)


def _spoilt(shape: Shape, chance: random.Random, record: Record) -> Iterator[Record]:
    """A record with what happens to it on the way."""
    elapsed = (record.ts - T0) / 1000
    if shape.storm[0] <= elapsed < shape.storm[1] and partition_of(record.key) == STRUCK:
        yield record._replace(value=None)
        return
    if chance.random() < shape.poison:
        yield record._replace(value=None)
        return
    if shape.bad_orders and record.topic == ORDERS and chance.random() < shape.bad_orders:
        record = record._replace(value={**(record.value or {}), "amount_sat": -1})
    if shape.disorder_ms:
        record = record._replace(due=record.due + chance.randrange(shape.disorder_ms))
    if chance.random() < shape.late:
        record = record._replace(due=record.due + LATENESS_MS + chance.randrange(500, 2000))
    if shape.skewed_ms and partition_of(record.key, 100) == 0:
        wrong = shape.skewed_ms * chance.choice((1, -1))
        record = record._replace(ts=record.ts + wrong)
    yield record
    if chance.random() < shape.repeated:
        yield record._replace(due=record.due + chance.randrange(1000))


def _reorganised(shape: Shape, chance: random.Random, made: list[Record]) -> Iterator[Record]:
    """Now and then the last blocks are withdrawn, and another branch takes their place."""
    pause = len(made) // (len(shape.reorgs) + 1)
    live: list[Record] = []
    for number, record in enumerate(made, 1):
        yield record
        live.append(record)
        turn, rest = divmod(number, pause)
        if rest == 0 and turn <= len(shape.reorgs):
            since = record.ts - BLOCK_MS * shape.reorgs[turn - 1]
            gone = [one for one in live if one.ts > since]
            live = [one for one in live if one.ts <= since]
            for one in reversed(gone):
                yield one._replace(op="retract", due=record.due, correction=True)
            branch = [_moved(one, turn) for one in gone if chance.random() < 0.7]
            for one in branch:
                yield one._replace(due=record.due, correction=True)
            live += branch


def _moved(record: Record, turn: int) -> Record:
    """The same in another block: another id, the same time."""
    id = f"{record.id}r{turn}"
    field = "order" if record.topic == ORDERS else "visit"
    return record._replace(id=id, value={**(record.value or {}), field: id})


def _endings(shape: Shape) -> Iterator[Record]:
    """For every partition an order and a visit, so late that all before them is certain."""
    due = T0 + int(shape.seconds * 1000)
    for partition in range(PARTITIONS):
        key = next(key for key in map("e{}".format, range(1000)) if partition_of(key) == partition)
        last = order(due + END_MS, f"end-{key}", key, "end", 1)
        yield last._replace(due=due)
        value = {"visit": f"end-v-{key}", "account": key, "place": "end"}
        yield Record(due, VISITS, key, value["visit"], due + END_MS, "assert", value)


def partition_of(key: str, partitions: int = PARTITIONS) -> int:
    """Where Kafka's own partitioner puts a key: murmur2 of its bytes (public domain, A. Appleby).

    >>> [partition_of(f"a{n}") for n in range(6)]
    [2, 3, 1, 1, 2, 0]
    """
    data = key.encode()
    multiplier, length = 0x5BD1E995, len(data)
    digest = 0x9747B28C ^ length
    for start in range(0, length - length % 4, 4):
        word = int.from_bytes(data[start : start + 4], "little") * multiplier & 0xFFFFFFFF
        word = (word ^ word >> 24) * multiplier & 0xFFFFFFFF
        digest = digest * multiplier & 0xFFFFFFFF ^ word
    tail = data[length - length % 4 :]
    if tail:
        digest = (digest ^ int.from_bytes(tail, "little")) * multiplier & 0xFFFFFFFF
    digest = (digest ^ digest >> 13) * multiplier & 0xFFFFFFFF
    digest ^= digest >> 15
    return (digest & 0x7FFFFFFF) % partitions
