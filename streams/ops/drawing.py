"""A topology as a picture (Mermaid) or as data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from streams.engine.delays import Delay, added
from streams.engine.topology import SubTopology, Topology
from streams.topics import Topic


def as_data(topology: Topology, behind: Mapping[str, Delay]) -> dict[str, Any]:
    """Sub-topologies with their (planned) steps, and every topic that is read or written.

    ``behind``: how far each topic's declared time may be behind its sources.
    """
    return {
        "sub_topologies": [_sub(sub) for sub in topology.subs],
        "topics": [_topic(topic, behind.get(topic.name)) for topic in topics_of(topology)],
    }


def topics_of(topology: Topology) -> tuple[Topic, ...]:
    """Every topic of a topology, each once, in the order of first use."""
    found = {t.name: t for step in topology.steps for t in (*step.reads, *step.writes)}
    return tuple(found.values())


def _sub(sub: SubTopology) -> dict[str, Any]:
    return {
        "name": sub.name,
        "inputs": [topic.name for topic in sub.inputs],
        "outputs": [topic.name for topic in sub.outputs],
        "steps": [
            {
                "name": step.name,
                "version": step.version,
                "reads": [topic.name for topic in step.reads],
                "writes": [topic.name for topic in step.writes],
                "grace_ms": step.grace,
                "retract_grace_ms": step.retract_grace,
                "reach_ms": step.reach,
                "delay_ms": added(step)._asdict(),
            }
            for step in sub.steps
        ],
    }


def _topic(topic: Topic, behind: Delay | None) -> dict[str, Any]:
    return {
        "name": topic.name,
        "key": topic.by,
        "type": topic.event_type,
        "stored": topic.stored,
        "source": topic.source,
        "broadcast": topic.broadcast,
        "behind_ms": None if behind is None else behind._asdict(),
    }


def as_mermaid(topology: Topology) -> str:
    """A flow chart: a box a sub-topology, cylinders for topics, dashed where only in memory."""
    return "\n".join(["flowchart LR", *_nodes(topology), *_arrows(topology), *_styles(topology)])


def _nodes(topology: Topology) -> Iterator[str]:
    for sub in topology.subs:
        yield f'  subgraph {_id("sub", sub.name)}["{sub.name}"]'
        for step in sub.steps:
            yield f'    {_id("step", step.name)}["{step.name}"]'
        yield "  end"
    for topic in topics_of(topology):
        yield f'  {_id("topic", topic.name)}[("{topic.name}")]'


def _arrows(topology: Topology) -> Iterator[str]:
    for step in topology.steps:
        for topic in step.reads:
            yield f"  {_id('topic', topic.name)} {_line(topic)} {_id('step', step.name)}"
        for topic in step.writes:
            yield f"  {_id('step', step.name)} {_line(topic)} {_id('topic', topic.name)}"


def _line(topic: Topic) -> str:
    return "-->" if topic.stored else "-.->"


def _styles(topology: Topology) -> Iterator[str]:
    yield "  classDef memory stroke-dasharray: 5 5"
    memory = [_id("topic", topic.name) for topic in topics_of(topology) if not topic.stored]
    if memory:
        yield f"  class {','.join(memory)} memory"


def _id(kind: str, name: str) -> str:
    """A name that Mermaid takes as an identifier."""
    return f"{kind}_{''.join(c if c.isalnum() else '_' for c in name)}"
