"""The rights of each role on a broker with ACLs, as lines for ``kafka-acls``: what is needed."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from streams import topics
from streams.engine.rights import Operation, Right, of_worker
from streams.engine.selection import PART_SIGN, Selection
from streams.engine.settings import EngineSettings
from streams.ops.admin import wanted
from streams.ops.letters import KINDS
from streams.ops.replaying import Job
from streams.ops.runs import topic_of
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
    "DELETE": "Delete",
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
    """What ``streams lag``, ``topics plan`` and ``transactions ls`` need: nothing is changed."""
    found = {
        Right("topic", planned.topic, op)
        for planned in wanted(selection.topology, settings)
        for op in _PLAN
    }
    logs = {settings.changelog(sub.name) for sub in selection.topology.subs}
    found |= {Right("topic", name, "READ") for name in logs}
    found |= _ids(selection, settings, "DESCRIBE")
    return sorted(found | _progress(selection, settings))


def _progress(selection: Selection, settings: EngineSettings) -> set[Right]:
    """What shows how far a selection is: its positions, its inputs and its groups."""
    read = {settings.changelog(sub.name) for sub in selection.run}
    read |= {t.name for sub in selection.run for t in sub.inputs}
    found = {Right("topic", name, "READ") for name in read}
    found.add(Right("group", selection.base, "DESCRIBE"))
    found.add(Right("group", selection.base + PART_SIGN, "DESCRIBE", prefixed=True))
    return found


def _ids(selection: Selection, settings: EngineSettings, operation: Operation) -> set[Right]:
    """A right on the transactional ids of tasks, and on those that all runs share."""
    names = [settings.transactional_id(sub.name, 0)[:-1] for sub in selection.run]
    if not settings.run:
        names += [transactional_id(settings.application, ""), *(k.transactional_id for k in KINDS)]
    return {Right("transactional id", name, operation, prefixed=True) for name in names}


def of_aborter(
    selection: Selection, settings: EngineSettings, other: str | None = None
) -> list[Right]:
    """What ``streams transactions`` needs: for our own transactional ids, or for another one."""
    if other is not None:
        return [Right("transactional id", other, "WRITE")]
    return sorted(_ids(selection, settings, "WRITE"))


def of_reviewer() -> list[Right]:
    """What ``ls`` and ``show`` of ``streams dlq`` and ``late`` need."""
    read = {kind.topic.name for kind in KINDS} | {topics.redrives.name}
    return sorted(Right("topic", name, "READ") for name in read)


def of_redriver(
    selection: Selection, settings: EngineSettings, written: Iterable[Topic] = ()
) -> list[Right]:
    """What ``streams dlq redrive`` and ``late redrive`` need.

    Letters go to what the selection reads, or to what is named. A letter that does not hold all
    bytes is read where it came from.
    """
    to = {topic.name for topic in written}
    to = to or {topic.name for sub in selection.run for topic in sub.inputs}
    used: tuple[Operation, ...] = ("DESCRIBE_CONFIGS", *_both())
    found = {Right("topic", name, op) for name in to for op in used}
    found |= {Right("topic", topics.redrives.name, op) for op in ("CREATE", "WRITE")}
    logs = (settings.changelog(sub.name) for sub in selection.run)
    found |= {Right("topic", name, "DESCRIBE") for name in logs}
    found |= {Right("transactional id", kind.transactional_id, "WRITE") for kind in KINDS}
    return sorted(found.union(of_reviewer()))


def of_replayer(run: Job, beside: Job) -> list[Right]:
    """What ``streams replay`` and ``backfill`` of a run need, from its plan until it is dropped.

    The original run is never begun: it is switched to, and dropped.
    """
    found = {right for job in (run, beside) for right in _progress(job.selection, job.settings)}
    made, runs = {planned.topic for planned in run.made}, topic_of(run.config.application)
    found |= {Right("topic", name, "DELETE") for name in made}
    found |= {Right("topic", runs, op) for op in _both()}
    if run.settings.run:
        found |= {Right("topic", name, "CREATE") for name in (*made, runs)}
        found.update(of_worker(run.selection, run.settings))
    return sorted(found)


def of_recorder() -> list[Right]:
    """What ``streams record`` needs; it looks whether all that runs share is there, too."""
    read = {topic.name for topic in topics.SOURCES}
    others = {topic.name for topic in topics.SHARED} - read
    found = {Right("topic", name, "READ") for name in read}
    return sorted(found | {Right("topic", name, "DESCRIBE") for name in others})


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
