"""The topics that a user's own steps need beside those of the main job."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from streams.engine.selection import Selection
from streams.ops.admin import Admin, OpsError, wanted


def prepare(admin: Admin, selection: Selection, create: bool) -> list[str]:
    """Create the changelogs that are missing, and with ``create`` the topics that are written.

    A topic that is only read is somebody else's, and is never created: a wrong name would be silent
    for ever. Returns what was created; raises OpsError for what is still missing.
    """
    present = admin.partitions().keys()
    missing = {p.topic: p for p in wanted(selection.part, admin.settings) if p.topic not in present}
    logs = {admin.settings.changelog(name) for name in selection.names}
    written = {t.name for sub in selection.run for t in sub.outputs}
    read = {t.name for sub in selection.run for t in sub.inputs} - written
    for name in sorted(missing.keys() & read):
        raise _unknown(name, present)
    if not create and missing.keys() & written:
        some = ", ".join(sorted(missing.keys() & written))
        raise OpsError(f"topics are missing ({some})", "create them with --create-topics")
    made = [planned for name, planned in missing.items() if name in logs | written]
    admin.create(made)
    return [planned.topic for planned in made]


def _unknown(name: str, present: Iterable[str]) -> OpsError:
    near = difflib.get_close_matches(name, present, 1)
    hint = f"did you mean {near[0]}? Else " if near else ""
    return OpsError(
        f"topic {name}, which is to be read, does not exist",
        f"{hint}create it, or start what writes it first",
    )
