"""Declared watermarks: what the writers of one input partition have promised."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from joins.clock import NEG_INF
from schemas.errors import BadHeaders
from streams.engine.writers import IDLE, NOTHING, Declared, Writer, control_headers, spoken


def _declared(*said: tuple[str, str], expected: tuple[str, ...] = ()) -> int | None:
    declared = Declared(expected)
    for writer, text in said:
        declared.declare(Writer.parse(writer), text)
    return declared.watermark()


def test_nothing_is_promised_until_every_task_has_declared() -> None:
    """Two of three tasks are not enough, however far they are."""
    assert NEG_INF == _declared(("step/0/0/3", "10"), ("step/0/2/3", "90"))
    assert 10 == _declared(("step/0/0/3", "10"), ("step/0/2/3", "90"), ("step/0/1/3", "50"))


def test_an_expected_step_that_never_spoke_holds_back() -> None:
    """A writer of the topology that has not started yet is not forgotten."""
    assert NEG_INF == _declared(("a/0/0/1", "10"), expected=("a", "b"))
    assert NEG_INF == _declared(expected=("a",))
    assert _declared() is None


def test_a_newer_generation_replaces_the_older_one() -> None:
    """Partition count 1 -> 2: nothing is promised until both new tasks have declared."""
    old = ("step/0/0/1", "50")
    assert NEG_INF == _declared(old, ("step/1/0/2", "60"))
    assert 60 == _declared(old, ("step/1/0/2", "60"), ("step/1/1/2", "70"))
    assert 60 == _declared(("step/1/0/1", "60"), ("step/0/0/1", "5"))


def test_a_new_generation_starts_where_the_older_one_stood() -> None:
    """Not below, though another writer held the topic back; the older one has to be whole.

    ::

        a/0: 50        a/1 begins with 5 -> 50, then 60
        b/0: 30 ............................ 90
    """
    a, b, again = ("a/0/0/1", "50"), [("b/0/0/1", "30"), ("b/0/0/1", "90")], ("a/1/0/1", "5")
    assert 50 == _declared(a, *b, again)
    assert 50 == _declared(a, *b, again, ("a/2/0/1", NOTHING))
    assert 60 == _declared(a, *b, again, ("a/1/0/1", "60"))
    assert 5 == _declared(("a/0/0/2", "50"), *b, again)


def test_an_idle_writer_holds_nothing_back() -> None:
    """All idle is None; one that is not decides."""
    assert 30 == _declared(("a/0/0/2", "30"), ("a/0/1/2", IDLE))
    assert _declared(("a/0/0/2", IDLE), ("a/0/1/2", IDLE)) is None
    assert 7 == _declared(("a/0/0/1", IDLE), ("a/0/0/1", "7"))


def test_a_writer_never_goes_back() -> None:
    """The greatest of what a task declared counts."""
    assert 50 == _declared(("a/0/0/1", "50"), ("a/0/0/1", "20"))
    assert 50 == _declared(("a/0/0/1", "50"), ("a/0/0/1", NOTHING))


def test_a_writer_can_say_that_it_is_there_and_promises_nothing() -> None:
    """Registered before its first write, or back from idleness."""
    assert NEG_INF == _declared(("a/0/0/1", NOTHING))
    assert NEG_INF == _declared(("a/0/0/1", IDLE), ("a/0/0/1", NOTHING))
    assert NEG_INF == _declared(("a/0/0/1", "10"), ("b/0/0/1", NOTHING))


@pytest.mark.parametrize("watermark", [None, NEG_INF, -5, 0, 1_700_000_000_000])
def test_control_headers_are_read_back(watermark: int | None) -> None:
    """Also the limit and idleness."""
    headers = control_headers(Writer("a/b", 2, 1, 3), watermark)
    writer, text = (raw.decode() for _, raw in headers)
    assert Writer("a/b", 2, 1, 3) == Writer.parse(writer)
    declared = Declared()
    declared.declare(Writer("w", 0, 0, 1), text)
    assert watermark == declared.watermark()


@pytest.mark.parametrize(
    ("said", "watermark"),
    [
        ([("idle", False), ("10", True)], None),
        ([("10", False), ("idle", False), ("20", True)], None),
        ([("idle", False), ("10", False), ("20", True)], 20),
        ([("10", True)], 10),
        ([("20", False), ("10", True)], 20),
    ],
)
def test_what_is_in_no_transaction_ends_no_idleness(
    said: list[tuple[str, bool]], watermark: int | None
) -> None:
    """A former owner of the task may write it, long after the present one has fallen idle."""
    declared = Declared()
    for text, unfenced in said:
        declared.declare(Writer("w", 0, 0, 1), text, unfenced)
    assert watermark == declared.watermark()


@pytest.mark.parametrize("unfenced", [False, True])
def test_a_control_record_says_whether_it_is_in_a_transaction(unfenced: bool) -> None:
    """By a header more; sources and older versions write none."""
    writer = Writer("a", 0, 0, 1)
    assert (writer, "7", unfenced) == spoken(control_headers(writer, 7, unfenced))


@pytest.mark.parametrize(
    "text", ["", "a", "a/0/0", "/0/0/1", "a/x/0/1", "a/0/1/1", "a/0/-1/1", "a/0/0/0", "a/0/0/1e3"]
)
def test_a_malformed_writer_is_refused(text: str) -> None:
    """A task lies in its count; all are integers."""
    with pytest.raises(BadHeaders):
        Writer.parse(text)


@pytest.mark.parametrize("text", ["", "soon", "1.5", "9" * 30, "\u0664", "--1", "+inf"])
def test_a_malformed_watermark_is_refused_and_changes_nothing(text: str) -> None:
    """Not even the generation of its writer is taken over."""
    declared = Declared()
    declared.declare(Writer("a", 0, 0, 1), "10")
    with pytest.raises(BadHeaders):
        declared.declare(Writer("a", 1, 0, 2), text)
    assert 10 == declared.watermark()


SAID = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.integers(0, 2),
        st.integers(0, 1),
        st.sampled_from([IDLE, NOTHING, "5", "10", "20"]),
    ),
    max_size=15,
)


def _reference(said: list[tuple[str, int, int, str]]) -> int | None:
    """The definition: per step its newest generation, which starts where the older ones stood."""
    bounds: list[int] = []
    for step in {name for name, *_ in said}:
        floor, found = NEG_INF, list[int]()
        mine = [(gen, task, text) for name, gen, task, text in said if name == step]
        newest = [max(gen for gen, *_ in mine[: n + 1]) for n in range(len(mine))]
        for generation in sorted(set(newest)):
            spoken = [
                (task, text)
                for (gen, task, text), at_most in zip(mine, newest, strict=True)
                if gen == generation == at_most
            ]
            found = [max(ts, floor) for ts in _promises(spoken)]
            whole = {task for task, _ in spoken} == {0, 1}
            floor = max(floor, min(found, default=floor)) if whole else floor
        if not whole:
            return NEG_INF
        bounds += found
    return min(bounds, default=None)


def _promises(spoken: list[tuple[int, str]]) -> list[int]:
    """Of each task of a generation that is not idle the greatest that it said since it was."""
    found = []
    for number in {task for task, _ in spoken}:
        texts = [text for task, text in spoken if task == number]
        since = texts[len(texts) - texts[::-1].index(IDLE) :] if IDLE in texts else texts
        if since:
            found.append(max(NEG_INF if text == NOTHING else int(text) for text in since))
    return found


@settings(max_examples=200, deadline=None)
@given(SAID, st.integers(0, 15))
def test_declared_equals_its_definition_also_after_recovery(said: list[Any], cut: int) -> None:
    """Dump and load at any point change nothing; what is dumped is plain data."""
    declared = Declared()
    for number, (step, generation, task, text) in enumerate(said):
        if number == cut:
            dumped = json.loads(json.dumps(declared.dump()))
            declared = Declared()
            declared.load(dumped)
        declared.declare(Writer(step, generation, task, 2), text)
        assert _reference(said[: number + 1]) == declared.watermark()
