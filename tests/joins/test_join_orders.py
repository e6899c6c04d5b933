"""Every arrival order of small sets, every interleaving of partitions, every batch size."""

from __future__ import annotations

from itertools import permutations
from random import Random
from typing import Any

import pytest
from join_cases import EMITS, MAKERS, Case, values_of
from join_deep import DEEP, SEEDS
from join_laws import check, standing_after, without_waits
from join_timelines import as_a_writer_would, timeline
from reference_time import Moments

from joins import Arrival, Event, Late, MemoryStore, Watermark, run
from joins.clock import NEG_INF

SIZE = 6 if DEEP else 4
LONG = [name for name in MAKERS if "short" not in name]
"""What a version corrects within a short horizon depends on how far time is."""


def small(name: str, rng: Random) -> list[Arrival]:
    """A few asserts of one key, of every side, some at one ts and some with one id."""
    sides = MAKERS[name]().join.sides
    times = [rng.randint(0, 12) for _ in range(SIZE)]
    times[-1] = times[0]
    return [
        Arrival(
            side, 0, Event(f"e{n // len(sides)}", "k", ts, "assert", rng.choice(values_of(name)))
        )
        for n, ts in enumerate(times)
        for side in (sides[n % len(sides)],)
    ]


@pytest.mark.parametrize("name", LONG)
def test_every_order_of_the_same_events_has_one_net_set(name: str) -> None:
    """Laws (a) and (c): in all orders each result when it is certain, and the same in the end."""
    nets = []
    for emit in EMITS:
        case = MAKERS[name](emit=emit, grace=100, retract_grace=200)
        for items in permutations(small(name, Random(7))):
            # A table is declared for `final`; of one id only the last value counts.
            told = [*opened(case), *items]
            check(case, told, case.declared)
            nets.append(standing_after(run(case.join, told, declared=case.declared)))
    assert [] == [net for net in nets if net != nets[0]]


def opened(case: Case) -> list[Any]:
    """What makes the declared sides declared."""
    return [Watermark(side, 0, -1000) for side in sorted(case.declared)]


@pytest.mark.parametrize("emit", EMITS)
@pytest.mark.parametrize("name", MAKERS)
def test_every_order_of_asserts_and_retracts_says_what_stands(name: str, emit: str) -> None:
    """assert, retract, changed value and duplicate of one id among others, in all orders."""
    case = MAKERS[name](emit=emit, retract_grace=30, grace={case_side(name): 2})
    sides, values = case.join.sides, values_of(name)
    first, second = values[1], values[2 % len(values)]
    about = [("assert", first), ("retract", first), ("assert", second)]
    items = [Arrival(sides[-1], 0, Event("r", "k", 5, op, value)) for op, value in about]  # type: ignore[arg-type]
    items.append(Arrival(sides[0], 0, Event("l", "k", 6, "assert", values[-1])))
    if DEEP:
        items.append(Arrival(sides[-1], 0, Event("s", "k", 5, "assert", values[0])))
        items.append(Arrival(sides[0], 0, Event("l", "k", 6, "retract", values[-1])))
    for order in permutations(items):
        check(case, [*opened(case), *order], case.declared)


def case_side(name: str) -> str:
    """The last side of a case."""
    return MAKERS[name]().join.sides[-1]


def merged(rng: Random, items: list[Any]) -> list[Any]:
    """The same arrivals, in the order of each partition, interleaved otherwise."""
    queues: dict[Any, list[Any]] = {}
    for item in items:
        queues.setdefault((item.side, item.partition), []).append(item)
    found = []
    while queues:
        place = rng.choice(sorted(queues))
        found.append(queues[place].pop(0))
        queues = {place: queue for place, queue in queues.items() if queue}
    return found


