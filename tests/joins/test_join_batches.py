"""Events that come together say what they would have said one by one, once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from joins import (
    Count,
    Hopping,
    IntervalJoin,
    LookupJoin,
    MemoryStore,
    Retracted,
    Session,
    Sum,
    Tumbling,
    WindowAggregate,
    WindowJoin,
)
from joins.join import Join
from schemas.envelope import Event

JOINS: dict[str, Join] = {
    "group": WindowJoin(windows=Tumbling(size=10), emit="eager", retract_grace=50),
    "hopping": WindowJoin(windows=Hopping(size=10, advance=5), emit="eager", retract_grace=50),
    "inner": WindowJoin(windows=Tumbling(size=10), kind="inner", emit="eager", retract_grace=50),
    "final": WindowJoin(windows=Tumbling(size=10), retract_grace=50),
    "session": WindowJoin(windows=Session(gap=4), emit="eager", retract_grace=50),
    "aggregate": WindowAggregate(
        windows=Tumbling(size=10),
        aggregates={"n": Count(), "s": Sum("v")},
        sides=("left", "right"),
        emit="eager",
        retract_grace=50,
    ),
    "interval": IntervalJoin(before=3, after=3, kind="outer", emit="eager", retract_grace=50),
    "lookup": LookupJoin(horizon=50, kind="left", emit="eager", retract_grace=50),
}
"""Each join with what one batch may change many times."""

SAID = st.tuples(
    st.sampled_from(["left", "right"]),
    st.lists(
        st.tuples(
            st.integers(0, 5), st.sampled_from(["assert", "assert", "retract"]), st.integers(1, 3)
        ),
        min_size=1,
        max_size=8,
    ),
)


def _event(side: str, number: int, op: Any, value: int) -> Event:
    """An id has one key and one ts for ever."""
    return Event(f"{side}{number}", "ab"[number % 2], number * 4, op, {"v": value})


def _fold(standing: dict[str, Any], outcomes: list[Any]) -> None:
    for outcome in outcomes:
        if isinstance(outcome, Retracted):
            del standing[outcome.of]  # what does not stand is never withdrawn
        else:
            assert outcome.id not in standing
            standing[outcome.id] = outcome


@pytest.mark.parametrize("name", JOINS)
@settings(max_examples=80, deadline=None)
@given(batches=st.lists(SAID, max_size=6), watermark=st.sampled_from([-(1 << 62), 12, 40]))
def test_a_batch_says_what_its_events_say_one_by_one(
    name: str, batches: list[Any], watermark: int
) -> None:
    """After each batch the same results stand, and what stands is said once."""
    join = JOINS[name]
    together, single = MemoryStore(), MemoryStore()
    many, ones = dict[str, Any](), dict[str, Any]()
    for side, said in batches:
        events = [_event(side, *one) for one in said]
        _fold(many, join.on_batch(together, side, events, watermark))
        for event in events:
            _fold(ones, join.on_event(single, side, event, watermark))
        assert ones == many
    assert single.dump() == together.dump()
