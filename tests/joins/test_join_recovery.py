"""Joins in a topology that crashes: every kind of join, and chains of three with corrections."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from join_cases import EMITS, MAKERS
from join_deep import CHAINS
from join_timelines import as_a_writer_would, timeline
from join_world import T0, Stage, World, as_alert, live_of

from joins import Arrival, Event, Watermark

KINDS = [
    "interval-outer", "interval-semi", "after-anti", "product-hopping-left",
    "product-session-outer", "group-tumbling-inner", "group-session-outer", "asof-left",
    "lookup-left", "nway", "fold",
]  # fmt: skip
DEPTH = 12
"""How far below its watermark a source corrects (ms)."""


def chain(rng: Random, names: list[str], emit: str) -> list[Stage]:
    """Stages by name; each keeps as long as the corrections of the one before reach."""
    stages, depth = list[Stage](), DEPTH
    for number, name in enumerate(names):
        depth += MAKERS[name]().join.reach
        given = rng.choice((None, depth))
        case = MAKERS[name](emit=emit, name=f"s{number}", retract_grace=given)
        # Where the key changes, another task reads: two keys become one.
        by: Any = "txid" if number == 0 or rng.random() < 0.5 else ("address", "did")[number - 1]
        by = by if number == 0 or by != "txid" else stages[-1].by
        if number and by != stages[-1].by:
            stages[-1] = Stage(stages[-1].case, stages[-1].by, lambda key: "one")
        stages.append(Stage(case, by))
    return stages


def feed(rng: Random, world: World, emit: str, count: int) -> list[Any]:
    """Timelines of every source, interleaved; sources correct and retract what they said."""
    queues = []
    for place, topic in world.topics.items():
        declared = frozenset() if topic.table else frozenset({place[1]})
        items = timeline(rng, (place[1],), (0, 1), declared, count, idle=0)
        one = [item for item in items if item.partition == 0]
        for item in as_a_writer_would(one, declared, DEPTH):
            if isinstance(item, Watermark):
                item = Watermark(item.side, 0, T0 + item.ts)
            else:
                item = as_alert(item)
            queues.append((place, item))
    order = {place: [q for q in queues if q[0] == place] for place, _ in queues}
    found = []
    while order:
        place = rng.choice(sorted(order))
        found.append(order[place].pop(0))
        order = {place: left for place, left in order.items() if left}
    return found


def torment(rng: Random, world: World, items: list[Any]) -> None:
    """Feed it; in between take a few records, checkpoint, crash, in any order."""
    for place, item in items:
        world.send(place, item)
        act = rng.choice(("take", "take", "take", "none", "run", "checkpoint", "crash"))
        if act == "take":
            task = rng.choice(sorted(world.driver.tasks))
            inputs = [topic.name for topic in world.driver.tasks[task].sub.inputs]
            world.driver.take(task, rng.choice(inputs), rng.randint(1, 3))
        elif act != "none":
            getattr(world.driver, act)()
    world.end()


@pytest.mark.parametrize("emit", EMITS)
@pytest.mark.parametrize("name", KINDS)
def test_a_crash_at_any_point_loses_and_repeats_nothing(name: str, emit: str) -> None:
    """After any crashes the net set is the definition's, and state is empty but for tables."""
    for seed in range(CHAINS):
        rng = Random(seed)
        world = World(chain(rng, [name], emit), DEPTH, checkpoint_every=rng.choice((0, 1, 3)))
        items = feed(rng, world, emit, 14)
        torment(rng, world, items)
        assert world.expected(live_of(items)) == world.driver.net(world.outs[-1]), seed
        assert_alternates(world.driver.events(world.outs[-1]))


CHAINS_OF_THREE = [
    ["interval-left", "lookup-left", "group-tumbling-outer"],
    ["interval-outer", "asof-left", "group-session-outer"],
    ["product-tumbling-outer", "interval-semi", "asof-anti"],
    ["asof-left", "product-session-left", "interval-anti"],
    ["group-hopping-outer", "interval-outer", "product-hopping-outer"],
    ["lookup-inner", "interval-left", "fold"],
]


@pytest.mark.parametrize("emit", EMITS)
@pytest.mark.parametrize("names", CHAINS_OF_THREE, ids="-".join)
def test_a_chain_of_three_is_the_composed_definition(names: list[str], emit: str) -> None:
    """Corrections from the first sources reach the end, through re-keying and crashes."""
    for seed in range(CHAINS):
        rng = Random(seed)
        stages = chain(rng, names, emit)
        world = World(stages, DEPTH, checkpoint_every=rng.choice((0, 1, 3)))
        items = feed(rng, world, emit, 10)
        torment(rng, world, items)
        assert world.expected(live_of(items)) == world.driver.net(world.outs[-1]), (seed, stages)


def assert_alternates(events: list[Any]) -> None:
    """Per id, assert and retract take turns."""
    last: dict[str, str] = {}
    for event in events:
        assert event.op != last.get(event.id, "retract"), event
        last[event.id] = event.op


def test_a_correction_three_steps_up_arrives_as_a_correction() -> None:
    """::

    interval (left x 0.right) -> as-of (1.right) -> group (2.middle)
    all are final, time is past everything; then 0.right goes: the group says so, marked.
    """
    names = ["interval-left", "asof-left", "group-tumbling-outer"]
    world = World(chain(Random(1), names, "final"), DEPTH)
    for place, ts in (((0, "left"), 5), ((0, "right"), 6), ((1, "right"), 3)):
        world.send(place, told(place[1], ts))
    for place in world.topics:
        world.send(place, Watermark(place[1], 0, T0 + 20))
    world.settle()
    before = world.driver.events(world.outs[-1])
    assert [("assert", False)] == [(event.op, event.correction) for event in before]
    world.send((0, "right"), told("right", 6, "retract"))
    world.settle()
    after = world.driver.events(world.outs[-1])[len(before) :]
    assert [("retract", True), ("assert", True)] == [(e.op, e.correction) for e in after]


def told(side: str, ts: int, op: Any = "assert") -> Arrival:
    """An event of a source."""
    return as_alert(Arrival(side, 0, Event(f"{side}{ts}", "a", ts, op, 1)))
