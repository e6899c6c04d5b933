"""What every store says to a step, a checkpoint and a crash: one suite for all of them."""

from __future__ import annotations

from typing import Any

import pytest

from joins.state import Store
from schemas.envelope import Event
from schemas.events import Label
from tests.engine.stores import World, content, store, world

__all__ = ["store", "world"]  # fixtures

# To a step ----------------------------------------------------------------------------------------


def test_ranges_are_half_open_and_go_both_ways(store: Store) -> None:
    """``prefix + low <= key < prefix + high``; another prefix that begins alike is no part of it.

    ::

        ("e", "a", n)     -7   0   5   12            ("e", "ab", 0) is elsewhere
        low 0, high 12         [---)
    """
    for number in (12, -7, 5, 0):
        store.put(("e", "a", number), str(number))
    for other in (("e", "ab", 0), ("e", "", 0), ("d", "a", 0), ("f", "a", 0)):
        store.put(other, "elsewhere")
    inside = [(("e", "a", 0), "0"), (("e", "a", 5), "5")]
    assert inside == list(store.scan(("e", "a"), (0,), (12,)))
    assert inside[::-1] == list(store.scan(("e", "a"), (0,), (12,), reverse=True))
    assert ["-7", "0", "5", "12"] == store.between(("e", "a"))
    assert ("12", "5", None) == (
        store.last(("e", "a")), store.last(("e", "a"), high=(12,)), store.last(("e", "b")),
    )  # fmt: skip


def test_entries_are_found_when_they_are_due(store: Store) -> None:
    """By (due, key), of one table, half-open; without a time an entry is never due.

    ::

        due   3: a   5: b, c   9: d       no time: e     another table: f at 4
    """
    for name, due in (("d", 9), ("c", 5), ("a", 3), ("b", 5), ("e", None)):
        store.put(("t", name), name, due)
    store.put(("u", "f"), "f", 4)
    assert [("t", name) for name in "abcd"] == store.due("t")
    assert [("t", "b"), ("t", "c")] == store.due("t", 4, 9)
    assert (3, 5, None) == (store.next_due("t"), store.next_due("t", 4), store.next_due("t", 10))
    store.put(("t", "a"), "later", 7)
    store.put(("t", "b"), "never", None)
    store.delete(("t", "d"))
    assert [("t", "c"), ("t", "a")] == store.due("t")
    assert 5 == store.next_due("t")


def test_values_that_are_nothing_are_values_unless_they_are_none(store: Store) -> None:
    """0, "", False, () and {} are there; a key that was never put, or was deleted, gives None."""
    values: list[Any] = [0, "", False, (), {}, b"", [], 0.0]
    for number, value in enumerate(values):
        store.put(("v", number), value)
    assert values == [store.get(("v", number)) for number in range(len(values))]
    assert values == store.between(("v",))
    store.delete(("v", 0))
    store.delete(("v", 99))
    assert [None, None] == [store.get(("v", 0)), store.get(("v", 99))]


# To a checkpoint ----------------------------------------------------------------------------------


def test_none_is_no_value(world: World) -> None:
    """To put None is to delete, from the timeline too; what was not there leaves no record."""
    world.scope.put(("a", 1), "one", 5)
    world.checkpoint()
    world.scope.put(("a", 1), None, 5)
    world.scope.put(("a", 2), None, 5)
    assert ({}, [], 0) == (content(world.scope), world.scope.due("a"), len(world.store))
    world.take()
    assert 1 == len(world.written)
    assert None is world.written[0][1]  # type: ignore[index]


def test_events_and_their_types_come_back(world: World) -> None:
    """A store that forgot an entry reads back what it was: class, op, value, in whole."""
    event = Event("id", "key", 7, "assert", Label("ab" * 32, True, "s", 1.0), type="ml.label.v1")
    world.scope.put(("e", "key", 7), event, 9)
    world.scope.put(("p", 1), (1, ("two", b"three"), [None]))
    world.checkpoint()
    for number in range(50):
        world.scope.put(("other", number), number)
    world.checkpoint()
    assert event == world.scope.get(("e", "key", 7))
    assert (1, ("two", b"three"), [None]) == world.scope.get(("p", 1))
    world.restart()
    assert [event] == world.scope.between(("e", "key"))


def test_much_more_than_is_remembered_is_there(world: World) -> None:
    """Ten thousand entries, some changed since, and a memory of six: ranges, times, both ways."""
    many = 10_000
    for number in range(many):
        world.scope.put(("e", f"k{number % 10}", number), number, number % 1000)
    world.checkpoint()
    for number in range(0, many, 7):
        world.scope.delete(("e", f"k{number % 10}", number))
    for number in range(3, many, 70):
        world.scope.put(("e", f"k{number % 10}", number), -number)
    live = {n: -n if n % 70 == 3 else n for n in range(many) if n % 7 or n % 70 == 3}
    mine = [live[n] for n in range(3, many, 10) if n in live]
    assert mine == world.scope.between(("e", "k3"))
    assert mine[::-1] == [v for _, v in world.scope.scan(("e", "k3"), reverse=True)]
    due = sorted((n % 1000, f"k{n % 10}", n) for n in live if n % 70 != 3 and n % 1000 < 5)
    assert [("e", key, n) for _, key, n in due] == world.scope.due("e", None, 5)
    assert len(live) == len(world.store)


