"""A Step: a pure function over a batch of events of one topic, with state and outputs.

A user writes the function, the engine does the rest: retries, dead letters, late records,
checkpoints, counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from joins.clock import SideTime
from schemas.envelope import Anchor, Event
from schemas.ids import digest_id
from streams.topics import Topic

if TYPE_CHECKING:
    from joins.state import Key, Store
    from streams.engine.stores import Scope


class Batch(msgspec.Struct, frozen=True):
    """Events of one topic and one partition, in offset order; each one takes effect."""

    topic: Topic
    events: list[Event]
    watermark: int
    """The watermark that the steps were last advanced to (ms)."""

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)


class Emit(Protocol):
    """What a step may do beside changing its state."""

    def __call__(self, topic: Topic, event: Event) -> None:
        """Write an event to one of the step's topics."""

    def derive(self, topic: Topic, cause: Event, rows: Iterable[tuple[str | int, Any]]) -> None:
        """Write events that follow from one input alone: ``derived`` of each (part, value).

        The quickest way to say many things about one event.
        """

    def refuse(self, event: Any, cause: str, detail: str) -> None:
        """Send an input event (or record) to the dead letters, with a one-word cause."""

    def filtered(self, event: Any, rule: str) -> None:
        """Say that an input event was left out on purpose, by a named rule."""

    def no_effect(self, events: Sequence[Event]) -> None:
        """Say which events of the batch changed nothing.

        They repeat what is live, or retract what never was, or was forgotten since.
        """


Process = Callable[[Any, "Scope", Emit], None]
"""Takes a ``Batch``, or ``Records`` where the topic carries original bytes."""
Advance = Callable[[int, "Scope", Emit], None]
Upgrade = Callable[[Any, Any], Any]
"""From the key and value of an entry of the older version to its new value; None deletes it. The
entries of a plain table have the keys (table, key)."""


class Step(msgspec.Struct, frozen=True):
    """One processing step."""

    name: str
    reads: tuple[Topic, ...]
    writes: tuple[Topic, ...]
    process: Process
    advance: Advance | None = None
    """Called with the new watermark (ms) whenever it moved: fires due timers, expires state."""
    holdback: Callable[[Scope], int | None] | None = None
    """The least event time of a result not yet emitted, corrections excepted."""
    version: int = 1
    """Raised when the step's state changes its form."""
    upgrades: Mapping[int, Upgrade] = msgspec.field(default_factory=dict)
    """By older version, what makes the next version's state of an entry; where one is missing, that
    state is refused. What was emitted stays: an upgrade is for the form of state, not for results.
    """
    times: Mapping[str, SideTime] = msgspec.field(default_factory=dict)
    """How the time of its inputs is told, by topic; what is not named here is as in the settings.
    Whether a topic is declared is the topic's own property."""
    grace: int | None = None
    """How far below the watermark its results may be asserted (ms): its greatest grace."""
    retract_grace: int | None = None
    """How far below the watermark a correction still finds what it corrects (ms). None: that of the
    writers of its inputs, and ``reach``; it is never less."""
    reach: int = 0
    """How far below a correction the corrections that follow from it may lie (ms)."""
    delay: int | None = None
    """How far below the watermark the time that it declares is at most (ms): its grace, and what
    ``holdback`` adds. None: its grace if it has no ``holdback``, else not known."""
    repartitions: bool = False
    """Its results are read from Kafka though their key is the same: they lie elsewhere there."""
    bind: Callable[[int], Step] | None = None
    """The step with its ``retract_grace`` (ms), which only the topology knows (``plan``)."""
    warm: Callable[[], object] | None = None
    """Loads what takes long to load, such as a library of models: called in a thread while a task
    takes its state over, so that the first record need not wait for it, nor other tasks."""
    retracted: Callable[[Topic, Event, Scope], bool] | None = None
    """Whether a retract of an event's id has had an effect. Who has this tells repetitions of a
    source by itself, with ``Emit.no_effect``: the task need not remember their ids too."""


def derived(
    step: str,
    cause: Event,
    topic: Topic,
    value: Any,
    part: str | int = "",
    ts: int | None = None,
) -> Event:
    """An event that follows from one input alone, and is withdrawn when the input is.

    Its id hashes the step's name, the input's id and ``part`` (which tells several results of one
    input apart); ``op`` and anchor are the input's.
    """
    event = following(step, cause, topic)
    event.id, event.key, event.value = (
        digest_id(step, cause.id, str(part)),
        topic.key_of(value),
        value,
    )
    event.ts = cause.ts if ts is None else ts
    return event


def following(step: str, cause: Event, topic: Topic) -> Event:
    """What all events on ``topic`` have in common that follow from one input; no id, key, value."""
    return Event(
        "",
        "",
        cause.ts,
        cause.op,
        None,
        correction=cause.correction or cause.op == "retract",
        type=topic.event_type or "",
        anchor=cause.anchor,
        ingest_ts=cause.ingest_ts,
        producer=step,
        correlation_id=cause.correlation_id,
        causation_id=cause.id,
        priority=cause.priority,
    )


class Rows:
    """Results that change: one row an id, retracted and asserted again when its content changes."""

    def __init__(self, step: str, state: Store, emit: Emit) -> None:
        self.step, self.state, self.emit = step, state, emit

    def set(
        self, topic: Topic, row: str, value: Any | None, ts: int, cause: Event, **envelope: Any
    ) -> bool:
        """Make ``value`` the content of row ``row`` of ``topic``; None withdraws it.

        Returns whether anything was emitted. ``ts`` must be the same for one row for ever.
        """
        place: Key = ("row", topic.name, row)
        old: Event | None = self.state.get(place)
        if old is not None and value is not None and old.value == value:
            return False
        if old is None and value is None:
            return False
        if old is not None:
            self.emit(topic, retraction(old, cause))
        if value is None:
            self.state.delete(place)
            return True
        event = row_event(
            self.step,
            topic,
            row,
            value,
            ts,
            cause,
            old is not None,
            envelope.get("anchor", cause.anchor),
        )
        self.state.put(place, event)
        self.emit(topic, event)
        return True


def row_event(
    step: str, topic: Topic, row: str, value: Any, ts: int, cause: Event, replaces: bool,
    anchor: Anchor | None,
) -> Event:  # fmt: skip
    """The assert of a row's content; its id hashes the step, the topic and the row."""
    return Event(
        digest_id(step, topic.name, row), topic.key_of(value), ts, "assert", value,
        correction=cause.correction or replaces, type=topic.event_type or "", anchor=anchor,
        ingest_ts=cause.ingest_ts, producer=step, correlation_id=cause.correlation_id,
        causation_id=cause.id, priority=cause.priority,
    )  # fmt: skip


def retraction(old: Event, cause: Event | None = None) -> Event:
    """The retract of an assert: same id, key, ts and value."""
    return msgspec.structs.replace(
        old,
        op="retract",
        correction=True,
        causation_id=cause.id if cause is not None else old.causation_id,
        ingest_ts=cause.ingest_ts if cause is not None else old.ingest_ts,
    )
