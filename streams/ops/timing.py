"""The times of a topology as rows: what each step adds and remembers, how far each topic is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from streams.engine.delays import Delay, added
from streams.engine.topology import Topology
from streams.ops.drawing import topics_of
from streams.ops.lag import Lag

UNITS = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1))
STEP = ("sub_topology", "step", "reads", "writes", "grace", "delay", "retract_grace", "reach")
TOPIC = ("topic", "written_by", "behind")
LIVE = (*TOPIC, "watermark_ms", "age_s")


class Reached(msgspec.Struct, frozen=True):
    """How far a topic has come at present: the least of its partitions."""

    watermark_ms: int | None
    age_s: float | None


def span(ms: int) -> str:
    """A time for people.

    >>> span(0), span(90_000), span(86_400_000), span(3_600_001)
    ('0', '90 s', '1 d', '3600001 ms')
    """
    if ms == 0:
        return "0"
    name, size = next((name, size) for name, size in UNITS if ms % size == 0)
    return f"{ms // size} {name}"


def between(delay: Delay) -> str:
    """A delay for people.

    >>> between(Delay(0, 0)), between(Delay(0, 5)), between(Delay(5, None))
    ('0', '0 .. 5 ms', '5 ms .. no bound')
    """
    least = span(delay.least)
    if delay.most == delay.least:
        return least
    return f"{least} .. {'no bound' if delay.most is None else span(delay.most)}"


def step_rows(topology: Topology) -> list[dict[str, Any]]:
    """A row a (planned) step."""
    return [
        {
            "sub_topology": sub.name,
            "step": step.name,
            "reads": ", ".join(t.name for t in step.reads),
            "writes": ", ".join(t.name for t in step.writes),
            "grace": span(step.grace or 0),
            "delay": between(added(step)),
            "retract_grace": span(step.retract_grace or 0),
            "reach": span(step.reach),
        }
        for sub in topology.subs
        for step in sub.steps
    ]


def topic_rows(
    topology: Topology, behind: Mapping[str, Delay], reached: Mapping[str, Reached]
) -> list[dict[str, Any]]:
    """A row a topic that is on Kafka and has to do with time."""
    rows = []
    for topic in topics_of(topology):
        if topic.stored and not topic.table:
            now = reached.get(topic.name, Reached(None, None))
            writers = ", ".join(s.name for s in topology.steps if topic in s.writes)
            delay = between(behind[topic.name])
            own = {"topic": topic.name, "written_by": writers, "behind": delay}
            rows.append({**own, **msgspec.structs.asdict(now)})
    return rows


def reached(found: Lag, topology: Topology) -> dict[str, Reached]:
    """Of each topic that is read what its readers know, of the others what was declared there."""
    known: dict[str, list[tuple[int | None, float | None]]] = {}
    for row in found.inputs:
        known.setdefault(row.topic, []).append((row.watermark_ms, row.age_s))
    read = set(known)
    for task in found.tasks:
        age = _age(task.declared_ms, task.watermark_ms, task.age_s)
        for topic in topology.sub(task.sub_topology).outputs:
            if topic.name not in read:
                known.setdefault(topic.name, []).append((task.declared_ms, age))
    return {name: _least(rows) for name, rows in known.items()}


def _age(declared: int | None, mark: int | None, age: float | None) -> float | None:
    if declared is None or mark is None or age is None:
        return None
    return round(age + (mark - declared) / 1000, 1)


def _least(rows: Iterable[tuple[int | None, float | None]]) -> Reached:
    least = min(rows, key=lambda row: -1 if row[0] is None else row[0])
    return Reached(*least)
