"""The topics that a user's own steps need beside those of the main job."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from streams.config import Config, RunSettings
from streams.engine.selection import Selection
from streams.engine.settings import EngineSettings, settings_of
from streams.engine.topology import SubTopology
from streams.ops.admin import Admin, OpsError, Planned, wanted
from streams.ops.modules import select
from streams.ops.runs import Known, followed
from streams.topics import BY_TOPIC, SHARED, STORED, dead_letters, late_records

ASIDE = (dead_letters, late_records)
"""Where whoever runs steps puts records aside."""


class Share(NamedTuple):
    """What runs of the main job, or of one module, with the settings of its run."""

    selection: Selection
    settings: EngineSettings


def shares(
    config: Config, known: Known, bootstrap: str, modules: Iterable[str] = ()
) -> list[Share]:
    """The main job and the own steps of these modules, each as its run has it.

    A run that the configuration names is that of one of them; the others have their current one.
    Raises BadModule, NoRun.
    """
    parts, named, found = (None, *dict.fromkeys(modules)), known.runs.get(config.run.name), []
    if named is not None and named.module not in parts:
        known.run(named.name, None)  # raises, and says how to use it
    for module in parts:
        other = named is not None and named.module != module
        own = followed(replace(config, run=RunSettings()) if other else config, known, module)
        found.append(Share(select(own, module), settings_of(own, bootstrap)))
    return found


def needed(of: Iterable[Share]) -> list[Planned]:
    """Every topic that they need, once."""
    found: dict[str, Planned] = {}
    for selection, settings in of:
        beside = None if selection.module is None else ASIDE
        for planned in wanted(selection.part, settings, beside):
            found.setdefault(planned.topic, planned)
    return list(found.values())


def apply(admin: Admin, of: Sequence[Share]) -> list[Planned]:
    """As ``Admin.make``, but what is somebody else's must be there already.

    Raises OpsError for it before anything is changed.
    """
    present, subs = admin.partitions(), [sub for one in of for sub in one.selection.run]
    ours = _made_here(subs) | {topic.name for topic in SHARED}
    for name in sorted({t.name for sub in subs for t in sub.inputs} - ours):
        if name not in present:
            raise _unknown(name, present)
    return admin.make(needed(of))


def check(admin: Admin, selection: Selection) -> None:
    """Refuse what is not there of what a worker of this needs; raises OpsError.

    The main job needs all of its topics. A module needs what its steps read and write, and where it
    puts records aside.
    """
    admin.check(selection.part, STORED if needs_all(selection, admin.settings) else ASIDE)


def needs_all(selection: Selection, settings: EngineSettings) -> bool:
    """Whether all topics of the main job must be there, whether they are read or not."""
    return selection.module is None and not settings.run


def prepare(admin: Admin, selection: Selection, create: bool) -> list[str]:
    """Create the changelogs that are missing, and with ``create`` the topics of the module.

    These are what it writes and its own sources. Another topic that is only read is somebody
    else's, and is never created: a wrong name would be silent for ever. Returns what was created;
    raises OpsError for what is still missing.
    """
    present = admin.partitions().keys()
    plan = wanted(selection.part, admin.settings, ASIDE)
    missing = {p.topic: p for p in plan if p.topic not in present}
    logs = {admin.settings.changelog(name) for name in selection.names}
    own = _made_here(selection.run) | {topic.name for topic in ASIDE}
    read = {t.name for sub in selection.run for t in sub.inputs} - own
    for name in sorted(missing.keys() & read):
        raise _unknown(name, present)
    if not create and missing.keys() & own:
        some = ", ".join(sorted(missing.keys() & own))
        raise OpsError(
            f"topics are missing ({some})",
            "create them with --create-topics, or ahead with `streams topics apply --module`",
        )
    made = [planned for name, planned in missing.items() if name in logs | own]
    admin.create(made)
    return [planned.topic for planned in made]


def _made_here(subs: Iterable[SubTopology]) -> set[str]:
    """Names of the topics that sub-topologies write, and of the sources that they declare."""
    return {
        topic.name
        for sub in subs
        for topic in (*sub.outputs, *(t for t in sub.inputs if t.source))
        if topic.name not in BY_TOPIC or topic in sub.outputs
    }


def _unknown(name: str, present: Iterable[str]) -> OpsError:
    if name in BY_TOPIC:
        return OpsError(
            f"topic {name} of the main job, which is to be read, does not exist",
            "create the main job's topics with `streams topics apply`; where the run that wrote it "
            "was dropped, read what another run writes, or name that run (run.name)",
        )
    near = difflib.get_close_matches(name, present, 1)
    hint = f"did you mean {near[0]}? Else " if near else ""
    return OpsError(
        f"topic {name}, which is to be read, does not exist",
        f"{hint}create it, start what writes it first, or declare it as yours: source=True",
    )
