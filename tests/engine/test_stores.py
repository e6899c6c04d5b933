"""Laws of a task's state: undo, what a checkpoint must write, and scopes."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.engine.stores import TaskStore, scoped

KEYS = st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 3))
CHANGES = st.lists(st.tuples(KEYS, st.none() | st.integers(0, 5)), max_size=8)
BATCHES = st.lists(
    st.tuples(CHANGES, st.sampled_from(["keep", "undo", "commit", "fail"])), max_size=12
)
Plain = dict[Any, Any]


def _write(store: TaskStore, model: Plain, changes: list[tuple[Any, int | None]]) -> None:
    for key, value in changes:
        if value is None:
            store.delete(key)
            model.pop(key, None)
        else:
            store.put(key, value)
            model[key] = value


def _content(store: TaskStore) -> Plain:
    return {key: value for prefix in ("a", "b") for key, value in store.scan((prefix,))}


@settings(max_examples=150, deadline=None)
@given(BATCHES)
def test_undo_goes_back_to_the_last_settled_batch(batches: list[Any]) -> None:
    """``undo`` removes exactly what was written since ``settle``."""
    store, model = TaskStore(), dict[Any, Any]()
    for changes, end in batches:
        before = dict(model)
        _write(store, model, changes)
        if end == "undo":
            store.undo()
            model = before
        else:
            store.settle()
        assert model == _content(store)
        assert len(model) == len(store)


@settings(max_examples=150, deadline=None)
@given(BATCHES)
def test_the_changelog_reproduces_the_state_whatever_failed(batches: list[Any]) -> None:
    """Replaying the committed changes gives the state, though batches and checkpoints failed."""
    store, model, changelog = TaskStore(), dict[Any, Any](), dict[Any, Any]()
    for changes, end in [*batches, ([], "commit")]:
        before = dict(model)
        _write(store, model, changes)
        if end == "undo":
            store.undo()
            model = before
        store.settle()
        if end in ("commit", "fail"):
            taken = store.take_changes()
            assert not store.dirty
            if end == "fail":
                store.put_back(taken)
            else:
                changelog.update(taken)
    recovered = TaskStore()
    for key, value in changelog.items():
        recovered.load(key, value)
    assert model == _content(recovered)
    assert not recovered.dirty


def test_a_change_during_a_failing_checkpoint_wins_over_what_is_put_back() -> None:
    """What a checkpoint writes is the present value, not the one that failed.

    ::

        put 1   take --------- fails: put back
                       put 2                    take again: 2
    """
    store = TaskStore()
    store.put(("a", 1), 1)
    taken = store.take_changes()
    store.put(("a", 1), 2)
    store.put(("a", 2), 7)
    store.put_back(taken)
    assert [(("a", 1), 2), (("a", 2), 7)] == store.take_changes()


def test_scopes_share_nothing() -> None:
    """A step sees its own entries only, under its own keys."""
    store = TaskStore()
    one, other = scoped(store, "one"), scoped(store, "other")
    one.put(("k", 1), "mine")
    other.put(("k", 2), "theirs")
    other.delete(("k", 1))
    assert ("mine", None) == (one.get(("k", 1)), other.get(("k", 1)))
    assert [(("k", 1), "mine")] == list(one.scan(("k",)))
    assert [(("k", 2), "theirs")] == list(other.scan(()))
