"""A join of ``joins`` as a Step: the same object that ``joins.run`` drives, on topics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from joins import Join, JoinError, Matched, Outcome, Retracted, Unmatched
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


class Fanned(NamedTuple):
    """Many things that a result says on one topic, and withdraws together: the quickest form."""

    topic: Topic
    rows: Sequence[tuple[str | int, Any]]
    """What tells them apart, and their values."""
    anchor: Anchor | None = None


_TELLERS = "a step or a source of ours, which declares it,"
Say = Callable[[Matched | Unmatched], Any]
"""The value of a result, None says nothing of it; or, to several topics, ``Said`` after ``Said``
(or ``Fanned``).

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
    _check_final(join, sides)
    declared = {side for side, topic in sides.items() if topic.declared and not topic.table}
    by_topic = {topic.name: side for side, topic in sides.items()}
    voice = _Voice(join.name, writes, say)

    def process(batch: Batch, state: Store, emit: Emit) -> None:
        void: list[Event] = []
        side = by_topic[batch.topic.name]
        outcomes = join.on_batch(state, side, batch.events, batch.watermark, void)
        if void:
            emit.no_effect(void)
        voice.say(outcomes, emit, batch.events)

    def advance(watermark: int, state: Store, emit: Emit) -> None:
        due = join.next_deadline(state)
        if due is not None and due <= watermark:
            voice.say(join.on_watermark(state, watermark), emit, ())

    return Step(
        join.name,
        tuple(sides.values()),
        voice.topics,
        process,
        advance,
        holdback=join.holdback,
        version=3,
        retracted=lambda topic, event, state: join.retracted(state, by_topic[topic.name], event),
        times={sides[side].name: time for side, time in join.times(declared).items()},
        grace=join.max_grace,
        retract_grace=join.retract_grace,
        reach=join.reach,
        delay=join.delay,
        bind=lambda known: join_step(replace(join, retract_grace=known), sides, writes, say),
    )


def _check_final(join: Join, sides: Mapping[str, Topic]) -> None:
    """Refuse to be final about a side whose time nobody tells, or nobody waits for."""
    for side in sorted(join.needs_declared):
        topic = sides[side]
        if topic.table:
            why = "is a versioned table (table=True): nobody waits for its time"
            remedy = f"leave table=True out, and let {_TELLERS} write the versions"
        elif not topic.declared:
            why = "is observed (declared=False): nobody tells its time"
            remedy = f"let {_TELLERS} write the versions, to a declared topic"
        else:
            continue
        raise JoinError(
            f"join {join.name}: emit={join.emit!r} has to know when the versions up to a time are "
            f"complete, and {topic.name}, its side {side!r}, {why}; {remedy}, or use "
            "emit='eager', which corrects what it has said"
        )


class _Voice:
    """Turns outcomes into events."""

    def __init__(self, name: str, writes: Topic | tuple[Topic, ...], say: Say) -> None:
        self.name, self._say = name, say
        self._one = None if isinstance(writes, tuple) else writes
        self.topics = writes if isinstance(writes, tuple) else (writes,)

    def say(self, outcomes: list[Outcome], emit: Emit, events: Iterable[Event]) -> None:
        """Write what the outcomes of one batch change, taken together."""
        if not outcomes:
            return
        causes = {event.key: event for event in events}  # a join's results are by key
        if Retracted not in map(type, outcomes):
            self._say_new(outcomes, emit, causes)  # type: ignore[arg-type]
            return
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
            old = before[id]
            if row is not None:
                self._change(old, row, emit, causes.get(row.key))
            elif old is not None:
                self._change(old, None, emit, causes.get(old.key))

    def _say_new(self, rows: list[Row], emit: Emit, causes: Mapping[str, Event]) -> None:
        """The same where nothing is withdrawn: no result is there twice."""
        say, topic = self._say, self._one
        if topic is None:
            for row in rows:
                for word in self._words(row, causes.get(row.key)):
                    word.write(emit, word.event)
            return
        key_of, kind = topic.key_of, topic.event_type or ""
        for row in rows:
            value = say(row)
            if value is not None:
                cause = causes.get(row.key)
                emit(topic, self._event(row, row.id, row.ts, key_of(value), value, cause, kind))

    def _change(self, old: Row | None, new: Row | None, emit: Emit, cause: Event | None) -> None:
        if old is None:
            for word in self._words(new, cause):
                word.write(emit, word.event)
            return
        come = {word.place: word for word in self._words(new, cause)}
        for word in self._words(old, cause):
            again = come.get(word.place)
            if again is None:
                word.write(emit, retraction(word.event, cause))
            elif (again.event.ts, again.event.value) == (word.event.ts, word.event.value):
                del come[word.place]
            else:
                word.write(emit, retraction(word.event, cause))
                again.event.correction = True
        for word in come.values():
            word.write(emit, word.event)

    def _words(self, row: Row | None, cause: Event | None) -> list[_Word]:
        """What a result says."""
        value = None if row is None else self._say(row)
        if row is None or value is None:
            return []
        if self._one is None:
            return [self._word(row, said, cause) for said in value]
        kind = self._one.event_type or ""
        key = self._one.key_of(value)
        return [_Word(self._one, self._event(row, row.id, row.ts, key, value, cause, kind))]

    def _word(self, row: Row, said: Said | Fanned, cause: Event | None) -> _Word:
        if isinstance(said, Fanned):
            event = self._event(row, row.id, row.ts, row.key, said.rows, cause)
        else:
            id = digest_id(row.id, said.topic.name, said.part)
            ts = row.ts if said.ts is None else said.ts
            key, kind = said.topic.key_of(said.value), said.topic.event_type or ""
            event = self._event(row, id, ts, key, said.value, cause, kind)
        event.anchor = said.anchor
        return _Word(said.topic, event, isinstance(said, Fanned))

    def _event(
        self, row: Row, id: str, ts: int, key: str, value: Any, cause: Event | None, kind: str = ""
    ) -> Event:
        correction, name = row.correction, self.name
        if cause is None:
            return Event(id, key, ts, "assert", value, correction, kind, producer=name)
        return Event(
            id, key, ts, "assert", value, correction, kind, None, cause.ingest_ts, name,
            cause.correlation_id, cause.id, cause.priority,
        )  # fmt: skip


class _Word(NamedTuple):
    """An event as it is written, or the rows of many as its value."""

    topic: Topic
    event: Event
    fanned: bool = False

    @property
    def place(self) -> tuple[str, str]:
        """Where it is said: topic and event id."""
        return self.topic.name, self.event.id

    def write(self, emit: Emit, event: Event) -> None:
        if self.fanned:
            emit.derive(self.topic, event, event.value)
        else:
            emit(self.topic, event)
