"""A join of ``joins`` as a Step: the same object that ``joins.run`` drives, on topics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from joins import Join, Matched, Outcome, Retracted, Unmatched
from joins.state import Store
from schemas.envelope import Event
from streams.engine.step import Batch, Emit, Step, retraction
from streams.topics import Topic

Say = Callable[[Matched | Unmatched], Any]
"""The value of a result; None says nothing of it."""


def join_step(join: Join, sides: Mapping[str, Topic], writes: Topic, say: Say) -> Step:
    """A Step that feeds ``join`` from the topics of ``sides`` and writes what it says.

    What one batch changes twice is said once: the content before the batch is withdrawn, the
    content after it asserted.
    """
    by_topic = {topic.name: side for side, topic in sides.items()}
    adapter = _Adapter(join, writes, say)

    def process(batch: Batch, state: Store, emit: Emit) -> None:
        outcomes = join.on_batch(state, by_topic[batch.topic.name], batch, batch.watermark)
        adapter.say_all(outcomes, state, emit, batch.events[-1])

    def advance(watermark: int, state: Store, emit: Emit) -> None:
        due = join.next_deadline(state)
        if due is not None and due <= watermark:
            adapter.say_all(join.on_watermark(state, watermark), state, emit, None)
        adapter.forget(state, watermark - join.undo_grace)

    return Step(
        join.name, tuple(sides.values()), (writes,), process, advance, holdback=join.holdback
    )


class _Adapter:
    """Turns outcomes into events, and remembers what stands so that it can be withdrawn."""

    def __init__(self, join: Join, writes: Topic, say: Say) -> None:
        self.join, self.writes, self.say = join, writes, say

    def say_all(
        self, outcomes: list[Outcome], state: Store, emit: Emit, cause: Event | None
    ) -> None:
        last: dict[str, Matched | Unmatched | None] = {}
        for outcome in outcomes:
            if isinstance(outcome, Retracted):
                last[outcome.of] = None
            elif isinstance(outcome, Matched | Unmatched):
                last[outcome.id] = outcome
        for row, result in last.items():
            self._say(row, result, state, emit, cause)

    def _say(
        self,
        row: str,
        result: Matched | Unmatched | None,
        state: Store,
        emit: Emit,
        cause: Event | None,
    ) -> None:
        place = ("said", row)
        old: Event | None = state.get(place)
        value = self.say(result) if result is not None else None
        if old is not None:
            if value is not None and old.value == value:
                return
            emit(self.writes, retraction(old, cause))
            state.delete(place)
        if result is None or value is None:
            return
        event = self._event(row, result, value, old is not None, cause)
        state.put(place, event)
        state.put(("until", event.ts, row), True)
        emit(self.writes, event)

    def _event(
        self,
        row: str,
        result: Matched | Unmatched,
        value: Any,
        replaces: bool,
        cause: Event | None,
    ) -> Event:
        return Event(
            row,
            self.writes.key_of(value),
            result.ts,
            "assert",
            value,
            correction=replaces or result.correction,
            type=self.writes.event_type or "",
            ingest_ts=cause.ingest_ts if cause is not None else None,
            producer=self.join.name,
            correlation_id=cause.correlation_id if cause is not None else None,
            causation_id=cause.id if cause is not None else None,
        )

    def forget(self, state: Store, before: int) -> None:
        """Drop what was said of times that no correction can reach any more."""
        for key, _ in list(state.scan(("until",), None, (before,))):
            state.delete(key)
            state.delete(("said", str(key[2])))
