"""Joins by example: what a reader of SEMANTICS would draw, to the millisecond."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from joins import (
    Arrival,
    AsOf,
    Event,
    Fold,
    Hopping,
    Idle,
    Interval,
    IntervalJoin,
    JoinError,
    JoinTask,
    Late,
    LookupJoin,
    Matched,
    MemoryStore,
    NWayJoin,
    Retracted,
    Session,
    Tumbling,
    Unmatched,
    Watermark,
    WindowJoin,
    run,
)


def event(id: str, ts: int, value: Any = 1, op: Any = "assert", **more: Any) -> Event:
    return Event(id=id, key=more.pop("key", "k"), ts=ts, op=op, value=value, **more)


def left(id: str, ts: int, *args: Any, **more: Any) -> Arrival:
    return Arrival("left", 0, event(id, ts, *args, **more))


def right(id: str, ts: int, *args: Any, **more: Any) -> Arrival:
    return Arrival("right", 0, event(id, ts, *args, **more))


def told(outcomes: list[Any]) -> list[tuple[Any, ...]]:
    """Outcomes as short words: what, ts, ids of the members."""
    return [_told(outcome) for outcome in outcomes]


def _told(outcome: Any) -> tuple[Any, ...]:
    if isinstance(outcome, (Retracted, Late)):
        ts = outcome.ts if isinstance(outcome, Retracted) else outcome.event.ts
        return (type(outcome).__name__, ts)
    ids = [_ids(member) for member in outcome.members.values()]
    return (type(outcome).__name__, outcome.ts, *ids)


def _ids(member: Any) -> Any:
    if isinstance(member, tuple):
        return [event.id for event in member]
    return None if member is None else member.id


def hashed(*parts: str | None) -> str:
    """SEMANTICS 6: each part is its 4-byte big-endian length and its bytes, null is ff ff ff ff."""
    data = b""
    for part in parts:
        data += b"\xff" * 4 if part is None else len(part).to_bytes(4, "big") + part.encode()
    return sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("join", "items", "parts"),
    [
        (
            IntervalJoin(before=0, after=0, kind="outer", name="s"),
            [left("l", 1), right("r", 1), right("q", 9)],
            [
                ("s", "interval", "matched", "l", "r"),
                ("s", "interval", "unmatched", None, "q"),
            ],
        ),
        (
            IntervalJoin(before=0, after=0, kind="semi", name="s"),
            [left("l", 1), right("r", 1)],
            [("s", "interval", "matched", "l", None)],
        ),
        (
            WindowJoin(windows=Tumbling(size=10), name="s"),
            [left("l", 1)],
            [("s", "window", "matched", "k", "0", "10")],
        ),
        (
            WindowJoin(windows=Hopping(size=10, advance=5), mode="product", name="s"),
            [left("l", 7), right("r", 3)],
            [("s", "window", "matched", "l", "r", "0")],
        ),
        (
            WindowJoin(windows=Tumbling(size=10), mode="product", name="s"),
            [left("l", 7), right("r", 3)],
            [("s", "window", "matched", "l", "r")],
        ),
        (
            WindowJoin(windows=Session(gap=10), name="s"),
            [left("l", 7), right("r", 3)],
            [("s", "window", "matched", "k", "3", "8")],
        ),
        (
            LookupJoin(horizon=10, kind="left", emit="eager", name="s"),
            [left("l", 7)],
            [("s", "lookup", "unmatched", "l", None)],
        ),
        (
            Fold(function=len, horizon=10, name="s"),
            [left("l", 7)],
            [("s", "fold", "matched", "k")],
        ),
        (
            NWayJoin(driver="left", sides={"right": AsOf(tolerance=5)}, name="s"),
            [left("l", 7), right("r", 7)],
            [("s", "nway", "matched", "l")],
        ),
    ],
)
def test_ids_can_be_recomputed(join: Any, items: Any, parts: Any) -> None:
    """A result's id is the hash of step, join type, outcome type and what it is about."""
    assert [hashed(*part) for part in parts] == [outcome.id for outcome in run(join, items)]


def test_interval_ends_are_inclusive() -> None:
    """before 5, after 10:  r at 94 | 95 ... 110 | 111  around l at 100."""
    join = IntervalJoin(before=5, after=10, grace=100)
    times = (94, 95, 110, 111)
    items = [left("l", 100), *(right(f"r{ts}", ts) for ts in times)]
    assert [("Matched", 100, "l", "r95"), ("Matched", 110, "l", "r110")] == told(run(join, items))


def test_unmatched_comes_at_the_first_millisecond_that_makes_it_certain() -> None:
    """l at 100, after 10, grace 3:  W = 113 is not enough, W = 114 is."""
    join = IntervalJoin(before=0, after=10, kind="left", grace=3)
    items = [left("l", 100), Watermark("right", 0, 10**6), left("x", 113)]
    assert [] == told(run(join, items, close=False))
    items += [left("y", 114)]
    assert [("Unmatched", 100, "l", None)] == told(run(join, items, close=False))


