"""Settings of topics under which something acknowledged can be lost: seen before anything is read.

Refused is what would lose or change results without anybody noticing: a changelog that forgets, an
election that gives up acknowledged records. What only narrows the margin is told. Sources: KIP-106
(unclean election), Kafka's documentation of the settings named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    ResourceType,
)

from streams.engine.precheck import TIMEOUT_SECONDS, WrongTopics, admin_client
from streams.engine.selection import Selection
from streams.engine.settings import EngineSettings
from streams.tuning import DAY_MS


class NotKept(WrongTopics):
    """A topic under whose settings something acknowledged would be lost."""

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(f"{cause}: {remedy}")
        self.cause, self.remedy = cause, remedy


class Kept(NamedTuple):
    """How a broker keeps a topic."""

    name: str
    replicas: int
    settings: Mapping[str, str]
    changelog: bool = False
    append_time: bool = False
    """Whether the topic is declared to be stamped by the broker."""
    local: bool = False
    """Whether a copy of it on local disk may lag behind by half a day."""
    brokers: int = 1
    """How many there are."""

    def says(self, name: str) -> str:
        """One of its settings."""
        return self.settings.get(name, "")


def whole(settings: Mapping[str, str], name: str, unknown: int) -> int:
    """A number among a broker's settings; ``unknown`` where it says none, or no number.

    >>> whole({"min.insync.replicas": "2"}, "min.insync.replicas", 1), whole({"a": "None"}, "a", 7)
    (2, 7)
    """
    text = settings.get(name, "")
    return int(text) if _WHOLE.fullmatch(text) else unknown


_WHOLE = re.compile(r"-?[0-9]{1,18}")
WANTED_COPIES = 3


class Finding(NamedTuple):
    """What is wrong with a topic, and what helps."""

    topic: str
    cause: str
    remedy: str
    fatal: bool

    @property
    def facts(self) -> dict[str, str]:
        """It as a line of a log."""
        return {"topic": self.topic, "cause": self.cause, "remedy": self.remedy}


class Remedies(NamedTuple):
    """The commands that help, as they can be pasted."""

    bootstrap: str
    module: str | None = None
    """Whose topics they are; None: the main job's."""

    def set(self, topic: str, setting: str) -> str:
        """One setting of a topic."""
        words = f"--alter --topic {topic} --add-config {setting}"
        return f"set {setting} (kafka-configs.sh --bootstrap-server {self.bootstrap} {words})"

    def spread(self, brokers: int = WANTED_COPIES) -> str:
        """More copies: of all topics that lack them, since who lacks one lacks others."""
        own = "" if self.module is None else f" --module {self.module}"
        first = "" if brokers >= WANTED_COPIES else "run three brokers, and "
        ours = f"streams topics copies --broker {self.bootstrap}{own} > copies.json"
        return f"{first}give it three replicas ({ours} && {reassign(self.bootstrap)})"


def reassign(bootstrap: str, file: str = "copies.json") -> str:
    """The line of Kafka's own tool that makes the copies which a file names."""
    words = f"--execute --reassignment-json-file {file}"
    return f"kafka-reassign-partitions.sh --bootstrap-server {bootstrap} {words}"


def findings(topics: Iterable[Kept], remedies: Remedies) -> list[Finding]:
    """What is wrong with these topics, the fatal first."""
    found = [finding for topic in topics for finding in _findings(topic, remedies)]
    return sorted(found, key=lambda finding: (not finding.fatal, finding.topic))


UNSYNCED = "may elect a leader that lacks acknowledged records"
UNWRITABLE = "has fewer replicas than it wants in sync"
ALONE = "acknowledges what a single broker has"
SINGLE = "is on one broker of several: what that one loses is lost, and nobody works without it"
HIDDEN = "have settings that we may not see: nobody knows whether they keep what is acknowledged"
FORGETS = "is a changelog and forgets state by age"
REVIVES = (
    "forgets deletions before a copy on local disk has read them, so that they would live again"
)
CLOCKS = (
    "carries its producers' clocks: where one is wrong, retention deletes too early, and records "
    "without ce_time have a wrong time"
)


