"""Laws of a task's state: undo, what a checkpoint must write, and scopes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.engine.changes import Changes
from streams.engine.codec import decode_key, decode_value, encode_changes
from streams.engine.stores import TaskStore

KEYS = st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 3))
CHANGES = st.lists(st.tuples(KEYS, st.none() | st.integers(0, 5)), max_size=8)
BATCHES = st.lists(
    st.tuples(CHANGES, st.sampled_from(["keep", "undo", "commit", "fail"])), max_size=12
)
Plain = dict[Any, Any]


def _write(store: TaskStore, model: Plain, changes: list[Any]) -> None:
    """Entries of scanned tables, of plain ones, and of a timeline, all by the same changes."""
    scope = store.scope("s")
    plain = scope.table("plain")
    for key, value in changes:
        if value is None:
            scope.delete(key)
            del plain[key[1]]
            model.pop(key, None)
            model.pop(key[1], None)
        else:
            scope.put(key, value, due=value if key[0] == "b" else None)
            if value % 2:
                plain[key[1]] = value
            else:
                plain.update({key[1]: value})
            model[key] = model[key[1]] = value


def _entries(taken: list[Changes]) -> list[tuple[Any, Any]]:
    """Keys and contents as a reader of the changelog finds them."""
    return [
        (decode_key(key), None if body is None else decode_value(body))
        for changes in taken
        for key, body in encode_changes(changes)
    ]


def _content(store: TaskStore) -> Plain:
    scope = store.scope("s")
    found = {key: value for prefix in ("a", "b") for key, value in scope.scan((prefix,))}
    assert sorted(found) == [key for key, _ in scope.scan(())]
    dues = [(value, key) for key, value in found.items() if key[0] == "b"]
    assert [key for _, key in sorted(dues)] == scope.due("b")
    assert [key for value, key in sorted(dues) if 1 <= value < 4] == scope.due("b", 1, 4)
    return found | dict(scope.table("plain").items())


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
                changelog.update(_entries(taken))
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
    scope = store.scope("s")
    scope.put(("a", 1), 1)
    taken = store.take_changes()
    scope.put(("a", 1), 2)
    scope.put(("a", 2), 7)
    store.put_back(taken)
    assert [(("s", "a", 1), 2), (("s", "a", 2), 7)] == _entries(store.take_changes())


ADDED = st.lists(
    st.tuples(
        st.sampled_from(["set", "add", "count", "delete", "settle", "undo"]),
        st.dictionaries(st.sampled_from("abc"), st.integers(1, 9)),
    ),
    max_size=12,
)


@settings(max_examples=200, deadline=None)
@given(ADDED)
def test_a_plain_table_is_a_dict_that_can_go_back(said: list[Any]) -> None:
    """Sets, additions and deletions, in whatever order, with undo in between."""
    store = TaskStore()
    table, model, kept = store.scope("s").table("t"), dict[str, int](), dict[str, int]()
    for what, entries in said:
        if what == "set":
            table.update(entries)
            model |= entries
        elif what == "add":
            table.add(entries)
            model |= {key: model.get(key, 0) + number for key, number in entries.items()}
        elif what == "count":
            keys = [key for key, number in entries.items() for _ in range(number)]
            table.count(keys)
            model |= {key: model.get(key, 0) + number for key, number in Counter(keys).items()}
        elif what == "delete":
            for key in entries:
                del table[key]
                model.pop(key, None)
        elif what == "settle":
            store.settle()
            kept = dict(model)
        else:
            store.undo()
            model = dict(kept)
        assert model == dict(table.items())
        assert [(key in model, model.get(key)) for key in "abc"] == [
            (key in table, table.get(key)) for key in "abc"
        ]


@pytest.mark.parametrize("bad", ["words", []])
def test_counting_what_cannot_be_counted_changes_nothing(bad: Any) -> None:
    """A value that is no number, or no key at all: those before it are as they were."""
    table = TaskStore().scope("s").table("t")
    table.update({"words": "many", "a": 1})
    table.settle()
    with pytest.raises(TypeError):
        table.count(["a", "new", "a", bad, "a"])
    assert {"words": "many", "a": 1} == dict(table.items())
    with pytest.raises(TypeError):
        table.add({"a": 1, "new": 1, "words": 1})
    assert {"words": "many", "a": 1} == dict(table.items())
    table.count(["a"])
    table.undo()
    assert {"words": "many", "a": 1} == dict(table.items())


SPANS = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 400), st.sampled_from(["", "commit", "fail"])),
    max_size=10,
)


@settings(max_examples=100, deadline=None)
@given(SPANS, st.sampled_from([int, str, lambda n: b"%d" % n]))
def test_a_plain_table_comes_back_from_its_pages(said: list[Any], form: Any) -> None:
    """Many keys set or deleted, pages divided, checkpoints failed: the log gives the table.

    A log that was compacted holds the last record of each key only; both say the same.
    """
    store, log, model = TaskStore(), list[tuple[Any, Any]](), dict[Any, int]()
    table = store.scope("s").table("t")
    for number, (low, high, end) in enumerate([*said, (0, 0, "commit")]):
        keys = [form(n) for n in range(low, high)]
        if number % 3 == 2:
            for key in keys:
                del table[key]
                model.pop(key, None)
        else:
            table.update(dict.fromkeys(keys, number))
            model |= dict.fromkeys(keys, number)
        store.settle()
        if end == "commit":
            log += _entries(store.take_changes())
        elif end == "fail":
            store.put_back(store.take_changes())
    for records in (log, _compacted(log)):
        recovered = TaskStore()
        for key, value in records:
            recovered.load(key, value)
        assert model == dict(recovered.scope("s").table("t").items())
        again = recovered.scope("s").table("t")
        again.update(dict.fromkeys(model, 7))  # it goes on as if it had never stopped
        assert dict.fromkeys(model, 7) == dict(again.items())


def _compacted(log: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    last = {key: number for number, (key, _) in enumerate(log)}
    return [entry for number, entry in enumerate(log) if last[entry[0]] == number]


def test_many_changed_counts_are_few_records() -> None:
    """Of 10,000 entries that all changed, at most 1,250 records; of one that changed, one."""
    store = TaskStore()
    table = store.scope("s").table("t")
    table.update(dict.fromkeys(range(10_000), 1))
    store.take_changes()
    table.update(dict.fromkeys(range(10_000), 2))
    assert len(_entries(store.take_changes())) <= 1250
    table[5] = 3
    (entry,) = _entries(store.take_changes())
    assert (3, True) == (entry[1][5], len(entry[1]) < 50)


def test_scopes_share_nothing() -> None:
    """A step sees its own entries only, under its own keys."""
    store = TaskStore()
    one, other = store.scope("one"), store.scope("other")
    one.put(("k", 1), "mine")
    other.put(("k", 2), "theirs")
    other.delete(("k", 1))
    assert ("mine", None) == (one.get(("k", 1)), other.get(("k", 1)))
    assert [(("k", 1), "mine")] == list(one.scan(("k",)))
    assert [(("k", 2), "theirs")] == list(other.scan(()))