def test_a_partner_that_has_expired_still_counts() -> None:
    """::

    before 0, after 10, retract_grace 4:   l(0) r1(0)   r2(3)
    W = 6: r1 can no longer be withdrawn, r2 can; l keeps its partner r1.
    """
    join = IntervalJoin(before=0, after=10, kind="left", retract_grace=4)
    items = [left("l", 0), right("r1", 0), right("r2", 3)]
    items += [left("x", 6, key="other"), right("y", 6, key="other")]
    items += [right("r2", 3, op="retract")]
    said = run(join, items, close=False)
    assert [("Retracted", 3)] == told(said[-1:])
    assert [] == [o for o in run(join, items) if isinstance(o, Unmatched) and o.ts == 0]


def test_a_changed_value_is_said_again_under_the_same_id() -> None:
    """l x r, then r says something else: Retracted and Matched with one id."""
    join = IntervalJoin(before=5, after=5)
    said: Any = run(join, [left("l", 1), right("r", 2), right("r", 2, 7), right("r", 2, 7)])
    assert ["Matched", "Retracted", "Matched"] == [type(outcome).__name__ for outcome in said]
    assert said[0].id == said[1].of == said[2].id
    assert 7 == said[2].members["right"].value


def test_late_says_by_how_much() -> None:
    """W_p = 100, grace 3: ts 97 is in time, ts 96 is 1 ms late."""
    join = IntervalJoin(before=0, after=0, grace=3, lateness=0)
    late = event("l3", 96)
    items = [left("l1", 100), left("l2", 97), Arrival("left", 0, late)]
    assert [Late("left", late, 100, 1)] == run(join, items)


def test_late_by_idleness_is_marked() -> None:
    """While right was idle the task went on to 100: its event at 50 is late, and says why."""
    join = IntervalJoin(before=0, after=0)
    late = event("r", 50)
    items = [Idle("right", 0), left("l", 100), Arrival("right", 0, late)]
    assert [Late("right", late, 100, 50, idle=True)] == run(join, items)


def test_a_jump_passes_every_deadline_in_order() -> None:
    """Three tumbling windows of two keys close in one step: by end, and then by id."""
    join = WindowJoin(windows=Tumbling(size=10))
    items = [left(f"{key}{ts}", ts, key=key) for ts in (1, 11, 21) for key in "ba"]
    said: Any = run(join, items)
    assert [9, 9, 19, 19, 29, 29] == [outcome.ts for outcome in said]
    assert sorted(said, key=lambda outcome: (outcome.ts, outcome.id)) == said


def test_a_session_splits_when_its_middle_is_withdrawn() -> None:
    """gap 10:  a(0) b(8) c(16) are one session; without b there are two."""
    join = WindowJoin(windows=Session(gap=10), sides=("left",), emit="eager", retract_grace=50)
    items = [left("a", 0), left("c", 16), left("b", 8, correction=True)]
    items += [left("b", 8, op="retract")]
    assert [
        ("Matched", 0, ["a"]),
        ("Matched", 16, ["c"]),
        ("Retracted", 0),
        ("Retracted", 16),
        ("Matched", 16, ["a", "b", "c"]),
        ("Retracted", 16),
        ("Matched", 0, ["a"]),
        ("Matched", 16, ["c"]),
    ] == told(run(join, items))


def version(id: str, ts: int, **value: Any) -> Arrival:
    return right(id, ts, value or None)


def test_lookup_takes_the_version_of_its_time() -> None:
    """v1 from 0, v2 from 50 to 80, deleted at 100:  l at 20, 60, 80, 100."""
    join = LookupJoin(horizon=1000, kind="left", emit="eager")
    items: list[Any] = [version("v1", 0, n=1), version("v2", 50, n=2, valid_to=80)]
    items += [version("v3", 100), *(left(f"l{ts}", ts) for ts in (20, 60, 80, 100))]
    assert [
        ("Matched", 20, "l20", "v1"),
        ("Matched", 60, "l60", "v2"),
        ("Matched", 80, "l80", "v1"),
        ("Unmatched", 100, "l100", None),
    ] == told(run(join, items))


def test_a_late_version_corrects_what_is_kept_and_serves_what_comes() -> None:
    """horizon 100: at W = 150 the version from 0 reaches l at 50, no longer l at 49."""
    join = LookupJoin(horizon=100, emit="eager")
    items: list[Any] = [Idle("right", 0), left("l49", 49), left("l50", 50), left("x", 150)]
    items += [version("v", 0, n=1), left("l151", 151)]
    assert [
        ("Matched", 50, "l50", "v"),
        ("Matched", 150, "x", "v"),
        ("Matched", 151, "l151", "v"),
    ] == told(run(join, items))