@pytest.mark.parametrize("emit", EMITS)
@pytest.mark.parametrize("name", LONG)
def test_every_interleaving_of_partitions_is_the_same(name: str, emit: str) -> None:
    """Replay law: lateness is by the own partition, so late set and net set are the same."""
    for seed in SEEDS:
        rng = Random(seed)
        case = MAKERS[name](emit=emit, lateness=3, grace=2, retract_grace=6)
        values, sides = values_of(name), case.join.sides
        items = one_task(timeline(rng, sides, values, case.declared, idle=0))
        items = as_a_writer_would(items, case.declared, 6, case.tables)
        said = [run(case.join, merged(rng, items), declared=case.declared) for _ in range(4)]
        assert 1 == len({repr(sorted(late_set(one))) for one in said}), seed
        nets = [standing_after(one, alternates=case.alternates) for one in said]
        assert [] == [net for net in nets if net != nets[0]], seed


def one_task(items: list[Any]) -> list[Any]:
    """What comes on partition 0."""
    return [item for item in items if item.partition == 0]


def late_set(outcomes: list[Any]) -> list[Any]:
    """What was late, by which watermark."""
    late = [o for o in outcomes if isinstance(o, Late)]
    return [
        (o.side, o.event.id, o.event.op, o.event.ts, repr(o.event.value), o.watermark) for o in late
    ]


@pytest.mark.parametrize("emit", EMITS)
@pytest.mark.parametrize("name", LONG)
def test_batches_of_any_size_leave_standing_what_events_do_one_by_one(name: str, emit: str) -> None:
    """After each batch the net set is the definition's, and assert and retract alternate."""
    for seed in SEEDS:
        rng = Random(seed)
        case = MAKERS[name](emit=emit, grace=2, retract_grace=6)
        items = one_task(timeline(rng, case.join.sides, values_of(name), case.declared))
        items = as_a_writer_would(items, case.declared, 6, case.tables)
        in_batches(case, items, rng)


def in_batches(case: Case, items: list[Any], rng: Random) -> None:
    """Cut what comes of one side into batches, and compare after each."""
    moments, store, standing = Moments(case.rules(case.declared)), MemoryStore(), dict[str, Any]()
    reached, promised, batch = NEG_INF, NEG_INF, list[Any]()
    for item, following in zip(items, [*items[1:], None], strict=True):
        said = moments.tell(item)
        if isinstance(item, Arrival) and said.late is None:
            batch.append(item)
        if batch and (following is None or following.side != item.side or rng.random() < 0.3):
            events = [arrival.event for arrival in batch]
            outcomes = case.join.on_batch(store, batch[0].side, events, reached)
            standing = standing_after(outcomes, standing, case.alternates)
            hold_promise(outcomes, promised)
            batch = []
        if not batch:
            reached = NEG_INF if moments.W == float("-inf") else int(moments.W)
            outcomes = case.join.on_watermark(store, reached)
            standing = standing_after(outcomes, standing, case.alternates)
            hold_promise(outcomes, promised)
            held = case.join.holdback(store)
            own = reached - case.join.max_grace
            promised = max(promised, own if held is None else min(own, held))
            assert without_waits(moments.net, standing) == standing


def hold_promise(outcomes: list[Any], promised: int) -> None:
    """Nothing but corrections lies below what could have been declared."""
    assert [] == [o for o in outcomes if not o.correction and o.ts < promised]


@pytest.mark.parametrize("emit", EMITS)
@pytest.mark.parametrize("name", LONG)
def test_what_a_batch_corrects_is_marked(name: str, emit: str) -> None:
    """W = 60: what was closed is withdrawn and said again within one batch, or said for once."""
    case = MAKERS[name](emit=emit, retract_grace=50)
    first, value = case.join.sides[0], values_of(name)[1]
    for about in (
        [("old", "retract", False), ("old", "assert", False), ("old", "assert", False)],
        [("new", "assert", True), ("next", "assert", True)],
        [("old", "assert", True), ("new", "assert", True), ("new", "retract", False)],
    ):
        store = MemoryStore()
        if about[0][0] == "old":
            case.join.on_event(store, first, Event("old", "k", 43, "assert", value), NEG_INF)
        case.join.on_watermark(store, 60)
        events: list[Any] = [
            Event(id, "k", 43, op, values_of(name)[n % 2], correction)
            for n, (id, op, correction) in enumerate(about)
        ]
        outcomes = case.join.on_batch(store, first, events, 60)
        outcomes += case.join.on_watermark(store, 10_000)
        assert [] == [o for o in outcomes if not o.correction], about
