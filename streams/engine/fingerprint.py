"""What a consumer group's members must agree on, as a short text that travels with the membership.

It is the client id of the group member: Kafka shows it with the group, it is there exactly as long
as the member is, and needs neither a topic nor a lock.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import sha256
from typing import Any, NamedTuple

from streams.engine.selection import Selection
from streams.engine.settings import EngineSettings
from streams.engine.topology import SubTopology, Topology

PREFIX = "streams."
DIGITS = 12


def fingerprint(selection: Selection, settings: EngineSettings) -> str:
    """A digest of what runs: steps with versions and topics, partitions, generation, and who writes
    the inputs. Code inside a step is not in it: its ``version`` speaks for it.
    """
    facts = [
        settings.partitions,
        settings.generation,
        [_facts(selection.topology, sub) for sub in sorted(selection.run, key=lambda s: s.name)],
    ]
    return sha256(json.dumps(facts).encode()).hexdigest()[:DIGITS]


def _facts(topology: Topology, sub: SubTopology) -> list[Any]:
    steps = [
        [step.name, step.version, [t.name for t in step.reads], [t.name for t in step.writes]]
        for step in sub.steps
    ]
    writers = [[t.name, sorted(w.name for w in topology.writers(t.name))] for t in sub.inputs]
    return [sub.name, steps, sorted(writers)]


def client_id(selection: Selection, settings: EngineSettings) -> str:
    """The group member's client id."""
    return PREFIX + fingerprint(selection, settings)


class Group(NamedTuple):
    """A consumer group and the client ids of its members."""

    name: str
    members: tuple[str, ...]


def conflict(
    selection: Selection, settings: EngineSettings, groups: Iterable[Group]
) -> tuple[str, str] | None:
    """Why a worker must not begin beside these groups, as cause and remedy; None: it may."""
    own = client_id(selection, settings)
    for group in groups:
        if group.name == selection.application:
            other = [member for member in group.members if member != own]
            if other:
                return _differs(group.name, len(other), settings)
        elif group.members and (shared := selection.shared_with(group.name)):
            return _runs_elsewhere(group, shared, settings)
    return None


def _differs(name: str, members: int, settings: EngineSettings) -> tuple[str, str]:
    return (
        f"{members} members of group {name} run another topology than this one",
        "members of one group run the same steps, versions, topics and partitions: stop them first "
        f"(a killed one leaves after {settings.session_timeout_ms / 1000:g} s; `--wait` waits), or "
        "give this one an application id of its own",
    )


def _runs_elsewhere(
    group: Group, shared: tuple[str, ...], settings: EngineSettings
) -> tuple[str, str]:
    return (
        f"group {group.name} has {len(group.members)} members that run {', '.join(shared)}",
        "one sub-topology runs in one group: stop those workers first (a killed one leaves after "
        f"{settings.session_timeout_ms / 1000:g} s; `--wait` waits), or choose others by --only",
    )
