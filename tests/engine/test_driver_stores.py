"""The whole pipeline on each store: the same rows, the same state, through crashes."""

from __future__ import annotations

from typing import Any

import pytest

from streams.agents.pipeline import topology
from streams.sources.recording import read_lines
from streams.testing import TopologyDriver
from streams.topics import DERIVED
from tests.engine.stores import needs_rocks
from tests.kafka.world import DEMO, story_of
from tests.playing import play_line


def played(store: Any, crash_every: int) -> TopologyDriver:
    """The demo's recording through every step, with a crash after so many lines."""
    driver = TopologyDriver(
        topology(story_of(DEMO)), partitions=2, checkpoint_every=3, store=store, dead_letters="keep"
    )
    for number, line in enumerate(read_lines(DEMO), 1):
        play_line(driver, line, run=number % 7 == 0)
        if crash_every and number % crash_every == 0:
            driver.crash()
    for _ in driver.topology.subs:  # what a checkpoint writes is read by the next task
        driver.run()
        driver.checkpoint()
    return driver


@needs_rocks
@pytest.mark.parametrize("crash_every", [0, 40])
def test_the_pipeline_on_disk_equals_the_pipeline_in_memory(crash_every: int) -> None:
    """Net sets, and the state of every step down to its entries and when they are due."""
    memory, rocks = played("memory", crash_every), played("rocks", crash_every)
    for topic in DERIVED:
        assert memory.net(topic) == rocks.net(topic), topic.name
    for step in (step.name for sub in memory.topology.subs for step in sub.steps):
        assert memory.state(step) == rocks.state(step), step
    for place, task in memory.tasks.items():
        assert len(task.store) == len(rocks.tasks[place].store), place
    rocks.crash()
    assert {""} == {task.store.why for task in rocks.tasks.values()}
