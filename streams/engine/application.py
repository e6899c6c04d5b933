"""The Faust application around a topology: the only place that makes Faust objects."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import faust
from aiokafka.errors import KafkaError
from confluent_kafka import KafkaException
from faust.tables.manager import TableManager
from platformdirs import user_cache_dir

from schemas.wire import Codec
from streams.engine.durability import look
from streams.engine.fingerprint import client_id, conflict
from streams.engine.guard import attempt
from streams.engine.mover import EXIT_MOVER, EXIT_STALLED, EXIT_TOPICS, end_process
from streams.engine.placing import WrongPlace
from streams.engine.plan import planned_selection
from streams.engine.precheck import WrongTopics, check, check_topics, groups
from streams.engine.runner import Report
from streams.engine.selection import EXIT_TOPOLOGY, Selection, WrongSelection, whole
from streams.engine.settings import EngineSettings
from streams.engine.topology import SubTopology, Topology
from streams.engine.transport import Flow
from streams.engine.watchdog import LOOK_SECONDS as TURN_SECONDS
from streams.engine.watchdog import Watchdog
from streams.wire.approach import refusal
from streams.wire.errors import WireError, no_right
from streams.wire.mapping import credentials

Companion = Callable[[Any], Any]
"""Makes a service that lives as long as the application, which it is given."""

LOOKS, LOOK_SECONDS = 5, 1.0
"""How often, and how far apart, a missing topic is looked for before it counts as missing."""
FAULT_VARIABLE = "STREAMS_TEST_FAULT"
"""Set for tests of faults only: where this worker is to fail on purpose."""
SWITCH_SECONDS = 0.001
"""Mover, aiokafka's thread and the loop share the interpreter: 1 ms cut checkpoints by a third."""
REQUEST_SECONDS = 90.0
"""Faust's default; it refuses a session that is longer than a request may take."""


def no_report(event: str, facts: dict[str, Any]) -> None:
    """Say nothing."""


