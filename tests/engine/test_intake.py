"""Which events of a source topic have an effect (SEMANTICS 1)."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.envelope import Event
from streams.engine.intake import Intake
from streams.engine.stores import TaskStore


def _effects(*said: tuple[str, str]) -> list[bool]:
    """Effects of (op, content) of one id, in order."""
    intake = Intake(TaskStore().scope("intake"))
    return [
        intake.effect("t", Event("id", "k", 5, op, None), content.encode())  # type: ignore[arg-type]
        for op, content in said
    ]


def test_a_repeated_assert_has_no_effect() -> None:
    """The same value once more is the same fact."""
    assert [True, False, False] == _effects(("assert", "x"), ("assert", "x"), ("assert", "x"))


def test_another_value_has_an_effect() -> None:
    """A live id that changes its value is a correction."""
    assert [True, True, True] == _effects(("assert", "x"), ("assert", "y"), ("assert", "x"))


def test_a_retract_of_what_is_not_live_has_no_effect() -> None:
    """Neither before the assert nor twice."""
    assert [False, True, True, False] == _effects(
        ("retract", "x"), ("assert", "x"), ("retract", "x"), ("retract", "x")
    )


def test_assert_retract_assert_is_an_assert() -> None:
    """With the same value too."""
    assert [True, True, True] == _effects(("assert", "x"), ("retract", "x"), ("assert", "x"))


def test_a_retract_that_had_an_effect_is_remembered() -> None:
    """From then on the longer grace counts for the id."""
    intake = Intake(TaskStore().scope("intake"))
    event = Event("id", "k", 5, "assert", None)
    assert not intake.was_retracted("t", "id")
    intake.effect("t", event, b"x")
    assert not intake.was_retracted("t", "id")
    intake.effect("t", Event("id", "k", 5, "retract", None), b"x")
    assert intake.was_retracted("t", "id")
    intake.effect("t", event, b"x")
    assert intake.was_retracted("t", "id")
    assert not intake.was_retracted("other", "id")


def test_another_value_is_a_retract_of_the_old_one() -> None:
    """So the longer grace counts for what follows."""
    intake = Intake(TaskStore().scope("intake"))
    event = Event("id", "k", 5, "assert", None)
    intake.effect("t", event, b"x")
    intake.effect("t", event, b"x")
    assert not intake.was_retracted("t", "id")
    intake.effect("t", event, b"y")
    assert intake.was_retracted("t", "id")


def test_ids_are_forgotten_by_event_time_and_leave_nothing() -> None:
    """``expire(before)`` drops what lies below."""
    store = TaskStore()
    intake = Intake(store.scope("intake"))
    for ts in (10, 20, 30):
        intake.effect("t", Event(str(ts), "k", ts, "assert", None), b"x")
    intake.expire(20)
    assert 2 == len(store)
    intake.expire(31)
    assert 0 == len(store)


SAID = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(["assert", "retract"]), st.sampled_from("xy")),
    max_size=20,
)


@settings(max_examples=200, deadline=None)
@given(SAID)
def test_effect_is_exactly_a_change_of_the_live_set(said: list[Any]) -> None:
    """An event has an effect when folding it changes the live (id, value)."""
    intake, live = Intake(TaskStore().scope("intake")), dict[str, str]()
    for id_, op, value in said:
        before = dict(live)
        if op == "assert":
            live[id_] = value
        else:
            live.pop(id_, None)
        found = intake.effect("t", Event(id_, "k", 5, op, None), value.encode())
        assert (live != before) == found
