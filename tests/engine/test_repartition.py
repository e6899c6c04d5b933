"""Somebody else's topic with another partition count and partitioner, in our partitions."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from joins import IntervalJoin, Matched, Unmatched
from joins.clock import SideTime
from schemas.events import Label
from streams import repartition, topics
from streams.engine.joining import join_step
from streams.engine.placing import joined
from streams.engine.step import Step
from streams.engine.topology import TopologyError, build
from streams.testing import TopologyDriver
from streams.topics import Topic
from tests.engine.world import DECLARED, LAST, OUT, SETTINGS, T0, counts, label, letters

SEVEN = Topic(
    "t.seven", "txid", "a foreign topic", "ml.label.v1", source=True, declared=False, partitions=7
)
STEP, KEYED = repartition(SEVEN, application="app", time=SideTime(lateness=20))


def _say(result: Matched | Unmatched) -> Label:
    left, right = result.members["left"], result.members["right"]
    assert left is not None
    assert not isinstance(left, tuple)
    return msgspec.structs.replace(left.value, source=f"{left.id}+{getattr(right, 'id', None)}")


def _join(left: Topic) -> Step:
    join = IntervalJoin(name="join", before=10, after=10, kind="left", lateness=20)
    return join_step(join, {"left": left, "right": DECLARED}, OUT, _say)


def _place(number: int) -> int:
    """Where librdkafka's default partitioner puts a label."""
    return crc32(label(number).subject.encode()) % 7


def _foreign(world: TopologyDriver, ts: int, number: int, **more: Any) -> None:
    world.produce(SEVEN, label(number), T0 + ts, partition=_place(number), **more)


def _close(world: TopologyDriver, topic: Topic) -> None:
    """Let everything be said."""
    world.declare(DECLARED, T0 + 10_000, "w")
    world.idle(topic)
    world.run()


def test_each_partition_of_the_topic_has_a_task() -> None:
    """Seven tasks read it, four join; the name of the internal topic is the application's."""
    world = TopologyDriver([STEP, _join(KEYED)], SETTINGS)
    assert "app-t.seven-repartition" == KEYED.name
    assert {"by_txid-repartition-t_seven": 7, "by_txid": 4} == {
        sub.name: sum(name == sub.name for name, _ in world.tasks) for sub in world.topology.subs
    }


FACTS = st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.integers(0, 100)), max_size=25)


