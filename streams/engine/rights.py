"""Which rights a worker needs on a broker with ACLs, and which of them it does not have.

A right is on something by its name, or on all whose name begins so. READ and WRITE bring DESCRIBE
with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Literal

import msgspec
from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from streams.engine.groups import describe
from streams.engine.selection import PART_SIGN, Selection
from streams.engine.settings import EngineSettings
from streams.engine.topology import SubTopology
from streams.topics import STORED, Topic, dead_letters, late_records
from streams.wire.errors import REMEDY, RIGHTS, NoRight

Kind = Literal["topic", "group", "transactional id"]
Operation = Literal[
    "READ", "WRITE", "DESCRIBE", "CREATE", "DELETE", "ALTER_CONFIGS", "DESCRIBE_CONFIGS"
]  # fmt: skip
ASK_SECONDS = 15.0
TO_SEE: Operation = "DESCRIBE_CONFIGS"
"""What shows whether the settings of a topic keep it safe: without it a worker runs unwarned."""


class Right(msgspec.Struct, frozen=True, order=True):
    """What a principal may do with something."""

    kind: Kind
    name: str
    operation: Operation
    prefixed: bool = False
    """Whether it is on everything whose name begins with ``name``."""

    def __str__(self) -> str:
        return f"{self.operation} on {self.kind} {self.name}{'*' if self.prefixed else ''}"


def of_worker(selection: Selection, settings: EngineSettings) -> list[Right]:
    """What a worker of this selection needs, and no more."""
    found = {right for sub in selection.run for right in of_tasks(sub, settings)}
    known = {right.name for right in found if right.kind == "topic"}
    found |= {Right("topic", name, "DESCRIBE") for name in _looked_at(selection, settings) - known}
    used = known - {dead_letters.name, late_records.name}
    found |= {Right("topic", name, TO_SEE) for name in used}
    return sorted(found | _groups(selection))


def of_tasks(sub: SubTopology, settings: EngineSettings) -> set[Right]:
    """What the tasks of a sub-topology need."""
    log, ids = settings.changelog(sub.name), settings.transactional_id(sub.name, 0)
    aside = (dead_letters, late_records)
    return {
        *(Right("topic", topic.name, "READ") for topic in sub.inputs),
        *(Right("topic", topic.name, "WRITE") for topic in (*sub.outputs, *aside)),
        Right("topic", log, "READ"),
        Right("topic", log, "WRITE"),
        Right("transactional id", ids.removesuffix("0"), "WRITE", prefixed=True),
    }


def _looked_at(selection: Selection, settings: EngineSettings) -> set[str]:
    """The topics that must be there for a worker of the main job to begin, used or not."""
    if selection.module is not None or settings.run:
        return set()
    topics: set[Topic] = {t for sub in selection.topology.subs for t in (*sub.inputs, *sub.outputs)}
    logs = {settings.changelog(sub.name) for sub in selection.topology.subs}
    return {topic.name for topic in {*topics, *STORED}} | logs


def _groups(selection: Selection) -> set[Right]:
    """Its own group, and a look at those that might run the same."""
    base = selection.base
    return {
        Right("group", selection.application, "READ"),
        *([Right("group", base, "DESCRIBE")] if base != selection.application else []),
        Right("group", base + PART_SIGN, "DESCRIBE", prefixed=True),
    }


def check_rights(selection: Selection, settings: EngineSettings) -> None:
    """Raise NoRight with every right on topics and groups without which a worker cannot work.

    Only the broker knows of transactional ids: taking one is what shows it. A broker that does not
    say what we may do is believed to let us.
    """
    if not guarded(settings.kafka):
        return
    needed = [right for right in of_worker(selection, settings) if right.operation != TO_SEE]
    lacking = missing(_client(settings), needed)
    if lacking:
        raise _without(lacking, f"on the broker at {settings.bootstrap}")


def guarded(kafka: Mapping[str, Any]) -> bool:
    """Whether a broker reached in this way may know who we are."""
    return bool(kafka.get("security.protocol", "PLAINTEXT") != "PLAINTEXT")


def require(client: AdminClient, kafka: Mapping[str, Any], wanted: Iterable[Right]) -> None:
    """Raise NoRight where we lack one: what we may not see is not listed, as if it were missing."""
    lacking = missing(client, wanted) if guarded(kafka) else []
    if lacking:
        raise NoRight(f"we have no right to {lacking[0]}", REMEDY)


def named(refused: NoRight, sub: SubTopology, settings: EngineSettings) -> NoRight:
    """What Kafka has just refused a task, with the names of the rights where it tells them."""
    lacking = missing(_client(settings), of_tasks(sub, settings))
    return _without(lacking, f"now: {refused.cause}") if lacking else refused


def _client(settings: EngineSettings) -> AdminClient:
    return AdminClient({"bootstrap.servers": settings.bootstrap, **settings.kafka, "log_level": 2})


def _without(lacking: Sequence[Right], where: str) -> NoRight:
    some = ", ".join(map(str, lacking[:5])) + (", ..." if lacking[5:] else "")
    return NoRight(
        f"we have no right to {some} ({len(lacking)} rights are missing {where})",
        "`streams topics acls worker` prints what a worker needs; give it to our principal",
    )


def missing(client: AdminClient, wanted: Iterable[Right]) -> list[Right]:
    """Those of the rights, on topics and on groups by their names, that we do not have.

    Raises KafkaException when the broker does not answer.
    """
    asked = [right for right in wanted if not right.prefixed]
    have = {**_topics(client, asked), **_of_groups(client, asked)}
    return [
        right
        for right in asked
        if (may := have.get((right.kind, right.name))) is not None and right.operation not in may
    ]


def _topics(client: AdminClient, wanted: Iterable[Right]) -> dict[tuple[str, str], frozenset[str]]:
    names = sorted({right.name for right in wanted if right.kind == "topic"})
    if not names:
        return {}
    told = client.describe_topics(
        TopicCollection(names), include_authorized_operations=True, request_timeout=ASK_SECONDS
    )
    return _allowed("topic", told)


def _of_groups(
    client: AdminClient, wanted: Iterable[Right]
) -> dict[tuple[str, str], frozenset[str]]:
    names = sorted({right.name for right in wanted if right.kind == "group"})
    return _allowed("group", describe(client, names, include_authorized_operations=True))


def _allowed(kind: Kind, told: Mapping[str, Future[Any]]) -> dict[tuple[str, str], frozenset[str]]:
    """What the broker lets us do with each; what it does not say is left out."""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for name, future in told.items():
        try:
            operations = future.result(ASK_SECONDS).authorized_operations
        except TimeoutError:
            continue  # the broker is silent: others say so
        except KafkaException as error:
            if error.args[0].code() in RIGHTS:
                found[kind, name] = frozenset()
            continue  # it is not there yet, or its coordinator is not: that is not about rights
        if operations:
            found[kind, name] = frozenset(operation.name for operation in operations)
    return found
