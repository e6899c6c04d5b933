"""ml.examples -> ml.models: learn in event time, publish snapshots at recorded boundaries.

The examples of one window of event time are learned together, ordered by (ts, id), when the
watermark has passed the window; the snapshot is valid from the window's end. So which snapshot
scores which transaction does not depend on when anything arrived. An example that changes later is
learned again from the last snapshot before it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from joins.state import Store
from schemas.envelope import Event
from schemas.events import ModelSnapshot
from streams import topics
from streams.config import Config
from streams.engine.step import Batch, Emit, Rows, Step
from streams.models.logistic import MAX_VALUE

if TYPE_CHECKING:
    from streams.models.learner import Learner

NAME = "train_model"


def step(config: Config) -> Step:
    """The step, with the boundaries of the configuration."""
    return _keeping(config.model_boundary_ms, config.engine.retract_grace_ms)


def _keeping(boundary: int, undo: int) -> Step:
    """The step whose examples can be corrected for ``undo`` ms."""

    def process(batch: Batch, state: Store, emit: Emit) -> None:
        reopened: dict[str, tuple[int, Event]] = {}
        for event in batch:
            wrong = _unlearnable(event)
            if wrong is not None:  # on a timer it would stop the worker: there is none to blame
                emit.refuse(event, "bad_value", wrong)
                continue
            window = event.ts - event.ts % boundary
            place = ("example", event.key, window, event.ts, event.id)
            if event.op == "retract":
                state.delete(place)
            else:
                state.put(place, event)
            if window + boundary <= batch.watermark:
                first = min(window, reopened.get(event.key, (window, event))[0])
                reopened[event.key] = (first, event)
            else:
                state.put(("due", window + boundary, event.key), event)
        for model, (window, cause) in reopened.items():
            _relearn(state, emit, model, window, batch.watermark, boundary, cause)

    def advance(watermark: int, state: Store, emit: Emit) -> None:
        for key, cause in list(state.scan(("due",), None, (watermark + 1,))):
            state.delete(key)
            window = int(key[1]) - boundary
            _relearn(state, emit, str(key[2]), window, int(key[1]), boundary, cause)
        _forget(state, watermark - undo, boundary)

    bind = partial(_keeping, boundary)
    return Step(
        NAME, (topics.examples,), (topics.models,), process, advance, bind=bind, warm=_library
    )


def _library() -> type[Learner]:
    """The learner's class; its library takes longer to load than all else."""
    from streams.models.learner import Learner  # noqa: PLC0415

    return Learner


def _unlearnable(event: Event) -> str | None:
    """Why a learner would not take an example."""
    if event.key != event.value.model_id:
        return "the key of an example is its model"
    wrong = [name for name, value in event.value.values.items() if not abs(value) <= MAX_VALUE]
    return f"{wrong[0][:80]} is no number to learn from" if wrong else None


def _relearn(
    state: Store, emit: Emit, model: str, start: int, until: int, boundary: int, cause: Event
) -> None:
    """Learn the windows from ``start`` up to ``until`` (ms) again, and say what changed."""
    rows = Rows(NAME, state, emit)
    windows = sorted(
        {int(key[2]) for key, _ in state.scan(("example", model), (start,))}
        | {int(key[2]) - boundary for key, _ in state.scan(("snapshot", model), (start,))}
    )
    learner = _standing(state, model, start)
    for window in windows:
        end = window + boundary
        if end > until:
            break
        examples = [e for _, e in state.scan(("example", model, window))]
        for example in examples:
            learner.learn(example.value)
        place = ("snapshot", model, end)
        snapshot = learner.snapshot(end) if examples else None
        if snapshot is None:
            state.delete(place)
        else:
            state.put(place, snapshot)
        rows.set(topics.models, f"{model}:{end}", snapshot, end, cause)


def _standing(state: Store, model: str, before: int) -> Learner:
    """The learner as the last snapshot at or before ``before`` left it."""
    learner = _library()
    last = next(state.scan(("snapshot", model), None, (before + 1,), reverse=True), None)
    if last is None:
        return learner(model)
    snapshot: ModelSnapshot = last[1]
    return learner.resume(snapshot)


def _forget(state: Store, before: int, boundary: int) -> None:
    """Drop windows that nothing can change any more; the newest snapshot of each model stays."""
    newest: dict[str, tuple[str | int, ...]] = {}
    for key, _ in list(state.scan(("snapshot",))):
        if int(key[2]) >= before:
            continue
        if str(key[1]) in newest:
            old = newest[str(key[1])]
            state.delete(old)
            state.delete(("row", topics.models.name, f"{old[1]}:{old[2]}"))
        newest[str(key[1])] = key
    for key, _ in list(state.scan(("example",))):
        if int(key[2]) + boundary <= before:
            state.delete(key)
