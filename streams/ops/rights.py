"""The rights of each role on a broker with ACLs, as lines for ``kafka-acls``: what is needed."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from streams import topics
from streams.engine.rights import Operation, Right
from streams.engine.selection import PART_SIGN, Selection
from streams.engine.settings import EngineSettings
from streams.ops.admin import wanted
from streams.sources.names import transactional_id
from streams.topics import Topic

SOURCES: dict[str, tuple[Topic, ...]] = {
    "archive": (topics.blocks, topics.transactions),
    "bitcoin": (topics.blocks, topics.transactions, topics.mempool),
    "dwn": (topics.records,),
    "recording": topics.SOURCES,
}
"""What each kind of source writes."""
WORDS: dict[Operation, str] = {
    "READ": "Read",
    "WRITE": "Write",
    "DESCRIBE": "Describe",
    "CREATE": "Create",
    "ALTER_CONFIGS": "AlterConfigs",
    "DESCRIBE_CONFIGS": "DescribeConfigs",
}
"""What ``kafka-acls`` calls them."""
OPTIONS = {"topic": "--topic", "group": "--group", "transactional id": "--transactional-id"}
_PLAN: tuple[Operation, ...] = ("DESCRIBE", "DESCRIBE_CONFIGS")
_APPLY: tuple[Operation, ...] = ("CREATE", "ALTER_CONFIGS", *_PLAN)


def of_source(kind: str, name: str, settings: EngineSettings) -> list[Right]:
    """What a source needs: its topics, its position, and a transactional id of its own.

    ``name`` is what it writes as (``sources.names``). It looks whether the topics that all runs
    share are there, too.
    """
    found = {Right("topic", topic.name, "WRITE") for topic in SOURCES[kind]}
    found |= {Right("topic", topics.dead_letters.name, "WRITE")}
    found |= {Right("topic", topics.cursors.name, op) for op in _both()}
    own = transactional_id(settings.application, name)
    found.add(Right("transactional id", own, "WRITE"))
    if kind == "bitcoin":  # what was published is read back where a node forgot it
        found |= {Right("topic", t.name, "READ") for t in (topics.blocks, topics.transactions)}
    others = {topic.name for topic in topics.SHARED} - {right.name for right in found}
    return sorted(found | {Right("topic", name, "DESCRIBE") for name in others})


def _both() -> tuple[Operation, Operation]:
    return "READ", "WRITE"


def of_sink(name: str, read: Iterable[Topic]) -> list[Right]:
    """What ``streams sink NAME`` needs: its topics, dead letters, and groups of its name."""
    return sorted(
        {Right("topic", topic.name, "READ") for topic in read}
        | {
            Right("topic", topics.dead_letters.name, "WRITE"),
            Right("group", f"streams-sink-{name}-", "READ", prefixed=True),
        }
    )


def of_reader(read: Iterable[Topic], group: str | None = None) -> list[Right]:
    """What reads topics needs; with ``group`` also to be in it."""
    found = {Right("topic", topic.name, "READ") for topic in read}
    return sorted(found | ({Right("group", group, "READ")} if group is not None else set()))


def of_producer(written: Iterable[Topic]) -> list[Right]:
    """What ``streams produce`` and the client's producer need."""
    return sorted({Right("topic", topic.name, "WRITE") for topic in written})


def of_operator(selection: Selection, settings: EngineSettings) -> list[Right]:
    """What ``streams topics apply`` and ``streams doctor`` need."""
    plan = wanted(selection.topology, settings)
    return sorted({Right("topic", planned.topic, op) for planned in plan for op in _APPLY})


def of_observer(selection: Selection, settings: EngineSettings) -> list[Right]:
    """What ``streams lag`` and ``streams topics plan`` need: nothing is changed."""
    found = {
        Right("topic", planned.topic, op)
        for planned in wanted(selection.topology, settings)
        for op in _PLAN
    }
    logs = {settings.changelog(sub.name) for sub in selection.topology.subs}
    read = logs | {t.name for sub in selection.run for t in sub.inputs}
    found |= {Right("topic", name, "READ") for name in read}
    found.add(Right("group", selection.base, "DESCRIBE"))
    found.add(Right("group", selection.base + PART_SIGN, "DESCRIBE", prefixed=True))
    return sorted(found)


def lines(rights: Iterable[Right], principal: str, bootstrap: str, config: str) -> Iterator[str]:
    """The commands that give them; rights of one kind and operation are one command."""
    known = sorted(rights, key=lambda r: (r.kind, r.prefixed, r.operation, r.name))
    begin = ["kafka-acls.sh", "--bootstrap-server", bootstrap, "--command-config", config, "--add"]
    for (kind, prefixed, operation), same in groupby(
        known, key=lambda r: (r.kind, r.prefixed, r.operation)
    ):
        words = [*begin, "--allow-principal", principal, "--operation", WORDS[operation]]
        if prefixed:
            words += ["--resource-pattern-type", "prefixed"]
        for right in same:
            words += [OPTIONS[kind], right.name]
        yield shlex.join(words)


def rows(rights: Sequence[Right], principal: str) -> list[dict[str, str]]:
    """A row a right."""
    return [
        {
            "principal": principal,
            "kind": right.kind,
            "name": right.name,
            "pattern": "prefixed" if right.prefixed else "literal",
            "operation": right.operation,
        }
        for right in rights
    ]
