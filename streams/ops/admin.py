"""Topics on a broker: what is planned, what is there, and making the two agree."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from streams.engine.rights import Right, require
from streams.engine.settings import EngineSettings
from streams.engine.topology import Topology
from streams.topics import COMPACTION, MEBIBYTE, SHARED, STORED, Topic
from streams.wire.approach import require_way
from streams.wire.errors import no_right

TIMEOUT_SECONDS = 15
POLL_SECONDS = 0.02


class OpsError(RuntimeError):
    """Something outside is not as it must be; the message names cause and remedy."""

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(f"{cause}: {remedy}")
        self.cause, self.remedy = cause, remedy


class WrongCount(OpsError):
    """A topic has another partition count than the settings: waiting does not help."""


class Planned(msgspec.Struct, frozen=True):
    """One topic of the plan, and how it stands on the broker."""

    topic: str
    partitions: int
    settings: dict[str, str]
    state: str
    """missing, ok, or what differs"""
    about: str = ""


def wanted(
    topology: Topology, settings: EngineSettings, beside: Iterable[Topic] | None = None
) -> list[Planned]:
    """Every topic that is needed: what steps read and write, changelogs, and what is ``beside``.

    None: all of the main job, of which a run has the derived ones under names of its own.
    """
    if beside is None:
        beside = SHARED if settings.run else STORED
    plan = [_of(topic, settings) for topic in beside]
    plan += [
        Planned(
            settings.changelog(sub.name),
            settings.tasks_of(sub),
            _changelog_settings(),
            "missing",
            f"state and positions of {sub.name}",
        )
        for sub in topology.subs
    ]
    known = {p.topic for p in plan}
    extra = {t.name: t for sub in topology.subs for t in (*sub.inputs, *sub.outputs)}
    plan += [_of(t, settings) for name, t in extra.items() if name not in known]
    return plan


def _of(topic: Topic, settings: EngineSettings) -> Planned:
    return Planned(topic.name, settings.count_of(topic), topic.settings(), "missing", topic.about)


def _changelog_settings() -> dict[str, str]:
    return {
        "cleanup.policy": "compact",
        "max.message.bytes": str(17 * MEBIBYTE),
        "retention.ms": "-1",
        "delete.retention.ms": "86400000",  # local state may lag behind for half of it
        "message.timestamp.type": "LogAppendTime",
        **COMPACTION,
    }


class Admin:
    """Asks and changes a broker."""

    def __init__(self, settings: EngineSettings) -> None:
        self.settings, self.timeout = settings, TIMEOUT_SECONDS
        self.client = AdminClient(
            {"bootstrap.servers": settings.bootstrap, **settings.kafka, "log_level": 2}
        )

    def partitions(self) -> dict[str, int]:
        """Topic to partition count; raises OpsError when no broker answers, or WireError."""
        try:
            found = self.client.list_topics(timeout=self.timeout).topics
        except KafkaException as error:
            require_way({**self.settings.kafka, "bootstrap.servers": self.settings.bootstrap})
            raise OpsError(
                f"no Kafka broker answers at {self.settings.bootstrap} ({error.args[0].name()})",
                "start one with `streams broker start`, or name yours with --broker",
            ) from error
        return {name: len(topic.partitions) for name, topic in found.items()}

    def plan(self, plan: Sequence[Planned]) -> list[Planned]:
        """The plan beside what is there."""
        present = self.partitions()
        configs = self._configs([p.topic for p in plan if p.topic in present])
        return [
            msgspec.structs.replace(p, state=_state(p, present.get(p.topic), configs)) for p in plan
        ]

    def _configs(self, names: Iterable[str]) -> dict[str, dict[str, str]]:
        asked = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        if not asked:
            return {}
        answers = self.client.describe_configs(asked)
        found: dict[str, dict[str, str]] = {}
        for resource, future in answers.items():
            try:
                settings = future.result(TIMEOUT_SECONDS)
            except KafkaException as error:
                _refuse(error, f"see the settings of topic {resource.name}")
                raise
            found[resource.name] = {n: str(c.value) for n, c in settings.items()}
        return found

    def apply(self, topology: Topology) -> list[Planned]:
        """Have what this topology needs; as ``make``."""
        return self.make(wanted(topology, self.settings))

    def make(self, wanted: Sequence[Planned]) -> list[Planned]:
        """Create what is missing and set what differs; wrong partition counts raise OpsError."""
        plan = self.plan(wanted)
        refuse_wrong_counts(plan)
        missing = [p for p in plan if p.state == "missing"]
        self.create(missing)
        changed = [p for p in plan if p.state not in ("missing", "ok")]
        self._alter(changed)
        return missing + changed

    def create(self, plan: Sequence[Planned]) -> None:
        """Create these topics; one that somebody else has just created is there, too.

        Returns when the broker lists them: its controller answers before its brokers know, and
        who started at once would find them missing.
        """
        new = [
            NewTopic(p.topic, p.partitions, replication_factor=-1, config=p.settings) for p in plan
        ]
        for name, future in self.client.create_topics(new).items() if new else ():
            _result(future, name)
        unlisted, deadline = {p.topic for p in plan}, time.monotonic() + TIMEOUT_SECONDS
        while unlisted := unlisted - self.partitions().keys():
            if time.monotonic() > deadline:
                raise OpsError(
                    f"topic {min(unlisted)} was created, but the broker does not list it",
                    "see the broker's log",
                )
            time.sleep(POLL_SECONDS)

    def _alter(self, plan: list[Planned]) -> None:
        if not plan:
            return
        resources = [
            ConfigResource(
                ResourceType.TOPIC,
                p.topic,
                incremental_configs=[
                    ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
                    for name, value in p.settings.items()
                ],
            )
            for p in plan
        ]
        for resource, future in self.client.incremental_alter_configs(resources).items():
            _result(future, resource.name)

    def wait(self, check: Callable[[], object], seconds: float) -> None:
        """``check``, again and again for at most ``seconds`` while it raises OpsError."""
        deadline = time.monotonic() + seconds
        self.timeout = 1 if seconds else TIMEOUT_SECONDS
        while True:
            try:
                check()
                return
            except WrongCount:
                raise
            except OpsError:
                if time.monotonic() >= deadline:
                    raise
            time.sleep(0.2)

    def check(self, topology: Topology, beside: Iterable[Topic] | None = None) -> None:
        """Refuse to start on a broker whose topics are missing or have another partition count.

        ``beside``: topics that are needed though no step reads or writes them.
        """
        present = self.partitions()
        plan = [
            msgspec.structs.replace(p, state=_state(p, present.get(p.topic), None))
            for p in wanted(topology, self.settings, beside)
        ]
        refuse_wrong_counts(plan)
        missing = [p.topic for p in plan if p.state == "missing"]
        if missing:
            self.require(Right("topic", name, "DESCRIBE") for name in missing)
            raise OpsError(
                f"{len(missing)} topics are missing ({_some(missing)})",
                "create them with `streams topics apply`",
            )

    def require(self, rights: Iterable[Right]) -> None:
        """Raise NoRight where we lack one of them."""
        require(self.client, self.settings.kafka, rights)


def _some(names: Sequence[str]) -> str:
    """The first names of a list, and whether there are more."""
    return ", ".join([*names[:3], *(["..."] if names[3:] else [])])


def _state(planned: Planned, count: int | None, configs: dict[str, Any] | None) -> str:
    if count is None:
        return "missing"
    if count != planned.partitions:
        return f"has {count} partitions, needs {planned.partitions}"
    have = (configs or {}).get(planned.topic)
    if have is None:
        return "ok"
    wrong = {n: v for n, v in planned.settings.items() if n in have and have[n] != v}
    return "ok" if not wrong else ", ".join(f"{n} is {have[n]}, not {v}" for n, v in wrong.items())


def refuse_wrong_counts(plan: Iterable[Planned]) -> None:
    """Raise WrongCount when a topic has another partition count than the plan."""
    for planned in plan:
        if planned.state.startswith("has "):
            raise WrongCount(
                f"topic {planned.topic} {planned.state}",
                "topics that are joined need equal partition counts: set `partitions` to what the "
                "topics have, replay into new topics, or read somebody else's by `repartition`",
            )


def _refuse(error: KafkaException, doing: str) -> None:
    """Raise NoRight where that is what is wrong."""
    if (refused := no_right(error, doing)) is not None:
        raise refused from error


def _result(future: Any, name: str) -> None:
    try:
        future.result(TIMEOUT_SECONDS)
    except KafkaException as error:
        _refuse(error, f"create or change topic {name}")
        if error.args[0].name() != "TOPIC_ALREADY_EXISTS":
            words = error.args[0].str()
            raise OpsError(f"topic {name}: {words}", "see the broker's log") from error
