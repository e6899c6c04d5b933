"""Refuse to begin on topics, a group or state that do not fit: before anything is consumed."""

from __future__ import annotations

import time
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from streams.engine.fingerprint import Group, conflict
from streams.engine.groups import describe, names_of
from streams.engine.placing import check_places
from streams.engine.rights import check_rights
from streams.engine.selection import PART_SIGN, Selection, WrongSelection
from streams.engine.settings import EngineSettings
from streams.engine.storing import check_store
from streams.engine.tails import last_positions
from streams.engine.upgrade import REMEDY as OTHER_STATE
from streams.engine.upgrade import upgrades_from

TIMEOUT_SECONDS = 30
ASK_SECONDS = 4
"""One question: a client of a broker that has just started may never hear its answer."""
AGAIN_SECONDS = 0.2
LOADING = frozenset(
    {
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError._TRANSPORT,
        KafkaError._TIMED_OUT,
    }
)
"""A broker that has just started does not know its groups for a moment; a busy one is slow."""
REMEDY = {
    "missing": "create them with `streams topics apply`",
    "partitions": "topics that are joined need equal partition counts: set `partitions` to what "
    "the topics have, replay into new topics, or read somebody else's by `repartition`",
}


class WrongTopics(RuntimeError):
    """Topics of the topology are missing, or have another partition count than the settings."""


class WrongGroup(WrongSelection):
    """The group, or another one of this application, runs something that excludes this."""


class WrongState(WrongSelection):
    """The state that is there was written by another version of a step."""


def admin_client(settings: EngineSettings) -> AdminClient:
    """A client that asks the broker and fills no log."""
    return AdminClient({"bootstrap.servers": settings.bootstrap, **settings.kafka, "log_level": 2})


def check(selection: Selection, settings: EngineSettings) -> None:
    """All checks; raises WrongTopics, WrongPlace, WrongSelection, NoRight, or KafkaException."""
    check_store(settings)
    check_rights(selection, settings)
    check_topics(selection, settings)
    check_group(selection, settings)
    check_state(selection, settings)
    check_places(selection.run, settings)


def check_topics(selection: Selection, settings: EngineSettings) -> None:
    """Raise WrongTopics, or KafkaException when no broker answers."""
    found = admin_client(settings).list_topics(timeout=TIMEOUT_SECONDS).topics
    needed = {
        t.name: settings.count_of(t) for sub in selection.run for t in (*sub.inputs, *sub.outputs)
    }
    needed |= {settings.changelog(sub.name): settings.tasks_of(sub) for sub in selection.run}
    missing = sorted(needed.keys() - found.keys())
    if missing:
        some = ", ".join(missing[:3])
        raise WrongTopics(f"{len(missing)} topics are missing ({some}, ...): {REMEDY['missing']}")
    for name in sorted(needed):
        count = len(found[name].partitions)
        if count != needed[name]:
            raise WrongTopics(
                f"topic {name} has {count} partitions, needs {needed[name]}: {REMEDY['partitions']}"
            )


def check_group(selection: Selection, settings: EngineSettings) -> None:
    """Raise WrongGroup where members of a group already run something that excludes this."""
    found = conflict(selection, settings, groups(selection, settings))
    if found is not None:
        raise WrongGroup(*found)


def groups(selection: Selection, settings: EngineSettings) -> list[Group]:
    """The consumer groups of this base application, with their members' client ids.

    Where the broker does not let us list groups, only our own and the base's are looked at.
    """
    deadline = time.monotonic() + TIMEOUT_SECONDS
    client = admin_client(settings)
    while True:
        try:
            return _groups(selection, client)
        except TimeoutError as error:
            if time.monotonic() > deadline:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT)) from error
        except KafkaException as error:
            if error.args[0].code() not in LOADING or time.monotonic() > deadline:
                raise
        time.sleep(AGAIN_SECONDS)


def _groups(selection: Selection, client: AdminClient) -> list[Group]:
    names = {selection.application, selection.base}
    listed = _list_groups(client)
    names |= {name for name in listed if name.startswith(selection.base + PART_SIGN)}
    answers = describe(client, names)
    return [Group(name, _members(answer)) for name, answer in sorted(answers.items())]


def _list_groups(client: AdminClient) -> list[str]:
    try:
        return names_of(client, ASK_SECONDS)
    except KafkaException as error:
        if error.args[0].name().endswith("AUTHORIZATION_FAILED"):
            return []
        raise


def _members(answer: Future[Any]) -> tuple[str, ...]:
    try:
        return tuple(member.client_id for member in answer.result(ASK_SECONDS).members)
    except KafkaException as error:
        if error.args[0].name() == "GROUP_ID_NOT_FOUND":
            return ()
        raise


def check_state(selection: Selection, settings: EngineSettings) -> None:
    """Raise WrongState where a changelog holds state of a version that the code cannot read."""
    kafka = {"bootstrap.servers": settings.bootstrap, **settings.kafka}
    logs = {settings.changelog(sub.name): sub for sub in selection.run}
    counts = {name: settings.tasks_of(sub) for name, sub in logs.items()}
    for place, position in last_positions(kafka, counts).items():
        for step in logs[place.topic].steps:
            known = position["steps"].get(step.name, step.version)
            if upgrades_from(step, known) is None:
                raise WrongState(
                    f"{place.topic} holds the state of step {step.name} of version {known}, the "
                    f"code is of version {step.version}",
                    OTHER_STATE,
                )
