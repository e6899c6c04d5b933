"""Where an application stands: positions and counts of its tasks, and what is left to read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from confluent_kafka import Consumer, TopicPartition

from streams.engine.codec import decode_value
from streams.engine.emit import POSITION
from streams.engine.guard import Counts
from streams.engine.settings import EngineSettings
from streams.engine.topology import Topology
from streams.sources.writer import read_partition

TIMEOUT_SECONDS = 10


class Behind(msgspec.Struct, frozen=True):
    """How far one input partition has been read in committed checkpoints."""

    topic: str
    partition: int
    position: int
    end: int

    @property
    def lag(self) -> int:
        """Offsets not yet read (markers of transactions included)."""
        return max(0, self.end - self.position)


class Standing:
    """Asks a broker where an application stands."""

    def __init__(self, topology: Topology, settings: EngineSettings) -> None:
        self.topology, self.settings = topology, settings
        self.kafka = {"bootstrap.servers": settings.bootstrap, **settings.kafka, "log_level": 2}
        # a commit is answered before its markers are in the partitions: the end that readers of
        # committed data see would for a moment hide what was just written
        own = {"group.id": settings.application, "isolation.level": "read_uncommitted"}
        self._consumer = Consumer({**self.kafka, **own})

    def behind(self) -> list[Behind]:
        """Position and end of every input partition; a position is as old as the last commit.

        Raises KafkaException when the broker does not answer.
        """
        inputs = sorted({t.name for t in self.topology.inputs})
        places = [
            TopicPartition(name, p) for name in inputs for p in range(self.settings.partitions)
        ]
        # a consumer that does not join: the admin client's way crashes when a broker comes back
        committed = self._consumer.committed(places, timeout=TIMEOUT_SECONDS)
        return [self._one(tp) for tp in committed]

    def _one(self, tp: TopicPartition) -> Behind:
        _, end = self._consumer.get_watermark_offsets(
            TopicPartition(tp.topic, tp.partition), timeout=TIMEOUT_SECONDS
        )
        return Behind(tp.topic, tp.partition, max(0, tp.offset), end)

    def counts(self) -> dict[str, Counts]:
        """What became of the records of each input topic, from the committed checkpoints."""
        total: dict[str, Counts] = {}
        for _, position in self.positions():
            for topic, counts in position["counts"].items():
                total[topic] = total.get(topic, Counts()) + Counts(**counts)
        return total

    def positions(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The position record of each task that has one."""
        for sub in self.topology.subs:
            for partition in range(self.settings.partitions):
                found = None
                changelog = self.settings.changelog(sub.name)
                for key, value in read_partition(self.kafka, changelog, partition):
                    if key == POSITION and value is not None:
                        found = value
                if found is not None:
                    yield f"{sub.name}/{partition}", decode_value(found)

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()
