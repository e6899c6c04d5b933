"""What time means to each step, worked out along the topology before anything runs (SEMANTICS 4).

::

    source, undo horizon 24 h --> a (reach 0) --> b (reach 1 h) --> c
    retract_grace               a: 24 h           b: 25 h          c: 25 h

A correction that a source may still make reaches back 24 h there; at c what follows from it lies up
to 25 h back, so c has to remember as much.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter

import msgspec

from joins.clock import SideTime
from streams.engine.selection import Selection
from streams.engine.step import Step
from streams.engine.topology import SubTopology, Topology, TopologyError
from streams.topics import Topic
from streams.tuning import EngineTuning


def planned(topology: Topology, tuning: EngineTuning) -> Topology:
    """The topology with ``times``, ``grace`` and ``retract_grace`` of every step filled in.

    Raises TopologyError where steps contradict each other, or one remembers less than it must. What
    is planned already stays as it is.
    """
    order = in_order(topology)
    subs_in_order(topology)
    told = {s.name: s for sub in topology.subs for s in _told(sub, tuning)}
    done: dict[str, Step] = {}
    writers = writers_of(topology)
    for name in order:
        done[name] = _remembering(told[name], writers, done, tuning)
    subs = [
        msgspec.structs.replace(sub, steps=tuple(done[step.name] for step in sub.steps))
        for sub in topology.subs
    ]
    return Topology(tuple(subs))


def planned_selection(selection: Selection, tuning: EngineTuning) -> Selection:
    """The same for what one application runs: what others run upstream counts as well."""
    topology = planned(selection.topology, tuning)
    run = tuple(topology.sub(name) for name in selection.names)
    return msgspec.structs.replace(selection, topology=topology, run=run)


def writers_of(topology: Topology) -> dict[str, list[str]]:
    """By topic the names of the steps that write it."""
    found: dict[str, list[str]] = {}
    for step in topology.steps:
        for topic in step.writes:
            found.setdefault(topic.name, []).append(step.name)
    return found


def in_order(topology: Topology) -> tuple[str, ...]:
    """The steps' names, writers before readers; raises TopologyError where time has no beginning.

    A versioned table takes no part in time, so it may lead back.
    """
    writers = writers_of(topology)
    graph = {
        step.name: [w for t in timed(step) for w in writers.get(t.name, ())]
        for step in topology.steps
    }
    return _sorted(
        graph,
        "steps feed each other in a circle: {}: each would wait for the time of the others; make a "
        "topic between them a versioned table, or cut the circle",
    )


def subs_in_order(topology: Topology) -> tuple[str, ...]:
    """The sub-topologies' names, writers before readers; raises TopologyError.

    A task has one time for all of its inputs, so tasks can wait for each other where steps do not.
    """
    graph = {
        sub.name: [w.name for t in sub.inputs if not t.table for w in topology.writers(t.name)]
        for sub in topology.subs
    }
    return _sorted(
        graph,
        "tasks wait for each other's time: {}: the steps of one task share its time; let what "
        "leads back be read by a step whose inputs no other step of the first task reads, or make "
        "it a versioned table",
    )


def _sorted(graph: Mapping[str, Sequence[str]], words: str) -> tuple[str, ...]:
    """What nobody is before comes first; ``words`` tell of a circle, which stands for ``{}``."""
    try:
        return tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise TopologyError(words.format(" -> ".join(error.args[1]))) from error


def timed(step: Step) -> Iterator[Topic]:
    """The inputs that have to do with the step's time."""
    return (topic for topic in step.reads if not topic.table)


def _told(sub: SubTopology, tuning: EngineTuning) -> Iterator[Step]:
    """The steps of a task, with how the time of each of their inputs is told."""
    said = _agreed(sub, tuning)
    for step in sub.steps:
        times = {t.name: _time(step, t, said, tuning) for t in step.reads}
        grace = step.grace
        if grace is None:
            own = [times[t.name].grace for t in timed(step)]
            grace = max(own, default=tuning.grace_ms)
        yield msgspec.structs.replace(step, times=times, grace=grace)


def _agreed(sub: SubTopology, tuning: EngineTuning) -> dict[str, SideTime]:
    """What the steps of a task say of the topics that it reads: one clock needs one answer."""
    said: dict[str, tuple[str, SideTime]] = {}
    for step in sub.steps:
        for topic in sub.inputs:
            own = _own(step, topic, tuning) if topic in step.reads else None
            if own is None:
                continue
            first, known = said.setdefault(topic.name, (step.name, own))
            if known != own:
                raise TopologyError(
                    f"steps {first} and {step.name} run in one task and differ about the time of "
                    f"{topic.name} ({_words(known)}; {_words(own)}): give both the same lateness "
                    "and grace, or let one of them read the topic through a step that passes it on "
                    "under another key"
                )
    return {name: time for name, (_, time) in said.items()}


def _own(step: Step, topic: Topic, tuning: EngineTuning) -> SideTime | None:
    """What a step says of an input, if it says anything."""
    named = step.times.get(topic.name)
    if named is not None:
        return replace(named, declared=topic.declared, retract_grace=None)
    if step.grace is None:
        return None
    return SideTime(topic.declared, tuning.lateness_ms, step.grace)


def _time(step: Step, topic: Topic, said: Mapping[str, SideTime], tuning: EngineTuning) -> SideTime:
    plain = SideTime(topic.declared, tuning.lateness_ms, tuning.grace_ms)
    return said.get(topic.name) or _own(step, topic, tuning) or plain


def _words(time: SideTime) -> str:
    return f"lateness {time.lateness}, grace {time.grace}{', never late' * time.never_late}"


def _remembering(
    step: Step, writers: Mapping[str, list[str]], done: Mapping[str, Step], tuning: EngineTuning
) -> Step:
    """The step with its ``retract_grace``: given, and enough, or the least that is enough."""
    upstream = [done[w] for t in timed(step) for w in writers.get(t.name, ())]
    before = max([s.retract_grace or 0 for s in upstream], default=0)
    if not upstream or any(t.name not in writers for t in timed(step)):
        before = max(before, tuning.retract_grace_ms)
    needed = max(before + step.reach, step.grace or 0)
    if step.retract_grace is None:
        bound = step if step.bind is None else step.bind(needed)
        return msgspec.structs.replace(
            step, process=bound.process, advance=bound.advance, holdback=bound.holdback,
            retract_grace=needed,
        )  # fmt: skip
    if step.retract_grace < needed:
        raise TopologyError(
            f"step {step.name} has retract_grace {step.retract_grace} ms and needs {needed} ms "
            f"({before} ms of the writers of its inputs, {step.reach} ms of its own reach, grace "
            f"{step.grace} ms): a correction would not find what it corrects; give it {needed} or "
            "more, or leave retract_grace out"
        )
    return step
