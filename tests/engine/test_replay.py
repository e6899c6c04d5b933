"""Replay law and crash law of the whole main job, on the demo's recording (SEMANTICS 2 and 7)."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from streams import topics
from streams.testing import TopologyDriver
from streams.topics import DERIVED, SOURCES
from tests.engine.world import counts, words
from tests.playing import play_into_driver, scramble

DEMO = Path(__file__).parents[2] / "streams" / "data" / "demo.ndjson"


@cache
def _undisturbed() -> TopologyDriver:
    return play_into_driver(DEMO)


def _letters(driver: TopologyDriver, topic: topics.Topic) -> Counter[Any]:
    """What was put aside, and why: not where, since a partition count decides that."""
    found: Counter[Any] = Counter()
    for record in driver.records(topic):
        why = words(record.raw_headers)
        told = [why.get(n) for n in ("dl.cause", "dl.step", "dl.detail", "late.step", "late.by")]
        found[record.key(), record.value(), *told] += 1
    return found


def _differences(driver: TopologyDriver) -> dict[str, Any]:
    """Where the results differ from the undisturbed run's."""
    calm = _undisturbed()
    wrong: dict[str, Any] = {}
    for topic in DERIVED:
        expected, found = calm.net(topic), driver.net(topic)
        if expected != found:
            wrong[topic.name] = [
                (id, expected.get(id), found.get(id))
                for id in expected.keys() | found.keys()
                if expected.get(id) != found.get(id)
            ][:3]
    for topic in (topics.dead_letters, topics.late_records):
        if _letters(calm, topic) != _letters(driver, topic):
            wrong[topic.name] = _letters(driver, topic)
    return wrong


def test_the_undisturbed_run_says_something() -> None:
    """The other tests compare with it: every topic has results, but what takes an attack."""
    silent = {topic.name for topic in DERIVED if not _undisturbed().net(topic)}
    assert {topics.baits.name, topics.history_matches.name} == silent


@pytest.mark.parametrize(
    ("seed", "partitions", "crashes"), [(1, 4, False), (2, 4, True), (3, 1, True), (4, 3, False)]
)
def test_any_interleaving_batches_and_crashes_give_the_same_net_sets(
    seed: int, partitions: int, crashes: bool
) -> None:
    """Also with other partition counts; so do the letters, the counts and the alternation."""
    driver = scramble(DEMO, seed, partitions, crashes)
    assert {} == _differences(driver)
    for topic in SOURCES:
        assert counts(_undisturbed(), topic) == counts(driver, topic)
    assert [] == _breaches(driver)


def _breaches(driver: TopologyDriver) -> list[str]:
    """Where assert and retract of one id do not alternate."""
    wrong, live = [], set[tuple[str, str]]()
    for topic in DERIVED:
        if topic.broadcast:
            continue
        for event in driver.events(topic):
            place = (topic.name, event.id)
            if (event.op == "assert") == (place in live):
                wrong.append(f"{event.op} of {event.id} in {topic.name}")
            (live.add if event.op == "assert" else live.discard)(place)
    return wrong


def test_every_task_is_balanced() -> None:
    """SEMANTICS 7: each record read has exactly one disposition."""
    for task in _undisturbed().tasks.values():
        assert all(count.balanced for count in task.counts.values())


def test_nothing_is_left_unread() -> None:
    """Every task stands at the end of each of its inputs."""
    driver = _undisturbed()
    for (_, partition), task in driver.tasks.items():
        for topic, position in task.position.items():
            assert len(driver.log.get((topic, partition), [])) == position
