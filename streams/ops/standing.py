"""Where an application stands: positions and counts of its tasks, and what is left to read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from confluent_kafka import Consumer, TopicPartition

from streams.engine.ends import Ends
from streams.engine.guard import Counts
from streams.engine.mover import Place
from streams.engine.settings import EngineSettings
from streams.engine.tails import last_positions
from streams.engine.topology import Topology

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
        self._ends = Ends(self.kafka)
        self._consumer = Consumer({**self.kafka, "group.id": settings.application})

    def behind(self) -> list[Behind]:
        """Position and end of every input partition; a position is as old as the last commit.

        Raises KafkaException when the broker does not answer.
        """
        inputs = {t.name: self.settings.count_of(t) for t in self.topology.inputs}
        places = [TopicPartition(name, p) for name in sorted(inputs) for p in range(inputs[name])]
        # a consumer that does not join: the admin client's way crashes when a broker comes back
        committed = self._consumer.committed(places, timeout=TIMEOUT_SECONDS)
        ends = self._ends.ask([Place(p.topic, p.partition) for p in places], TIMEOUT_SECONDS)
        return [
            Behind(tp.topic, tp.partition, max(0, tp.offset), ends[Place(tp.topic, tp.partition)])
            for tp in committed
        ]

    def counts(self) -> dict[str, Counts]:
        """What became of the records of each input topic, from the committed checkpoints."""
        total: dict[str, Counts] = {}
        for _, position in self.positions():
            for topic, counts in position["counts"].items():
                total[topic] = total.get(topic, Counts()) + Counts(**counts)
        return total

    def positions(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The position record of each task that has one."""
        names = {self.settings.changelog(sub.name): sub.name for sub in self.topology.subs}
        counts = [self.settings.tasks_of(sub) for sub in self.topology.subs]
        found = last_positions(self.kafka, dict(zip(names, counts, strict=True)))
        for place, position in sorted(found.items()):
            yield f"{names[place.topic]}/{place.partition}", position

    def close(self) -> None:
        """Leave the broker."""
        self._ends.close()
        self._consumer.close()
