"""At least once, for those who ask for it: the same net sets, and repeats only after a crash."""

from __future__ import annotations

import random
from signal import SIGKILL
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.cimpl import NewTopic

from bench.harness import load
from streams.client import fold
from streams.engine.repeating import Repeating
from streams.topics import DERIVED, lifecycle
from tests.kafka.world import DEMO, NetSets, World, differences, until

pytestmark = pytest.mark.kafka

REPEATING = {"STREAMS_ENGINE__DELIVERY": "at_least_once"}


def test_outputs_outside_the_transaction_give_the_same_net_sets(
    world: World, demo_sets: NetSets
) -> None:
    """Undisturbed, at least once is exact too; the worker says at start what it promises."""
    worker = world.worker(**REPEATING)
    until("it says what it promises", lambda: worker.said("at_least_once"))
    world.play(DEMO).finish()
    world.settle()
    world.check_exact(demo_sets)


def test_results_are_visible_before_their_checkpoint(world: World, demo_sets: NetSets) -> None:
    """Whoever reads them waits neither for the interval nor for a commit; a crash loses none.

    ::

        worker       |--------------------x killed    |------------------->
        results      r1 r2 r3 ... visible             r1 r2 r3 ... again
        checkpoint                        (due later)                   c
    """
    first = world.worker(STREAMS_ENGINE__CHECKPOINT_MS="100000", **REPEATING)
    world.play(DEMO).finish()
    rows = demo_sets[lifecycle.name]
    until("they are there", lambda: rows.keys() <= fold(world.read(lifecycle)).keys())
    assert [] == list(world.standing.counts())
    first.end(SIGKILL)
    world.worker(**REPEATING)
    world.settle()
    assert [] == differences(rows, fold(world.read(lifecycle)))


def test_a_record_that_the_broker_refuses_is_raised_and_those_after_it_are_written(
    world: World,
) -> None:
    """Nobody is asked about each record: of one that is not stored the whole batch hears."""
    topic = f"{world.config.id}-small"
    new = NewTopic(topic, 1, 1, config={"max.message.bytes": "2000"})
    world.admin.client.create_topics([new])[topic].result(30)
    as_it_is: Any = SimpleNamespace(outputs=list)
    repeating = Repeating(as_it_is, (), {"bootstrap.servers": world.bootstrap})
    noise = random.Random(1).randbytes(20_000)
    with pytest.raises(KafkaException, match="MSG_SIZE_TOO_LARGE"):
        repeating.send([(topic, b"k", noise, None, None)])
    repeating.over(failed=True)
    repeating.send([(topic, b"k", b"small", [("name", b"a header")], None)])
    assert [b"small"] == [m.value() for m in load.messages(world.bootstrap, topic, 1)]


def test_a_crash_may_repeat_but_loses_nothing(world: World, demo_sets: NetSets) -> None:
    """Killed in the middle and started again, every row of the undisturbed run is there."""
    first = world.worker(**REPEATING)
    player = world.play(DEMO)
    until("it works", lambda: first.said("task_recovered"))
    first.end(SIGKILL)
    world.worker(**REPEATING)
    player.finish()
    world.settle()
    found = {name: fold(reads) for name, reads in world.read_each(DERIVED).items()}
    lost = [
        line
        for topic, rows in demo_sets.items()
        for line in differences(rows, {i: found[topic][i] for i in rows if i in found[topic]})
    ]
    assert lost == []
