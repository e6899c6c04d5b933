"""Play the demo's recording into a TopologyDriver, as ``streams source recording`` plays it."""

from __future__ import annotations

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
                driver.declare(topic, line.watermark, WRITER)
    elif line.raw is not None:
        driver.now_ts = max(driver.now_ts, line.at)
        driver.produce_raw(topics.BY_TOPIC[line.topic], *raw_of(line.raw))
    else:
        driver.send(topics.BY_TOPIC[line.topic], event_of(line), writer=WRITER, run=run)


def play_into_driver(path: Path, partitions: int = 4, checkpoint_every: int = 1) -> TopologyDriver:
    """A driver into which the whole recording has been played, line by line."""
    driver = TopologyDriver(
        story_topology(path), partitions=partitions, checkpoint_every=checkpoint_every
    )
    for line in read_lines(path):
        play_line(driver, line)
    driver.checkpoint()
    driver.run()
    return driver
