"""A join of ``joins`` as a Step: the same object that ``joins.run`` drives, on topics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from joins import Join, Matched, Outcome, Retracted, Unmatched
from joins.outcome import Row
from joins.state import Store
from schemas.envelope import Anchor, Event
from schemas.ids import digest_id
from streams.engine.step import Batch, Emit, Step, retraction
from streams.topics import Topic


class Said(NamedTuple):
    """One of several things that a result says."""

    topic: Topic
    value: Any
    part: str = ""
    """Tells what a result says on one topic apart."""
    ts: int | None = None
    """Its event time (ms), where that is not the result's."""
    anchor: Anchor | None = None


Say = Callable[[Matched | Unmatched], Any]
"""The value of a result, None says nothing of it; or, to several topics, ``Said`` after ``Said``.

A pure function of the result: what is withdrawn later is what it says then of the old one.
"""


def join_step(
    join: Join, sides: Mapping[str, Topic], writes: Topic | tuple[Topic, ...], say: Say
) -> Step:
    """A Step that feeds ``join`` from the topics of ``sides`` and writes what it says.

    What one batch changes twice is said once: the content before the batch is withdrawn, the
    content after it asserted. With one topic a result's event has the result's id; with several,
    a digest of it, the topic and the part. Lateness and grace are the join's own; a
    ``retract_grace`` that it was not given is that of the topology. Raises JoinError where a side
    needs a declared topic.
    """
    declared = {side for side, topic in sides.items() if topic.declared and not topic.table}
    join.check_declared(declared)
    by_topic = {topic.name: side for side, topic in sides.items()}
    voice = _Voice(join.name, writes, say)

    def process(batch: Batch, state: Store, emit: Emit) -> None:
        void: list[Event] = []
        side = by_topic[batch.topic.name]
        outcomes = join.on_batch(state, side, batch.events, batch.watermark, void)
        if void:
            emit.no_effect(void)
        voice.say(outcomes, emit, batch.events[-1])

    def advance(watermark: int, state: Store, emit: Emit) -> None:
        due = join.next_deadline(state)
        if due is not None and due <= watermark:
            voice.say(join.on_watermark(state, watermark), emit, None)

    return Step(
        join.name,
        tuple(sides.values()),
        voice.topics,
        process,
        advance,
        holdback=join.holdback,
        version=2,
        retracted=lambda topic, event, state: join.retracted(state, by_topic[topic.name], event),
        times={sides[side].name: time for side, time in join.times(declared).items()},
        grace=join.max_grace,
        retract_grace=join.retract_grace,
        reach=join.reach,
        delay=join.delay,
        bind=lambda known: join_step(replace(join, retract_grace=known), sides, writes, say),
    )


class _Voice:
    """Turns outcomes into events."""

    def __init__(self, name: str, writes: Topic | tuple[Topic, ...], say: Say) -> None:
        self.name, self._say = name, say
        self._one = None if isinstance(writes, tuple) else writes
        self.topics = writes if isinstance(writes, tuple) else (writes,)

    def say(self, outcomes: list[Outcome], emit: Emit, cause: Event | None) -> None:
        """Write what the outcomes of one batch change, taken together."""
        before: dict[str, Row | None] = {}
        after: dict[str, Row | None] = {}
        for outcome in outcomes:
            if isinstance(outcome, Retracted):
                before.setdefault(outcome.of, outcome.row)
                after[outcome.of] = None
            elif isinstance(outcome, Matched | Unmatched):
                before.setdefault(outcome.id, None)
                after[outcome.id] = outcome
        for id, row in after.items():
            self._change(before[id], row, emit, cause)

    def _change(self, old: Row | None, new: Row | None, emit: Emit, cause: Event | None) -> None:
        gone, come = self._events(old, cause), self._events(new, cause)
        for id, (topic, event) in gone.items():
            again = come.get(id)
            if again is not None and (again[1].ts, again[1].value) == (event.ts, event.value):
                del come[id]
            else:
                emit(topic, retraction(event, cause))
        for id, (topic, event) in come.items():
            event.correction = event.correction or id in gone
            emit(topic, event)

    def _events(self, row: Row | None, cause: Event | None) -> dict[str, tuple[Topic, Event]]:
        """What a result says, by event id."""
        value = None if row is None else self._say(row)
        if row is None or value is None:
            return {}
        if self._one is not None:
            event = self._event(row, row.id, row.ts, self._one, value, cause)
            return {row.id: (self._one, event)}
        return dict(self._several(row, value, cause))

    def _several(
        self, row: Row, all_said: Iterable[Said], cause: Event | None
    ) -> Iterator[tuple[str, tuple[Topic, Event]]]:
        for said in all_said:
            id = digest_id(row.id, said.topic.name, said.part)
            ts = row.ts if said.ts is None else said.ts
            event = self._event(row, id, ts, said.topic, said.value, cause)
            event.anchor = said.anchor
            yield id, (said.topic, event)

    def _event(
        self, row: Row, id: str, ts: int, topic: Topic, value: Any, cause: Event | None
    ) -> Event:
        event = Event(
            id, topic.key_of(value), ts, "assert", value,
            correction=row.correction, type=topic.event_type or "", producer=self.name,
        )  # fmt: skip
        if cause is not None:
            event.ingest_ts, event.causation_id = cause.ingest_ts, cause.id
            event.correlation_id = cause.correlation_id
        return event
