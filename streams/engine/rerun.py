"""The same steps again, beside those that run: their topics have other names on the broker.

::

    bitcoin.transactions ──┬─ by_txid ── ml.features          application streams
                           └─ by_txid ── v2.ml.features       application streams-v2, run v2

A step goes on naming its topics as its code does, since ids of events are made of these names; what
the engine and the broker see is renamed around it. So the events of both runs have the same ids,
and their net sets can be compared and exchanged.

With another partition count than the sources have, each source is first written again, by key::

    bitcoin.transactions (4) ── copy (4 tasks) ── v2.bitcoin.transactions (6) ── by_txid (6 tasks)

The copy judges lateness and drops repetitions where the records lie, as the first run did, so both
runs accept the same events (SEMANTICS 2).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace as other_time
from functools import partial
from typing import Any

from msgspec.structs import replace

from schemas.envelope import Event
from streams.config import Config
from streams.engine.plan import planned_selection
from streams.engine.selection import Selection
from streams.engine.step import Batch, Emit, Step
from streams.engine.topology import SubTopology, Topology, TopologyError, build
from streams.topics import Topic

Places = Mapping[str, Topic]
"""By the name that the code has for it: a topic as it is on the broker."""


def rerun(selection: Selection, config: Config) -> Selection:
    """What the run of this configuration runs: the selection itself where that names none.

    Raises TopologyError where sources cannot be copied into another partition count.
    """
    run = config.run
    if not run.beside:
        return selection
    written = {topic.name for sub in selection.run for topic in sub.outputs}
    places = {t.name: _named(t, run.name) for sub in selection.run for t in sub.outputs}
    copies: tuple[SubTopology, ...] = ()
    if run.source_partitions not in (0, config.partitions):
        copied = _copied(selection, config, written)
        places |= {name: topic for name, (_, topic) in copied.items()}
        copies = tuple(_sub(step, selection.module) for step, _ in copied.values())
    subs = (*copies, *(renamed(sub, places) for sub in selection.run))
    others = [sub for sub in selection.topology.subs if sub.name not in selection.names]
    return replace(selection, topology=Topology((*others, *subs)), run=subs)


def _named(topic: Topic, run: str) -> Topic:
    return replace(topic, name=name_in(run, topic.name))


def name_in(run: str, topic: str) -> str:
    """What a topic that a run writes is named on the broker.

    >>> name_in("v2", "ml.features"), name_in("", "ml.features")
    ('v2.ml.features', 'ml.features')
    """
    return f"{run}.{topic}" if run else topic


def topic_in(run: str, topic: Topic) -> Topic:
    """A topic as a run writes it; sources and letters are there once, whatever runs there are."""
    return topic if topic.source or topic.event_type is None else _named(topic, run)


def renamed(sub: SubTopology, places: Places) -> SubTopology:
    """A sub-topology whose topics lie elsewhere."""
    return replace(
        sub,
        steps=tuple(renamed_step(step, places) for step in sub.steps),
        inputs=_there(sub.inputs, places),
        outputs=_there(sub.outputs, places),
    )


def _there(topics: Iterable[Topic], places: Places) -> tuple[Topic, ...]:
    return tuple(places.get(topic.name, topic) for topic in topics)


def renamed_step(step: Step, places: Places) -> Step:
    """A step that works on topics which lie elsewhere, and does not know it."""
    known = {places[t.name].name: t for t in step.reads if t.name in places}
    times = {places[n].name if n in places else n: time for n, time in step.times.items()}
    advance, bind, retracted = step.advance, step.bind, step.retracted

    def process(batch: Any, state: Any, emit: Emit) -> None:
        topic = known.get(batch.topic.name)
        if topic is not None:
            batch = Batch(topic, batch.events, batch.watermark)
        step.process(batch, state, Outward(emit, places))

    def moved(watermark: int, state: Any, emit: Emit) -> None:
        assert advance is not None
        advance(watermark, state, Outward(emit, places))

    def was(topic: Topic, event: Event, state: Any) -> bool:
        assert retracted is not None
        return retracted(known.get(topic.name, topic), event, state)

    def bound(ms: int) -> Step:
        assert bind is not None
        return renamed_step(bind(ms), places)

    return replace(
        step,
        reads=_there(step.reads, places),
        writes=_there(step.writes, places),
        times=times,
        process=process,
        advance=None if advance is None else moved,
        retracted=None if retracted is None else was,
        bind=None if bind is None else bound,
    )


class Outward:
    """``Emit`` for a step whose topics lie elsewhere."""

    __slots__ = ("_emit", "_places", "filtered", "no_effect", "refuse")

    def __init__(self, emit: Emit, places: Places) -> None:
        self._emit, self._places = emit, places
        self.refuse, self.filtered, self.no_effect = emit.refuse, emit.filtered, emit.no_effect

    def __call__(self, topic: Topic, event: Event) -> None:
        self._emit(self._places.get(topic.name, topic), event)

    def derive(self, topic: Topic, cause: Event, rows: Iterable[tuple[str | int, Any]]) -> None:
        self._emit.derive(self._places.get(topic.name, topic), cause, rows)


# Another partition count -----------------------------------------------------------------------


def _copied(
    selection: Selection, config: Config, written: set[str]
) -> dict[str, tuple[Step, Topic]]:
    """By source: the step that copies it into the new partitions, and its copy."""
    planned = planned_selection(selection, config.engine)
    found = {}
    for sub in planned.run:
        for topic in sub.inputs:
            if topic.name not in written and topic.partitions is None:
                readers = [step for step in sub.steps if topic in step.reads]
                found[topic.name] = _copy(topic, readers, config)
    return found


def _copy(topic: Topic, readers: list[Step], config: Config) -> tuple[Step, Topic]:
    if topic.event_type is None or topic.broadcast:
        what = "has original bytes" if topic.event_type is None else "is in every partition"
        raise TopologyError(
            f"{topic.name} {what}, so it cannot be copied by key into {config.partitions} "
            f"partitions: replay with {config.run.source_partitions}"
        )
    here = replace(topic, partitions=config.run.source_partitions)
    there = replace(
        _named(topic, config.run.name),
        about=f"{topic.name} in the partitions of run {config.run.name}",
        source=False,
        declared=True,
    )
    time = other_time(readers[0].times[topic.name], declared=topic.declared)
    step = Step(
        f"copy-{topic.name.replace('.', '_')}",
        (here,),
        (there,),
        partial(_pass_on, there),
        times={topic.name: time},
        retract_grace=min(step.retract_grace or 0 for step in readers),
        repartitions=True,
    )
    return step, there


def _pass_on(there: Topic, batch: Batch, state: Any, emit: Emit) -> None:
    for event in batch:
        emit(there, replace(event))


def _sub(step: Step, module: str | None) -> SubTopology:
    (sub,) = build([step]).subs
    if module is None:
        return sub
    label = module.replace(".", "_").replace("-", "_")
    return replace(sub, name=f"{label}-{sub.name}")
