"""The net view as a pure fold, and what its horizon forgets."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.envelope import Event, Op
from streams.client import Net, net_set
from streams.client.held import FUTURE_MS
from streams.client.records import Record, Withdrawn


def record(
    id: str, value: Any = 1, op: Op = "assert", ts: int = 0, offset: int = 0, partition: int = 0
) -> Record[Any]:
    """A record of a topic."""
    return Record("topic", partition, offset, 0, Event(id, "key", ts, op, value))


RECORDS = st.lists(
    st.builds(
        record,
        st.sampled_from("abc"),
        st.integers(0, 1),
        st.sampled_from(("assert", "assert", "retract")),
    ),
    max_size=20,
)


@given(RECORDS)
def test_changes_alternate_and_fold_to_the_net_set(records: list[Record[Any]]) -> None:
    """Per id Asserted and Withdrawn alternate, with the same values; their sum is the net set."""
    net: Net[Any] = Net()
    live: dict[str, Any] = {}
    for change in [change for one in records for change in net.take(one)]:
        if isinstance(change, Withdrawn):
            assert live.pop(change.id) == change.value
        else:
            assert change.id not in live
            live[change.id] = change.value
    assert net_set(one.event for one in records) == live
    assert live == {id: one.value for id, one in net.net().items()}


@given(RECORDS, st.integers(0, 20))
def test_what_was_emitted_is_a_prefix(records: list[Record[Any]], count: int) -> None:
    """Nothing that comes later changes what was said."""
    early, all_of_it = Net[Any](), Net[Any]()
    said = [change for one in records[:count] for change in early.take(one)]
    assert said == [c for one in records for c in all_of_it.take(one)][: len(said)]


def test_an_effect_is_counted_when_there_is_none() -> None:
    """A repeated assert and a retract of nothing are folded away, and counted."""
    net: Net[Any] = Net()
    for one in (record("a"), record("a"), record("b", op="retract")):
        net.take(one)
    assert (2, {"a"}) == (net.without_effect, set(net.net()))


def test_a_horizon_bounds_what_is_kept() -> None:
    """Facts of a thousand seconds in a horizon of ten: eleven are kept."""
    net: Net[Any] = Net(horizon_ms=10_000)
    for second in range(1000):
        net.take(record(f"id{second}", ts=second * 1000))
    assert (11, 989) == (len(net.held), net.held.forgotten)
    assert 11 == len(net.held._due["topic", 0])


def test_beyond_the_horizon_a_retract_passes_and_an_assert_comes_again() -> None:
    """Better twice than not at all: what can no longer be known is told.

    ts        0           20 000        0
    record    a           b             a retract
    """
    net: Net[Any] = Net(horizon_ms=10_000)
    net.take(record("a", ts=0))
    net.take(record("b", ts=20_000))
    assert ["retract"] == [change.op for change in net.take(record("a", op="retract", ts=0))]
    assert ["assert"] == [change.op for change in net.take(record("a", ts=0))]
    assert {"b"} == set(net.net())


def test_an_event_of_the_far_future_moves_no_horizon() -> None:
    """One wrong clock does not make the view forget everything."""
    net: Net[Any] = Net(horizon_ms=10)
    net.take(record("a", ts=0))
    net.take(record("future", ts=FUTURE_MS + 1))
    assert {"a", "future"} == set(net.net())


def test_a_partition_that_went_away_is_forgotten() -> None:
    """Its facts are another member's now."""
    net: Net[Any] = Net(horizon_ms=10)
    net.take(record("a", partition=0))
    net.take(record("b", partition=1))
    net.drop("topic", 0)
    assert {"b"} == set(net.net())
