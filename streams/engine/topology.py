"""The steps as a graph, cut into sub-topologies where a key changes.

Steps that follow each other without re-keying share a **task** a partition and pass values in
memory; their topics are still written for consumers.
"""

from __future__ import annotations

from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter

import msgspec

from streams.engine.step import Step
from streams.topics import Topic


class TopologyError(ValueError):
    """The steps do not form a topology; the message names the step and the remedy."""


class SubTopology(msgspec.Struct, frozen=True):
    """Steps that run fused, in order, and the topics that the task reads from Kafka."""

    name: str
    steps: tuple[Step, ...]
    inputs: tuple[Topic, ...]
    outputs: tuple[Topic, ...]

    def input(self, name: str) -> Topic:
        """The input topic of this name; raises KeyError."""
        return next(t for t in self.inputs if t.name == name)

    def version(self, step: str) -> int | None:
        """The version of one of its steps; None for what is no step of it."""
        return next((s.version for s in self.steps if s.name == step), None)


class Topology(msgspec.Struct, frozen=True):
    """All sub-topologies of an application."""

    subs: tuple[SubTopology, ...]

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(step for sub in self.subs for step in sub.steps)

    @property
    def inputs(self) -> tuple[Topic, ...]:
        return tuple(topic for sub in self.subs for topic in sub.inputs)

    def sub(self, name: str) -> SubTopology:
        """The sub-topology of this name; raises StopIteration."""
        return next(sub for sub in self.subs if sub.name == name)

    def reader(self, topic: str) -> SubTopology | None:
        """The sub-topology that reads ``topic`` from Kafka."""
        return next((s for s in self.subs if any(t.name == topic for t in s.inputs)), None)

    def writers(self, topic: str) -> tuple[SubTopology, ...]:
        """The sub-topologies that write ``topic``."""
        return tuple(s for s in self.subs if any(t.name == topic for t in s.outputs))


def _key_of(step: Step) -> str:
    labels = {topic.by for topic in step.reads} - {"any"}
    if len(labels) > 1:
        raise TopologyError(
            f"step {step.name} reads topics with different keys ({', '.join(sorted(labels))}): "
            "re-key one of them with a step of its own"
        )
    return labels.pop() if labels else "any"


def _count_of(step: Step) -> int | None:
    """How many partitions its inputs have, None for the usual; all must have the same."""
    counts = {topic.partitions: topic.name for topic in step.reads}
    if len(counts) > 1:
        other = next(name for count, name in counts.items() if count is not None)
        said = ", ".join(f"{name} {count or 'the usual'}" for count, name in counts.items())
        raise TopologyError(
            f"step {step.name} reads topics with different partition counts ({said}): a key would "
            f"be in different tasks; read {other} through a step of `streams.repartition`"
        )
    return next(iter(counts), None)


class _Groups:
    """Union-find over step names."""

    def __init__(self, names: Iterable[str]) -> None:
        self.parent = {name: name for name in names}

    def find(self, name: str) -> str:
        while self.parent[name] != name:
            name = self.parent[name]
        return name

    def join(self, names: list[str]) -> None:
        for other in names[1:]:
            self.parent[self.find(other)] = self.find(names[0])


def build(steps: Iterable[Step]) -> Topology:
    """Cut ``steps`` into sub-topologies; raises TopologyError for cycles and mixed keys."""
    by_name: dict[str, Step] = {}
    for step in steps:
        if by_name.setdefault(step.name, step) is not step:
            raise TopologyError(f"two steps are named {step.name}: rename one of them")
    keys = {name: _key_of(step) for name, step in by_name.items()}
    counts = {name: _count_of(step) for name, step in by_name.items()}
    groups = _Groups(by_name)
    for topic in {t.name: t for s in by_name.values() for t in s.reads}.values():
        if topic.broadcast:
            continue
        together = [s.name for s in by_name.values() if topic in s.reads]
        together += [
            s.name
            for s in by_name.values()
            if topic in s.writes and keys[s.name] == topic.by and not s.repartitions
            and counts[s.name] == topic.partitions
        ]  # fmt: skip
        groups.join(together)
    members: dict[str, list[Step]] = {}
    for name, step in by_name.items():
        members.setdefault(groups.find(name), []).append(step)
    _check_apart(members.values())
    names: set[str] = set()
    return Topology(tuple(_sub(group, keys, names) for group in members.values()))


def _check_apart(groups: Iterable[list[Step]]) -> None:
    """A topic that fused steps pass on in memory may have no writer in another task."""
    groups = list(groups)
    for group in groups:
        for topic in {t for s in group for t in s.reads if not t.broadcast}:
            near = [s.name for s in group if topic in s.writes]
            far = [s.name for g in groups if g is not group for s in g if topic in s.writes]
            if near and far:
                raise TopologyError(
                    f"{topic.name} is written by {near[0]}, which runs in one task with its "
                    f"readers, and by {far[0]} in another: give one of them a topic of its own"
                )


def _sub(steps: list[Step], keys: dict[str, str], names: set[str]) -> SubTopology:
    ordered = _in_order(steps)
    written = {topic.name for step in steps for topic in step.writes}
    inputs = {t.name: t for s in ordered for t in s.reads if t.broadcast or t.name not in written}
    for topic in inputs.values():
        if not topic.stored:
            raise TopologyError(f"nobody writes {topic.name}, which only lives in memory")
    outputs = {t.name: t for s in ordered for t in s.writes if t.stored}
    label = next((keys[s.name] for s in ordered if keys[s.name] != "any"), ordered[0].name)
    plain = f"by_{label}" not in names and not any(s.repartitions for s in ordered)
    name = f"by_{label}" if plain else f"by_{label}-{ordered[0].name}"
    names.add(name)
    return SubTopology(name, ordered, tuple(inputs.values()), tuple(outputs.values()))


def _in_order(steps: list[Step]) -> tuple[Step, ...]:
    """Writers before readers, otherwise as declared."""
    graph = {
        reader.name: [
            writer.name
            for writer in steps
            if any(t in writer.writes and not t.broadcast for t in reader.reads)
        ]
        for reader in steps
    }
    try:
        rank = {name: n for n, name in enumerate(TopologicalSorter(graph).static_order())}
    except CycleError as error:
        raise TopologyError(f"steps feed each other in a circle: {error.args[1]}") from error
    return tuple(sorted(steps, key=lambda step: rank[step.name]))