def say(event: str, facts: dict[str, Any]) -> None:
    """One line on standard error, whatever Faust does with its logs."""
    if event == "checkpoint":  # several a second: they are for who counts
        return
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
    selection: Selection
    companions: tuple[Companion, ...] = ()
    checked = False
    """Whether somebody has made sure already that this application may run."""

    watchdog: Watchdog

    async def on_start(self) -> None:
        self.watchdog = Watchdog(self.flow.settings.stall_s, self._doing)
        self.watchdog.start()
        self.add_future(self._beat())
        for companion in self.companions:
            await self.add_runtime_dependency(companion(self))
        if not self.checked:
            await self._require()
        await super().on_start()

    async def _beat(self) -> None:
        while True:
            self.watchdog.beat()
            await asyncio.sleep(TURN_SECONDS / 2)

    def _doing(self) -> str:
        """What the event loop is at, as far as it is known."""
        runners = getattr(self._consumer, "tasks", {}).values()
        return next((runner.doing for runner in runners if runner.doing), "")

    def _crash(self, reason: BaseException) -> None:
        """A service of Faust's has failed; left to itself it would take the others along slowly."""
        code = EXIT_MOVER if isinstance(reason, KafkaError) else EXIT_STALLED
        if not self.should_stop:
            end_process(code, f"a part of the worker failed: {reason!r}")
        super()._crash(reason)

    async def stop(self) -> None:
        """End in an orderly way, for which there is little time."""
        if hasattr(self, "watchdog"):
            self.watchdog.leave()
        await super().stop()

    async def _require(self) -> None:
        """Make sure that this application may run; ends the process when it may not."""
        loop, settings = asyncio.get_running_loop(), self.flow.settings
        try:
            await loop.run_in_executor(None, check, self.selection, settings)
            for finding in await loop.run_in_executor(None, look, self.selection, settings):
                self.flow.report("durability", finding.facts)
        except (WrongTopics, WrongPlace) as error:
            end_process(EXIT_TOPICS, str(error))
        except WrongSelection as error:
            end_process(EXIT_TOPOLOGY, str(error))
        except WireError as error:
            end_process(EXIT_MOVER, str(error))
        except KafkaException as error:
            kafka = {**settings.kafka, "bootstrap.servers": settings.bootstrap}
            refused = no_right(error, "begin") or refusal(kafka)
            if refused is not None:
                end_process(EXIT_MOVER, str(refused))
            end_process(
                EXIT_MOVER,
                f"no Kafka broker answers at {settings.bootstrap} ({error.args[0].name()}): start "
                "one with `streams broker start`, or name yours by STREAMS_BROKER",
            )

    def noted(self, report: Report, event: str, facts: dict[str, Any]) -> None:
        """Pass on what happens; whenever partitions were assigned, look at the group again."""
        if event == "assigned" and not self.should_stop:
            self.add_future(self._look_at_group())
            self.add_future(self._look_at_topics())
        report(event, facts)

    async def _look_at_topics(self) -> None:
        """A topic that went while we began would be waited for in silence.

        A broker may not know a new topic for a moment, so one look is not enough.
        """
        loop, problem = asyncio.get_running_loop(), None
        for _ in range(LOOKS):
            work = loop.run_in_executor(None, check_topics, self.selection, self.flow.settings)
            try:
                await work
                return
            except KafkaException:
                return
            except WrongTopics as error:
                problem = error
            await asyncio.sleep(LOOK_SECONDS)
        end_process(EXIT_TOPICS, str(problem))

    async def _look_at_group(self) -> None:
        """Two topologies that began at one moment saw each other's group empty: one has to go.

        The one with the greater client id does; a broker that is away is no reason.
        """
        settings, selection = self.flow.settings, self.selection
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(None, groups, selection, settings)
        except KafkaException:
            return
        own = client_id(selection, settings)
        mine = next((g for g in found if g.name == selection.application), None)
        problem = conflict(selection, settings, [mine] if mine is not None else [])
        if mine is not None and problem is not None and min(mine.members) < own:
            end_process(EXIT_TOPOLOGY, ": ".join(problem))


def build_app(
    topology: Topology | Selection,
    settings: EngineSettings,
    codec: Codec,
    report: Report = no_report,
    companions: Iterable[Companion] = (),
) -> Any:
    """A Faust application whose agents run the tasks of a topology, or of a part of one.

    Raises TopologyError where steps contradict each other in time (``plan``).
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    if FAULT_VARIABLE in os.environ:
        from streams.engine.doom import arm  # noqa: PLC0415

        arm(os.environ[FAULT_VARIABLE])
    selection = (
        topology if isinstance(topology, Selection) else whole(topology, settings.application)
    )
    selection = planned_selection(selection, settings)
    app: Any = Application(
        selection.application,
        broker=f"streams://{settings.bootstrap}",
        broker_credentials=credentials(settings.kafka),
        broker_client_id=client_id(selection, settings),
        consumer_group_instance_id=settings.instance_id or None,
        web_enabled=False,
        topic_partitions=settings.partitions,
        topic_allow_declare=False,
        topic_disable_leader=True,
        broker_session_timeout=settings.session_timeout_ms / 1000,
        broker_request_timeout=max(REQUEST_SECONDS, settings.session_timeout_ms / 1000),
        broker_heartbeat_interval=min(1.0, settings.session_timeout_ms / 4000),
        broker_commit_interval=1.0,
        stream_wait_empty=False,
        store="memory://",
        TableManager=NoTables,
        autodiscover=False,
        datadir=str(Path(user_cache_dir("streams")) / "faust"),
    )
    app.flow = Flow(selection.topology, settings, codec, partial(app.noted, report))
    app.selection, app.companions = selection, tuple(companions)
    for sub in selection.run:
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
            error = attempt(partial(app.consumer.process, chunk))
            if error is not None:  # Faust would start the agent again, beside a gap
                end_process(EXIT_STALLED, f"a part of the worker failed: {error!r}")

    app.agent(channel, name=sub.name)(agent)
