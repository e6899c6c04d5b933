"""What the engine needs to know beside the topology."""

from __future__ import annotations

from typing import Any

import msgspec

from streams.config import Config
from streams.engine.topology import SubTopology
from streams.topics import SHARED, Topic
from streams.tuning import EngineTuning
from streams.wire.mapping import librdkafka

STALL_INTERVALS = 10
"""Checkpoints that may be missed."""


class EngineSettings(EngineTuning, frozen=True, kw_only=True):
    """Settings of one application."""

    application: str = "streams"
    """Application id: consumer group, transactional ids and changelog names begin with it."""
    bootstrap: str = "127.0.0.1:9092"
    kafka: dict[str, Any] = msgspec.field(default_factory=dict)
    """More librdkafka settings: TLS and SASL, as ``streams.wire.mapping`` says them."""
    partitions: int = 4
    """Partition count of every topic of the topology that does not say another."""
    shared_partitions: int = 0
    """The same of what all runs share: sources, letters; 0: as the others."""
    run: str = ""
    """Which run of the topology this is (``rerun``); empty: the first one."""
    starts: dict[str, int] = msgspec.field(default_factory=dict)
    """By topic/partition, the offset at which a task without a position begins."""

    @property
    def stall_s(self) -> float:
        """After how many seconds without progress a worker ends."""
        interval_ms = max(self.checkpoint_ms, self.checkpoint_busy_ms)
        return max(self.stall_ms, STALL_INTERVALS * interval_ms) / 1000

    def count_of(self, topic: Topic) -> int:
        """How many partitions a topic has."""
        if topic.partitions is not None:
            return topic.partitions
        return (self.shared_partitions if topic in SHARED else 0) or self.partitions

    def start_of(self, topic: str, partition: int) -> int:
        """Where a task begins that has no position yet."""
        return self.starts.get(f"{topic}/{partition}", 0)

    def tasks_of(self, sub: SubTopology) -> int:
        """How many tasks a sub-topology has: as many as each of its inputs has partitions."""
        return self.count_of(sub.inputs[0])

    def changelog(self, sub: str) -> str:
        """Name of the changelog topic of a sub-topology."""
        return f"{self.application}-{sub}-changelog"

    def transactional_id(self, sub: str, partition: int) -> str:
        """Transactional id of a task: names the thing that moves, so that owners fence."""
        return f"{self.application}-{sub}-{partition}"


def settings_of(config: Config, bootstrap: str) -> EngineSettings:
    """The engine's settings from the configuration."""
    return EngineSettings(
        **msgspec.structs.asdict(config.engine),
        application=config.id,
        partitions=config.partitions,
        bootstrap=bootstrap,
        kafka=librdkafka(config.kafka),
        shared_partitions=config.run.source_partitions,
        run=config.run.beside,
        starts=config.run.offsets,
    )
