"""ml.features, ml.models -> ml.results: the score of each transaction, with its reasons.

Which snapshot scores a transaction is decided by event time: the newest one that was valid at the
transaction's time. A snapshot that arrives later corrects the scores it should have given.
"""

from __future__ import annotations

import msgspec

from schemas.envelope import Event
from schemas.events import ModelSnapshot, Score
from streams import topics
from streams.engine.codec import register
from streams.engine.step import Batch, Emit, Step, retraction, row_event
from streams.engine.stores import Scope
from streams.models.scorer import Scorer, score
from streams.topics import DAY_MS

NAME = "score_transactions"
MODEL_ID = "transactions"


@register
class Scored(msgspec.Struct, gc=False):
    """All that is kept of a transaction, due at its time."""

    vector: Event
    score: Score


def process(batch: Batch, state: Scope, emit: Emit) -> None:
    """Keep features and snapshots; score what each of them touches."""
    for event in batch:
        if batch.topic is topics.models:
            _take_snapshot(state, emit, event)
        else:
            _take_features(state, emit, event)


def _forget(state: Scope, limit: int) -> None:
    """Forget vectors that no snapshot can correct any more; keep the newest snapshot of then."""
    for key in state.due("vector", None, limit):
        state.delete(key)
    old = list(state.scan(("snapshot",), None, (limit,)))
    for key, _ in old[:-1]:
        state.delete(key)


def _take_features(state: Scope, emit: Emit, event: Event) -> None:
    place = ("vector", event.id)
    old: Scored | None = state.get(place)
    new = None
    if event.op == "assert":
        new = Scored(event, _score(state, event))
        state.put(place, new, event.ts)
    elif old is not None:
        state.delete(place)
    _say(emit, event, old, new)


def _take_snapshot(state: Scope, emit: Emit, event: Event) -> None:
    snapshot: ModelSnapshot = event.value
    place = ("snapshot", snapshot.valid_from_ts, snapshot.snapshot_id)
    if event.op == "retract":
        state.delete(place)
    else:
        state.put(place, snapshot)
    state.scratch.clear()
    for key in state.due("vector", snapshot.valid_from_ts):
        old: Scored | None = state.get(key)
        assert old is not None
        new = Scored(old.vector, _score(state, old.vector))
        if new.score != old.score:
            state.put(key, new, old.vector.ts)
            _say(emit, event, old, new)


def _score(state: Scope, vector: Event) -> Score:
    """By the newest snapshot that is valid at the vector's time."""
    at = ("scorer", vector.ts)
    if at not in state.scratch:
        newest = next(state.scan(("snapshot",), None, (vector.ts + 1,), reverse=True), None)
        state.scratch[at] = Scorer(newest[1]) if newest is not None else None
    scorer: Scorer | None = state.scratch[at]
    return score(vector.value, None, MODEL_ID) if scorer is None else scorer.score(vector.value)


def _say(emit: Emit, cause: Event, old: Scored | None, new: Scored | None) -> None:
    """Withdraw the old score and say the new one."""
    if old is not None and new is not None and old.score == new.score:
        return
    if old is not None:
        emit(topics.results, retraction(_result(old, old.vector, False), cause))
    if new is not None:
        emit(topics.results, _result(new, cause, old is not None))


def _result(scored: Scored, cause: Event, replaces: bool) -> Event:
    vector = scored.vector
    return row_event(
        NAME, topics.results, vector.id, scored.score, vector.ts, cause, replaces, vector.anchor
    )


def _keeping(undo: int) -> Step:
    """The step whose scores can be corrected for ``undo`` ms."""

    def advance(watermark: int, state: Scope, emit: Emit) -> None:
        _forget(state, watermark - undo)

    reads, writes = (topics.features, topics.models), (topics.results,)
    return Step(NAME, reads, writes, process, advance, version=2, bind=_keeping)


step = _keeping(DAY_MS)