def test_what_expires_leaves_nothing_behind(world: World) -> None:
    """Expired through many checkpoints: no entry, no time, no record that a reader would keep.

    ::

        put due 0..9   expire below 4   expire below 10   -> empty, and so is what is recovered
    """
    for number in range(10):
        world.scope.put(("e", number), number, number)
        world.scope.table("plain")[number] = number
    world.checkpoint()
    for before in (4, 10):
        for key in world.scope.due("e", None, before):
            world.scope.delete(key)
        for number in range(before):
            del world.scope.table("plain")[number]
        world.checkpoint()
    for _ in range(2):
        assert ({}, [], None) == (
            content(world.scope), world.scope.due("e"), world.scope.next_due("e"),
        )  # fmt: skip
        assert (0, []) == (len(world.store), world.scope.table("plain").items())
        world.restart()
    live = dict(record for record in world.log if record is not None)
    assert 1 == len([body for body in live.values() if body is not None])  # the position


def test_a_change_during_a_failing_checkpoint_wins(world: World) -> None:
    """What a checkpoint writes is the present value, not the one that failed.

    ::

        put 1   take --------- fails: put back
                       put 2                    take again: 2
    """
    world.scope.put(("a", 1), 1)
    world.take()
    world.scope.put(("a", 1), 2)
    world.scope.put(("a", 2), 7, 9)
    world.fail()
    world.checkpoint()
    world.restart()
    assert {("a", 1): 2, ("a", 2): 7} == content(world.scope)
    assert [("a", 2)] == world.scope.due("a")


def test_what_is_due_earlier_than_was_looked_for_is_found(world: World) -> None:
    """A time below which there was nothing gets an entry later, through checkpoints.

    ::

        due below 50: nothing   put 20, checkpoint   due below 50: it   put 10, checkpoint   both
    """
    world.scope.put(("t", "late"), 1, 90)
    world.checkpoint()
    assert [] == world.scope.due("t", None, 50)
    world.scope.put(("t", "b"), 1, 20)
    world.take()
    assert [("t", "b")] == world.scope.due("t", None, 50)
    world.commit()
    world.keep()
    assert 20 == world.scope.next_due("t")
    world.kept()
    assert [("t", "b")] == world.scope.due("t", None, 50)
    world.scope.put(("t", "a"), 1, 10)
    world.checkpoint()
    assert ([("t", "a"), ("t", "b")], 10) == (
        world.scope.due("t", None, 50), world.scope.next_due("t"),
    )  # fmt: skip


def test_the_same_value_with_another_time_is_a_change(world: World) -> None:
    """Put again while its checkpoint is under way: the next one writes it."""
    value = Event("id", "key", 7, "assert", None)
    world.scope.put(("t", "a"), value, 5)
    world.take()
    world.scope.put(("t", "a"), value, 9)
    world.commit()
    world.keep()
    world.store.settle()
    world.kept()
    assert [("t", "a")] == world.scope.due("t", 9)
    world.checkpoint()
    world.restart()
    assert ([], [("t", "a")]) == (world.scope.due("t", None, 9), world.scope.due("t", 9))


@pytest.mark.parametrize("stage", ["taken", "committed", "written", "kept"])
@pytest.mark.parametrize("how", ["killed", "closed", "deleted"])
def test_a_crash_at_any_point_leaves_a_committed_checkpoint(
    world: World, stage: str, how: str
) -> None:
    """Killed before the commit it stands at the first checkpoint, after it at the second.

    ::

        first checkpoint   take   commit   write to disk   heard of   next batch
                               |         |               |          |
                             killed at one of these
    """
    world.scope.put(("a", 1), 1, 5)
    world.scope.put(("a", 2), 2)
    world.checkpoint()
    world.scope.put(("a", 1), 11, 6)
    world.scope.delete(("a", 2))
    world.take()
    for name, step in (("committed", world.commit), ("written", world.keep), ("kept", world.kept)):
        if stage == "taken" or (stage, name) in {("committed", "written"), ("written", "kept")}:
            break
        step()
    world.scope.put(("a", 3), "of a batch that no checkpoint has")
    world.restart(how)
    first = ({("a", 1): 1, ("a", 2): 2}, 5)
    second = ({("a", 1): 11}, 6)
    assert (first if stage == "taken" else second) == (
        content(world.scope), world.scope.next_due("a"),
    )  # fmt: skip
    assert not world.store.dirty
