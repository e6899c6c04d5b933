"""The table of what joins say: every kind of arrival and outcome has its words."""

from __future__ import annotations

import pytest

from joins import (
    Arrival,
    Count,
    Event,
    Idle,
    IntervalJoin,
    JoinError,
    Tumbling,
    Watermark,
    WindowAggregate,
    WindowJoin,
)
from joins.explain import table
from joins.run import Input


def arrival(side: str, id: str, ts: int, op: str = "assert") -> Arrival:
    """An event of one key."""
    return Arrival(side, 3, Event(id=id, key="k", ts=ts, op=op, value=id))  # type: ignore[arg-type]


def lines(*arrivals: Input, close: bool = True, **joins: object) -> list[str]:
    """The table, line by line."""
    return table(arrivals, close=close, **joins).splitlines()  # type: ignore[arg-type]


def test_each_arrival_has_a_line_and_each_join_a_column() -> None:
    """Results and what no longer holds stand beside the arrival that made them certain."""
    final = IntervalJoin(before=5, after=5, kind="left", retract_grace=100)
    eager = IntervalJoin(before=5, after=5, kind="left", retract_grace=100, emit="eager")
    arrivals = (
        arrival("left", "l1", 100),
        arrival("right", "r1", 104),
        arrival("right", "r1", 104, "retract"),
        arrival("left", "l0", 50),
    )
    assert [
        "arrives        at  time  final              eager",
        "left l1       100     -  -                  + l1 alone at 100",
        "right r1      104   100  + l1 r1 at 104     - l1 alone at 100",
        "                                            + l1 r1 at 104",
        "right not r1  104   100  - l1 r1 at 104     - l1 r1 at 104",
        "                                            + l1 alone at 100",
        "left l0        50   100  late l0, by 50     late l0, by 50",
        "the end            +inf  + l1 alone at 100  -",
    ] == lines(*arrivals, final=final, eager=eager)


def test_idleness_and_declared_time_are_arrivals_too() -> None:
    """A promise of a side's writers, and a side that has become idle, each have a line."""
    join = IntervalJoin(before=5, after=5, kind="left")
    found = lines(
        Watermark("right", 1, 70), arrival("left", "l1", 60), Idle("left", 0),
        join=join, close=False,
    )  # fmt: skip
    assert [
        "arrives      at  time  join",
        "right      W 70     -  -",
        "left l1      60    60  -",
        "left idle          70  + l1 alone at 60",
    ] == found


def test_groups_semi_joins_and_values_have_words() -> None:
    """Several events stand in brackets, none is none, and a value stands for itself."""
    size = Tumbling(size=10)
    found = lines(
        arrival("left", "l1", 1), arrival("left", "l2", 2),
        group=WindowJoin(windows=size), n=WindowAggregate(windows=size, aggregates={"n": Count()}),
    )  # fmt: skip
    assert "the end      +inf  + (l1 l2) () at 9  + {'n': 2} at 9" == found[-1]
    semi = IntervalJoin(before=5, after=5, kind="semi")
    found = lines(arrival("left", "l1", 1), arrival("right", "r1", 2), semi=semi)
    assert "right r1   2     1  + l1 none at 1" == found[2]


def test_a_table_needs_a_join_that_has_the_sides() -> None:
    """No join, and a side that the join does not have, are refused."""
    with pytest.raises(JoinError, match="name at least one join"):
        table([])
    with pytest.raises(JoinError, match="has the sides left, right, not 'middle'"):
        table([arrival("middle", "m", 1)], join=IntervalJoin(before=1, after=1))
