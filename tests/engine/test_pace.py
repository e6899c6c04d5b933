"""How long a task waits between checkpoints where no setting says it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.pace import LEAST_SECONDS, LONGEST_SECONDS, Pace


def test_few_tasks_checkpoint_each_30_ms() -> None:
    """A worker with up to four tasks has fresh results."""
    assert [0.03] * 4 == [Pace().pause(tasks) for tasks in range(1, 5)]


def test_tasks_share_their_worker() -> None:
    """The more tasks a worker has, the longer each waits, up to 300 ms."""
    assert [0.06, 0.12, 0.3, 0.3] == pytest.approx([Pace().pause(n) for n in (8, 16, 40, 400)])


def test_where_results_do_not_wait_for_checkpoints_there_are_fewer() -> None:
    """At least once: 200 ms, and as ever where there are many tasks."""
    found = [Pace(repeating=True).pause(tasks) for tasks in (1, 4, 16, 40)]
    assert [0.2, 0.2, 0.2, 0.3] == pytest.approx(found)


def test_slow_checkpoints_come_less_often() -> None:
    """Where a checkpoint takes 50 ms, the next one comes 150 ms after; quick ones end that."""
    pace = Pace()
    for _ in range(30):
        pace.took(0.05)
    slow = pace.pause(4)
    for _ in range(30):
        pace.took(0.005)
    assert (0.15, 0.03) == (pytest.approx(slow, rel=0.01), pace.pause(4))


def test_checkpoints_that_take_long_never_are_most_of_the_work() -> None:
    """Also where they take 200 ms each; a second is enough in any case."""
    pace, slower = Pace(), Pace()
    for _ in range(60):
        pace.took(0.2)
        slower.took(2.0)
    assert [0.6, 1.0] == pytest.approx([pace.pause(4), slower.pause(4)], rel=0.01)


def test_a_single_slow_checkpoint_changes_little() -> None:
    """One of 100 ms among many of 5 ms is no reason to be late for long."""
    pace = Pace()
    for seconds in [0.005] * 30 + [0.1]:
        pace.took(seconds)
    assert pace.pause(4) < 0.08


def test_a_setting_is_obeyed() -> None:
    """Who says an interval has that one, whatever is measured."""
    pace = Pace(1000)
    pace.took(0.9)
    assert [1.0, 1.0] == [pace.pause(1), pace.pause(400)]


@given(st.lists(st.floats(0, 100)), st.integers(1, 10_000))
def test_the_pause_has_its_limits(seconds: list[float], tasks: int) -> None:
    """Whatever is measured: from 30 ms to a second."""
    pace = Pace()
    for one in seconds:
        pace.took(one)
    assert LEAST_SECONDS <= pace.pause(tasks) <= LONGEST_SECONDS
