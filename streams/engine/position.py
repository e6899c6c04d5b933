"""The position record: where a task stands, beside the entries of its state."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from streams.engine.guard import Counts
from streams.engine.remade import agreed
from streams.engine.upgrade import REMEDY, upgrade, upgrades_from

if TYPE_CHECKING:
    from streams.engine.task import Task


class OtherVersion(RuntimeError):
    """The state was written by another version of a step."""


def position_of(task: Task) -> dict[str, Any]:
    """What the record holds of a task."""
    return {
        "position": dict(task.position),
        "topics": task.topic_ids,
        **task.progress.dump(),
        "counts": {name: msgspec.structs.asdict(c) for name, c in task.counts.items()},
        "void": dict(task.void),
        "sequence": task.sequence,
        "advanced": task.advanced,
        "told": task.marks.dump(task.advanced),
        "published": task.declaring.published,
        "said_idle": task.declaring.idle,
        "delivery": task.settings.delivery,
        "lineage": task.store.lineage,
        "steps": {step.name: step.version for step in task.sub.steps},
    }


def stand_at(task: Task, position: dict[str, Any]) -> None:
    """Let a task stand where the record stands; raises OtherVersion, UpgradeFailed, Remade."""
    known = {n: id for n, id in position.get("topics", {}).items() if n in task.position}
    task.topic_ids = agreed(known, task.topic_ids, position["position"])
    for name in task.position.keys() & position["position"].keys():
        task.position[name] = position["position"][name]
        task.unread.discard(name)
        task.counts[name] = Counts(**position["counts"][name])
    task.progress.load(position)
    task.void = Counter(position.get("void"))
    task.sequence = position["sequence"]
    task.advanced = position["advanced"]
    task.marks.load(position.get("told", {}), task.advanced)
    task.declaring.load(position)
    _bring_up(task, position["steps"])


def _bring_up(task: Task, versions: dict[str, int]) -> None:
    """Upgrade the state of older versions; raises OtherVersion before anything is changed."""
    known = {step.name: versions.get(step.name, step.version) for step in task.sub.steps}
    for step in task.sub.steps:
        if upgrades_from(step, known[step.name]) is None:
            raise OtherVersion(
                f"the state of step {step.name} is of version {known[step.name]}, the code of "
                f"version {step.version}: {REMEDY}"
            )
    for step in task.sub.steps:
        upgrade(task.store, step, known[step.name])
