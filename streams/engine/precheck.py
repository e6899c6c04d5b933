"""Refuse to begin on topics that do not fit: before anything is consumed."""

from __future__ import annotations

from confluent_kafka.admin import AdminClient

from streams.engine.settings import EngineSettings
from streams.engine.topology import Topology

TIMEOUT_SECONDS = 10
REMEDY = {
    "missing": "create them with `streams topics apply`",
    "partitions": "topics that are joined need equal partition counts: set `partitions` to what "
    "the topics have, or replay into new topics",
}


class WrongTopics(RuntimeError):
    """Topics of the topology are missing, or have another partition count than the settings."""


def check_topics(topology: Topology, settings: EngineSettings) -> None:
    """Raise WrongTopics, or KafkaException when no broker answers."""
    config = {"bootstrap.servers": settings.bootstrap, **settings.kafka, "log_level": 2}
    found = AdminClient(config).list_topics(timeout=TIMEOUT_SECONDS).topics
    needed = {t.name for sub in topology.subs for t in (*sub.inputs, *sub.outputs)}
    needed |= {settings.changelog(sub.name) for sub in topology.subs}
    missing = sorted(needed - found.keys())
    if missing:
        some = ", ".join(missing[:3])
        raise WrongTopics(f"{len(missing)} topics are missing ({some}, ...): {REMEDY['missing']}")
    for name in sorted(needed):
        count = len(found[name].partitions)
        if count != settings.partitions:
            raise WrongTopics(
                f"topic {name} has {count} partitions, needs {settings.partitions}: "
                f"{REMEDY['partitions']}"
            )
