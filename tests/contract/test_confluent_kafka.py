"""What the engine leans on inside confluent-kafka; how its ``purge`` waits: tests/client."""

from __future__ import annotations

from confluent_kafka import Consumer, TopicPartition


def test_the_mover_uses_public_calls_only() -> None:
    """Public names of confluent-kafka; ``cached`` ends are what the last fetch told."""
    for name in ("incremental_assign", "unassign", "pause", "resume", "poll", "consume"):
        assert callable(getattr(Consumer, name))


def test_pausing_what_is_not_assigned_is_harmless() -> None:
    """A command may reach the mover's thread after a revoke."""
    reader = Consumer({"bootstrap.servers": "127.0.0.1:1", "group.id": "x", "log_level": 0})
    reader.pause([TopicPartition("t", 0)])
    reader.resume([TopicPartition("t", 0)])
    reader.close()
