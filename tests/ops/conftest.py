"""The fixtures of the tests on a real Kafka, for the handles of operation."""

from __future__ import annotations

from tests.kafka.conftest import broker, busy, demo_sets, world

__all__ = ["broker", "busy", "demo_sets", "world"]
