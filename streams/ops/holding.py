"""Who holds event time back: the least input of a task, and of its writers the least."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from joins.clock import NEG_INF, POS_INF
from streams.engine.progress import Progress
from streams.engine.task import Task


def holding(progress: Progress) -> dict[str, str]:
    """The inputs that keep a task's watermark from being further, and who keeps each of them.

    That is the writers that have declared the least, or an observed input's own records.
    """
    clock, partition = progress.clock, progress.partition
    waiting = [t for t in progress.timed if not clock.is_idle(t, partition)]
    marks = {t: clock.partition_watermark(t, partition) for t in waiting}
    least = min(marks.values(), default=None)
    return {t: _keeper(progress, t) for t in waiting if marks[t] == least}


def _keeper(progress: Progress, topic: str) -> str:
    declared = progress.declared.get(topic)
    if declared is None:
        return "its own records"
    return slowest(declared.dump(), declared.expected)


def slowest(said: Mapping[str, Mapping[str, Any]], expected: Iterable[str]) -> str:
    """Which writers of a declared input have declared the least.

    >>> slowest({"by_txid": {"count": 2, "tasks": {"0": 7, "1": 5}}}, ["by_txid"])
    'by_txid/1'
    >>> slowest({}, ["by_txid"])
    'by_txid has declared nothing'
    """
    silent = [name for name in expected if name not in said]
    for name, known in said.items():
        missing = [str(n) for n in range(known["count"]) if str(n) not in known["tasks"]]
        silent += [f"{name}/{','.join(missing)}"] if missing else []
    if silent:
        return f"{', '.join(silent)} has declared nothing"
    marks = {
        f"{name}/{task}": ts
        for name, known in said.items()
        for task, ts in known["tasks"].items()
        if ts is not None
    }
    least = min(marks.values(), default=None)
    if least is None:
        return "nobody has declared anything"
    found = sorted(name for name, ts in marks.items() if ts == least)
    return ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")


def step_delays(task: Task) -> Iterator[tuple[str, int]]:
    """How far below the task's watermark each step would declare at present (ms)."""
    if not _known(task.progress.watermark):
        return
    for step in task.sub.steps:
        declares = task.marks.declared_by(step)
        if _known(declares):
            yield step.name, task.progress.watermark - declares


def no_effect(task: Task) -> Iterator[tuple[str, str, int]]:
    """By step and op how many events had no effect: repetitions, and retracts of nothing.

    What a source topic repeats is left out before any step: the first that reads it is named.
    """
    found = {(step.name, "retract"): 0 for step in task.sub.steps}
    found |= {(name, "retract"): count for name, count in task.void.items()}
    for topic, counts in task.counts.items():
        reader = next(s.name for s in task.sub.steps if any(t.name == topic for t in s.reads))
        for op, count in (
            ("assert", counts.duplicates - counts.void_retracts),
            ("retract", counts.void_retracts),
        ):
            found[reader, op] = found.get((reader, op), 0) + count
    yield from ((step, op, count) for (step, op), count in sorted(found.items()))


def _known(ts: int) -> bool:
    return NEG_INF < ts < POS_INF