def _findings(topic: Kept, remedies: Remedies) -> Iterable[Finding]:
    def wrong(cause: str, setting: str, fatal: bool = False) -> Finding:
        return Finding(topic.name, cause, remedies.set(topic.name, setting), fatal)

    least = whole(topic.settings, "min.insync.replicas", 1)
    if topic.replicas > 1 and topic.says("unclean.leader.election.enable") == "true":
        yield wrong(UNSYNCED, "unclean.leader.election.enable=false", True)
    if topic.replicas == 1 < topic.brokers:
        two = remedies.set(topic.name, "min.insync.replicas=2")
        yield Finding(topic.name, SINGLE, f"{remedies.spread(topic.brokers)}, then {two}", False)
    elif least > topic.replicas:
        yield wrong(UNWRITABLE, f"min.insync.replicas={topic.replicas}")
    if topic.settings and least < 2 <= topic.replicas:
        more = f"{remedies.spread(topic.brokers)}, then " if topic.replicas == 2 else ""
        found = wrong(ALONE, "min.insync.replicas=2")
        yield found._replace(remedy=more + found.remedy)
    if topic.changelog and topic.says("cleanup.policy") not in ("", "compact"):
        yield wrong(FORGETS, "cleanup.policy=compact", True)
    if topic.local and whole(topic.settings, "delete.retention.ms", DAY_MS) < DAY_MS:
        yield wrong(REVIVES, f"delete.retention.ms={DAY_MS}", True)
    if topic.append_time and topic.says("message.timestamp.type") == "CreateTime":
        yield wrong(CLOCKS, "message.timestamp.type=LogAppendTime")


def look(selection: Selection, settings: EngineSettings) -> list[Finding]:
    """What is not fatal of the topics of this selection; raises NotKept for what is.

    Settings that we may not see are a finding of their own. Raises KafkaException when no broker
    answers.
    """
    needed = {t.name: t.append_time for s in selection.run for t in (*s.inputs, *s.outputs)}
    logs = {settings.changelog(sub.name) for sub in selection.run}
    topics, hidden = _kept(settings, needed.keys() | logs)
    found = findings(
        (
            topic._replace(
                changelog=topic.name in logs,
                append_time=needed.get(topic.name, False),
                local=settings.store == "rocks" and topic.name in logs,
            )
            for topic in topics
        ),
        Remedies(settings.bootstrap, selection.called),
    )
    if found and found[0].fatal:
        raise NotKept(f"topic {found[0].topic} {found[0].cause}", found[0].remedy)
    return found + ([_hidden(hidden)] if hidden else [])


def copied(settings: EngineSettings, names: Iterable[str]) -> list[Finding]:
    """What is wrong with the copies of these topics of the main job, whatever they are for.

    Raises KafkaException when no broker answers.
    """
    return findings(_kept(settings, names)[0], Remedies(settings.bootstrap))


def _kept(settings: EngineSettings, wanted: Iterable[str]) -> tuple[list[Kept], list[str]]:
    """Those of these topics that are there, and the names of those whose settings are hidden."""
    client = admin_client(settings)
    cluster = client.list_topics(timeout=TIMEOUT_SECONDS)
    listed = cluster.topics
    names = sorted(set(wanted) & listed.keys())
    configs = _configs(client, names)
    topics = [
        Kept(
            name,
            min((len(p.replicas) for p in listed[name].partitions.values()), default=1),
            configs.get(name, {}),
            brokers=len(cluster.brokers),
        )
        for name in names
    ]
    return topics, [name for name in names if name not in configs]


def _hidden(names: list[str]) -> Finding:
    words = "give our principal DESCRIBE_CONFIGS on them (`streams topics acls worker` prints it)"
    return Finding(", ".join(names), HIDDEN, words, False)


def _configs(client: AdminClient, names: Iterable[str]) -> dict[str, dict[str, str]]:
    asked = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    found: dict[str, dict[str, str]] = {}
    for resource, future in client.describe_configs(asked).items() if asked else ():
        try:
            answer: dict[str, Any] = future.result(TIMEOUT_SECONDS)
        except KafkaException as error:
            if not error.args[0].name().endswith("AUTHORIZATION_FAILED"):
                raise
            continue
        found[resource.name] = {name: str(entry.value) for name, entry in answer.items()}
    return found