def test_final_lookup_on_an_observed_table_is_refused() -> None:
    """Nobody can tell when an observed table is complete."""
    with pytest.raises(JoinError, match="declared watermark on side 'right'"):
        run(LookupJoin(horizon=10), [left("l", 1)])


def test_a_fold_is_asked_again_at_each_change() -> None:
    """added, confirmed, the confirmation withdrawn."""

    def state(events: list[tuple[str, Event]]) -> Any:
        return events[-1][1].value

    join = Fold(function=state, horizon=1000)
    items = [left("a", 10, "added"), right("c", 50, "confirmed"), right("c", 50, op="retract")]
    said: Any = run(join, items)
    values = [outcome.value for outcome in said if isinstance(outcome, Matched)]
    assert ["added", "confirmed", "added"] == values
    assert [10, 10, 50, 50, 10] == [outcome.ts for outcome in said]


def test_an_nway_row_has_every_side() -> None:
    """The last price, the records around, and None where a side has nothing."""
    join = NWayJoin(
        driver="left",
        sides={
            "price": AsOf(tolerance=20),
            "near": Interval(before=5, after=10),
            "none": AsOf(tolerance=20),
        },
        grace=100,
    )
    items: list[Any] = [left("l", 100), Arrival("price", 0, event("p1", 80))]
    items += [Arrival("price", 0, event("p2", 90))]
    items += [Arrival("near", 0, event(f"n{ts}", ts)) for ts in (94, 95, 110)]
    assert [("Matched", 100, "l", "p2", ["n95", "n110"], None)] == told(run(join, items))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: IntervalJoin(before=-5, after=2), "swap or widen"),
        (lambda: IntervalJoin(before=0, after=1, kind="full"), "kind is one of"),
        (lambda: IntervalJoin(before=0, after=1, grace=5, retract_grace=4), "raise retract_grace"),
        (lambda: IntervalJoin(before=0, after=1, grace={"up": 5}), "names the side 'up'"),
        (lambda: IntervalJoin(before=0, after=1, lateness=-1), "from 0"),
        (lambda: IntervalJoin(before=0, after=1, sides=("a", "b", "c")), "two sides"),
        (lambda: Tumbling(size=0), "greater than 0"),
        (lambda: NWayJoin(driver="left", sides={}), "at least one side"),
        (lambda: run(Fold(function=len, horizon=1), [Idle("up", 0)]), "not 'up'"),
    ],
)
def test_nonsense_is_refused_with_its_remedy(make: Any, message: str) -> None:
    """A declaration without meaning never starts."""
    with pytest.raises(JoinError, match=message):
        make()


def test_partition_numbers_are_tasks() -> None:
    """The same key on two partitions never meets."""
    join = IntervalJoin(before=5, after=5)
    items = [left("l", 1), Arrival("right", 1, event("r", 1))]
    assert [] == run(join, items)


def test_what_was_received_is_counted() -> None:
    """accepted + no_effect + late is all that came."""
    task = JoinTask(IntervalJoin(before=0, after=0), 0, store=MemoryStore())
    for item in (event("a", 10), event("a", 10), event("z", 10, op="retract"), event("b", 9)):
        task.receive("left", item)
    assert {"accepted": 1, "no_effect": 2, "late": 1} == dict(task.counts)


def test_a_fold_keeps_all_that_a_later_event_continues() -> None:
    """::

    horizon 6:   a(0)   b(5)   c(11)   d(17)   e(23)   f(29)     each continues the one before
    horizon 6:   a(0)   b(7)                             b begins anew
    """
    join = Fold(function=len, horizon=6, sides=("left",), retract_grace=6)
    times = {"a": 0, "b": 5, "c": 11, "d": 17, "e": 23, "f": 29}
    said: Any = run(join, [left(id, ts) for id, ts in times.items()])
    assert [1, 2, 3, 4, 5, 6] == [outcome.value for outcome in said if isinstance(outcome, Matched)]
    said = run(join, [left("a", 0), left("b", 7)])
    assert [1, 1] == [outcome.value for outcome in said if isinstance(outcome, Matched)]


def test_an_nway_partner_is_kept_as_long_as_it_may_serve() -> None:
    """tolerance 15, retract_grace 4:  p(0), then W = 8, then l(8) still finds p."""
    join = NWayJoin(driver="left", sides={"right": AsOf(tolerance=15)}, retract_grace=4)
    items = [right("p", 0), left("x", 8, key="other"), right("y", 8, key="other")]
    items += [left("l", 8)]
    said = [outcome for outcome in run(join, items) if outcome.key == "k"]  # type: ignore[union-attr]
    assert [("Matched", 8, "l", "p")] == told(said)
