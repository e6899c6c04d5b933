"""The Faust application around a topology: the only place that makes Faust objects."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import faust
from confluent_kafka import KafkaException
from faust.tables.manager import TableManager
from platformdirs import user_cache_dir

from schemas.wire import Codec
from streams.engine.mover import EXIT_MOVER, EXIT_TOPICS, end_process
from streams.engine.precheck import WrongTopics, check_topics
from streams.engine.runner import Report
from streams.engine.settings import EngineSettings
from streams.engine.topology import SubTopology, Topology
from streams.engine.transport import Flow

SWITCH_SECONDS = 0.001
"""Mover, aiokafka's thread and the loop share the interpreter: 1 ms cut checkpoints by a third."""


def no_report(event: str, facts: dict[str, Any]) -> None:
    """Say nothing."""


def say(event: str, facts: dict[str, Any]) -> None:
    """One line on standard error, whatever Faust does with its logs."""
    words = " ".join(f"{name}={value}" for name, value in facts.items())
    print(f"streams: {event} {words}", file=sys.__stderr__, flush=True)


class NoTables(TableManager):
    """Faust waits a second for tables to register; there are none."""

    async def on_start(self) -> None:
        await self._update_channels()
        await self.recovery.start()


class Application(faust.App):
    """Nothing is connected, no group joined and nothing consumed on topics that do not fit."""

    flow: Flow

    async def on_start(self) -> None:
        loop, settings = asyncio.get_running_loop(), self.flow.settings
        try:
            await loop.run_in_executor(None, check_topics, self.flow.topology, settings)
        except WrongTopics as error:
            end_process(EXIT_TOPICS, str(error))
        except KafkaException as error:
            end_process(
                EXIT_MOVER,
                f"no Kafka broker answers at {settings.bootstrap} ({error.args[0].name()}): start "
                "one with `streams broker start`, or name yours by STREAMS_BROKER",
            )
        await super().on_start()


def build_app(
    topology: Topology, settings: EngineSettings, codec: Codec, report: Report = no_report
) -> Any:
    """A Faust application whose agents run the topology's tasks."""
    sys.setswitchinterval(SWITCH_SECONDS)
    app: Any = Application(
        settings.application,
        broker=f"streams://{settings.bootstrap}",
        web_enabled=False,
        topic_partitions=settings.partitions,
        topic_allow_declare=False,
        topic_disable_leader=True,
        broker_session_timeout=settings.session_timeout_ms / 1000,
        broker_heartbeat_interval=min(1.0, settings.session_timeout_ms / 4000),
        broker_commit_interval=1.0,
        stream_wait_empty=False,
        store="memory://",
        TableManager=NoTables,
        autodiscover=False,
        datadir=str(Path(user_cache_dir("streams")) / "faust"),
    )
    app.flow = Flow(topology, settings, codec, report)
    for sub in topology.subs:
        _attach(app, sub)
    return app


def _attach(app: Any, sub: SubTopology) -> None:
    channel = app.topic(
        *[topic.name for topic in sub.inputs],
        key_serializer="raw",
        value_serializer="raw",
        acks=False,
    )

    async def agent(stream: Any) -> None:
        async for chunk in stream:
            app.consumer.process(chunk)

    app.agent(channel, name=sub.name)(agent)