@settings(max_examples=30, deadline=None)
@given(FACTS, st.integers(0, 25))
def test_the_result_is_that_of_a_topic_that_lay_right(
    facts: list[tuple[bool, int, int]], crash: int
) -> None:
    """Whatever the order, and after a crash: the same net set as with four partitions by murmur2.

    Here each key has a partition of the foreign topic to itself, so both worlds see one order.
    """
    plain = msgspec.structs.replace(SEVEN, name="t.plain", partitions=None)
    one, other = TopologyDriver(_join(plain), SETTINGS), TopologyDriver(
        [STEP, _join(KEYED)], SETTINGS
    )  # fmt: skip
    times: dict[tuple[bool, int], int] = {}
    for n, (foreign, number, ts) in enumerate(facts):
        ts = times.setdefault((foreign, number), 1000 + ts // 10)  # within lateness of each other
        if n == crash:
            other.crash()
        if foreign:
            one.produce(plain, label(number), T0 + ts)
            _foreign(other, ts, number)
        else:
            for world in (one, other):
                world.produce(DECLARED, label(number), T0 + ts, writer="w")
    _close(one, plain)
    _close(other, SEVEN)
    assert one.net(OUT) == other.net(OUT)


def test_lateness_and_repetitions_are_judged_where_the_topic_lies() -> None:
    """By the event's own partition: what is late in one is in time in another; once it counts.

    ::

        lateness 20    partition of 1: 100, 80 (in time), 79 (late)     of another: 0 (in time)
    """
    same = [n for n in range(1, 200) if _place(n) == _place(1)][:3]
    other = next(n for n in range(2, 50) if _place(n) != _place(1))
    world = TopologyDriver([STEP, _join(KEYED)], SETTINGS)
    for number, ts in zip(same, (100, 80, 79), strict=True):
        _foreign(world, ts, number)
    for _ in range(2):
        _foreign(world, 0, other)
    found = counts(world, SEVEN)
    assert (5, 3, 1, 1) == (found.read, found.used, found.late, found.duplicates)
    (why,) = letters(world, topics.late_records)
    assert ("repartition-t_seven", "1") == (why["late.step"], why["late.by"])


def test_a_correction_goes_through() -> None:
    """A retract withdraws downstream what its assert gave."""
    world = TopologyDriver([STEP, _join(KEYED)], SETTINGS)
    _foreign(world, 100, 1)
    world.produce(DECLARED, label(1), T0 + 105, writer="w")
    assert 1 == len(world.net(OUT))
    _foreign(world, 100, 1, op="retract")
    assert 0 == len(world.net(OUT))


def test_time_is_what_all_tasks_of_the_topic_declare() -> None:
    """Six partitions with events are not enough; the seventh is idle, then time goes on.

    ::

        6 partitions at 100 (lateness 20)      W = -inf
        the seventh idle                       W = 80
    """
    world = TopologyDriver([STEP, _join(KEYED)], SETTINGS)
    world.declare(DECLARED, T0 + 500, "w")
    homes = {_place(n): n for n in range(1, 100)}
    assert set(range(7)) == set(homes)
    for place in range(6):
        _foreign(world, 100, homes[place])
    times = {
        task.progress.watermark for (name, _), task in world.tasks.items() if name == "by_txid"
    }
    assert all(mark < T0 for mark in times)
    world.tasks["by_txid-repartition-t_seven", 6].idle(SEVEN.name)
    world.checkpoint()
    world.run()
    times = {
        task.progress.watermark for (name, _), task in world.tasks.items() if name == "by_txid"
    }
    assert {T0 + 80} == times


def test_letters_of_a_task_beyond_our_count_have_a_place() -> None:
    """Task 6 of 7 writes its dead letters into a topic of four partitions."""
    world = TopologyDriver([STEP, _join(KEYED)], SETTINGS, dead_letters="keep")
    world._append(SEVEN.name, b"k", b"no event", [], 6)
    world.run()
    assert ["6"] == [why["dl.partition"] for why in letters(world, topics.dead_letters)]


def test_another_key() -> None:
    """Re-keyed by the value, in any partitions."""
    step, keyed = repartition(DECLARED, by="model", key=lambda value: value.source)
    world = TopologyDriver([step, Step("end", (keyed,), (), lambda *_: None)], SETTINGS)
    world.produce(DECLARED, label(1), T0, writer="w")
    assert ["s"] == [event.key for event in world.events(keyed)]
    assert ["by_txid-repartition-t_declared", "by_model"] == [s.name for s in world.topology.subs]


def test_joined_without_it_is_refused_with_the_remedy() -> None:
    """A key would be in different tasks."""
    with pytest.raises(TopologyError, match=r"t\.seven 7.*streams\.repartition"):
        build([_join(SEVEN)])
    with pytest.raises(TopologyError, match="original bytes"):
        repartition(topics.dead_letters)


def test_a_record_without_a_key_is_a_dead_letter() -> None:
    """It may lie anywhere, and nothing could be joined with it."""
    plain = msgspec.structs.replace(SEVEN, name="t.plain", partitions=None, source=False)
    world = TopologyDriver(_join(plain), SETTINGS, partitions=1, dead_letters="keep")
    world.produce_raw(plain, None, world.codec.encode("ml.label.v1", label(1)))
    (why,) = letters(world, topics.dead_letters)
    assert "the record has no key, and its topic goes by key" == why["dl.detail"]


def test_the_place_of_a_key_matters_where_inputs_are_joined() -> None:
    """What only one step reads may lie by any rule that keeps a key together; ours always do."""
    plain = msgspec.structs.replace(SEVEN, name="t.plain", partitions=None)
    alone = Step("alone", (plain,), (LAST,), lambda *_: None)
    assert ((), (plain, DECLARED)) == (
        joined(build([alone]).subs),
        joined(build([_join(plain)]).subs),
    )
    assert (DECLARED,) == joined(build([STEP, _join(KEYED)]).subs)
