"""What a task declares: each thing once, and once more where it may not have been heard."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streams.engine.declaring import Declaring
from streams.engine.emit import Snapshot
from streams.engine.writers import Declared, Writer, control_headers, spoken


def _state(task: Declaring, delivery: str) -> dict[str, Any]:
    return {"published": task.published, "said_idle": task.idle, "delivery": delivery}


def test_each_thing_is_declared_once() -> None:
    """How far the task came, that it is idle, and that it is so no more."""
    task = Declaring()
    said = [
        task.take(*at) for at in ((10, False), (10, False), (20, True), (20, True), (20, False))
    ]
    assert [[10], [], [20, None], [], [20]] == said


def test_what_a_failed_checkpoint_was_to_declare_is_news_again() -> None:
    """With the next one, which may know more."""
    task = Declaring()
    stood = task.stands
    task.take(10, True)
    task.put_back(stood)
    assert [12, None] == task.take(12, True)


def test_the_next_owner_declares_again_what_may_have_been_lost() -> None:
    """At least once the state is committed first: its watermark may have died with its worker."""
    dead, owner = Declaring(), Declaring()
    dead.take(10, False)
    owner.load(_state(dead, "at_least_once"))
    stood = owner.stands
    assert [10] == owner.take(10, False)
    owner.put_back(stood)
    assert [[10], []] == [owner.take(10, False), owner.take(10, False)]


def test_an_idle_owner_says_that_it_is_idle_behind_it() -> None:
    """The watermark alone would have its readers wait for it."""
    dead, owner = Declaring(), Declaring()
    dead.take(10, True)
    owner.load(_state(dead, "at_least_once"))
    assert [10, None] == owner.take(10, True)


def test_exactly_once_nothing_is_declared_again() -> None:
    """It was in the transaction of the state that tells of it; so it was in older versions."""
    dead, owner, older = Declaring(), Declaring(), Declaring()
    dead.take(10, True)
    state = _state(dead, "exactly_once")
    owner.load(state)
    del state["delivery"]
    older.load(state)
    assert [[], []] == [owner.take(10, True), older.take(10, True)]


class Readers:
    """What the readers of a task know of it; watermarks may reach them late."""

    writer = Writer("step", 0, 0, 1)

    def __init__(self) -> None:
        self.declared = Declared(("step",))
        self.late: list[int | None] = []

    def hear(self, said: list[int | None], unfenced: bool) -> None:
        for one in said:
            self.declared.declare(*spoken(control_headers(self.writer, one, unfenced)))

    def hear_late(self) -> None:
        self.hear(self.late, unfenced=True)
        self.late = []


ACTS = ("stays", "fails", "is quiet", "writes late", "dies", "is replaced", "comes late")
"""What becomes of one checkpoint."""


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans(), st.sampled_from(ACTS))), st.booleans())
def test_what_readers_know_is_where_the_task_stands(
    acts: list[tuple[int, bool, str]], idle_at_last: bool
) -> None:
    """Through checkpoints that fail, deaths, and former owners that write watermarks late.

    ::

        owner 1   --- c W=10 (on its way)                                    10 ...
        owner 2              --- c W=10 --- c 20, idle
        readers                  10             20, idle                     still 20, idle
    """
    task, readers, bound = Declaring(), Readers(), 0
    for step, idle, act in [*acts, (1, idle_at_last, "stays")]:
        bound += step
        task.quiet = act == "is quiet"
        before = task.stands
        snapshot = Snapshot([], [], {}, task.take(bound, idle), before)
        if act == "fails":
            task.put_back(before)
            continue
        if snapshot.changes_idleness:
            readers.hear(snapshot.declares, unfenced=False)
        elif act in ("writes late", "is replaced"):
            readers.late += snapshot.declares
        elif act != "dies":
            readers.hear(snapshot.declares, unfenced=True)
        if act in ("dies", "is replaced"):
            state = _state(task, "at_least_once")
            task = Declaring()
            task.load(state)
        if act == "comes late":
            readers.hear_late()
    readers.hear_late()
    assert (None if idle_at_last else bound) == readers.declared.watermark()
