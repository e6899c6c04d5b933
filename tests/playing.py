"""Play the demo's recording into a TopologyDriver, as ``streams source recording`` plays it."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec

from streams import topics
from streams.agents.pipeline import topology
from streams.config import Config
from streams.engine.topology import Topology
from streams.ops.demo import with_story
from streams.sources.recording import Line, event_of, raw_of, read_head, read_lines
from streams.testing import TopologyDriver

WRITER = "recording"


def story_config(path: Path, config: Config | None = None) -> Config:
    """The configuration with the addresses that the recording is about."""
    plain = with_story(config or Config(), read_head(path).settings)
    return msgspec.convert(plain, Config)


def story_topology(path: Path) -> Topology:
    """The main job under the recording's configuration."""
    return topology(story_config(path))


def play_line(driver: TopologyDriver, line: Line, run: bool = True) -> None:
    """One line of a recording: an event, a raw record, or a watermark."""
    if line.watermark is not None:
        if isinstance(line.watermark, int):
            for topic in topics.SOURCES:
                driver.declare(topic, line.watermark, WRITER, run=run)
    elif line.raw is not None:
        driver.now_ts = max(driver.now_ts, line.at)
        driver.produce_raw(topics.BY_TOPIC[line.topic], *raw_of(line), run=run)
    else:
        driver.send(topics.BY_TOPIC[line.topic], event_of(line), writer=WRITER, run=run)


def play_into_driver(path: Path, partitions: int = 4, checkpoint_every: int = 1) -> TopologyDriver:
    """A driver into which the whole recording has been played, line by line."""
    driver = TopologyDriver(
        story_topology(path), partitions=partitions, checkpoint_every=checkpoint_every,
        dead_letters="keep",
    )  # fmt: skip
    for line in read_lines(path):
        play_line(driver, line)
    driver.checkpoint()
    driver.run()
    return driver


def scramble(path: Path, seed: int, partitions: int = 4, crashes: bool = False) -> TopologyDriver:
    """A driver that has played the recording with everything left to chance.

    Which task reads how much of which input when, when it checkpoints, and when all crash.
    """
    dice = random.Random(seed)
    driver = TopologyDriver(
        story_topology(path), partitions=partitions, checkpoint_every=0, dead_letters="keep"
    )
    for line in read_lines(path):
        play_line(driver, line, run=False)
    places = [(place, topic.name) for place, task in driver.tasks.items()
              for topic in task.sub.inputs]  # fmt: skip
    moved = True
    while moved:
        dice.shuffle(places)
        taken = [driver.take(place, topic, dice.choice((1, 3, 40))) for place, topic in places]
        crashed = crashes and dice.random() < 0.1
        if crashed:
            driver.crash()
        moved = crashed or any(taken) or any(task.dirty for task in driver.tasks.values())
        if not any(taken) or dice.random() < 0.3:
            driver.checkpoint()
    return driver
