"""A fold whose key waits for more while its value holds, held to its definition."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from joins import Arrival, Fold, JoinTask, Late, Matched, MemoryStore, Outcome, Retracted, run
from schemas.envelope import Event

HORIZON, GRACE = 10, 15


def words(events: list[tuple[str, Event]]) -> str | None:
    """All that was said, in order; "no" at the end says nothing."""
    said = "".join(event.value for _, event in events)
    return None if said.endswith("n") else said


def waits(value: str) -> bool:
    """Whether the last word was w (wait)."""
    return value.endswith("w")


def fold(**more: Any) -> Fold:
    return Fold(
        function=words, horizon=HORIZON, holds=waits, grace=GRACE, retract_grace=GRACE, **more
    )


def event(word: str, ts: int, key: str = "k", op: Any = "assert", name: str = "") -> Event:
    return Event(name or f"{word}@{ts}", key, ts, op, word)


def net(outcomes: list[Outcome]) -> dict[str, Any]:
    """What stands: key to value."""
    live: dict[str, Matched] = {}
    for said in outcomes:
        if isinstance(said, Matched):
            live[said.id] = said
        elif isinstance(said, Retracted):
            live.pop(said.of, None)
    return {row.key: row.value for row in live.values()}


def definition(accepted: list[tuple[str, Event]]) -> dict[str, Any]:
    """A key's events in order of time; a pause begins it anew unless it waits there."""
    found = {}
    for key in {e.key for _, e in accepted}:
        live: dict[tuple[str, str], tuple[str, Event]] = {}
        for side, e in accepted:
            if e.key == key:
                live.pop((side, e.id), None)
                if e.op == "assert":
                    live[side, e.id] = (side, e)
        known = sorted({e.ts for _, e in accepted if e.key == key and _had_effect(accepted, e)})
        ordered = sorted(live.values(), key=lambda item: (item[1].ts, item[1].id, item[0]))
        part = [known[:1]]
        for last, after in pairwise(known):
            before = [item for item in ordered if part[-1][0] <= item[1].ts <= last]
            value = words(before) if before else None
            if after - last > HORIZON and not (value is not None and waits(value)):
                part.append([])
            part[-1].append(after)
        since = [item for item in ordered if part[-1] and item[1].ts >= part[-1][0]]
        value = words(since) if since else None
        if value is not None:
            found[key] = value
    return found


def _had_effect(accepted: list[tuple[str, Event]], event: Event) -> bool:
    """An id of which nothing but retracts came was never live."""
    return any(e.id == event.id and e.op == "assert" for _, e in accepted)


#    horizon 10
#    w(0) ------------- 40 ------------- a(40)      one key: it waited
#    a(0) ------------- 40 ------------- a(40)      begun anew
@pytest.mark.parametrize(("first", "expected"), [("w", "wa"), ("a", "a"), ("n", "a")])
def test_a_pause_begins_a_key_anew_unless_it_waits(first: str, expected: str) -> None:
    """However long the pause, and though time has passed the horizon."""
    arrivals = [
        Arrival("left", 0, event(first, 0)),
        Arrival("left", 0, event("x", 500, key="other")),
        Arrival("left", 0, event("a", 1_000)),
    ]
    assert {"k": expected, "other": "x"} == net(run(fold(), arrivals))


def test_a_key_that_waits_is_kept_and_one_that_does_not_leaves_nothing() -> None:
    """The end of waiting lets everything go, also what had waited."""
    task = JoinTask(fold(), 0, {"left", "right"})
    store = task.store
    assert isinstance(store, MemoryStore)
    task.receive("left", event("w", 0))
    task.receive("right", event("a", 0, key="gone"))
    task.declare("left", 1_000)
    task.declare("right", 1_000)
    assert [("left", "k", 0, "w@0")] == list(store.dump())
    task.receive("right", event("a", 1_001))
    task.declare("left", 1_001 + HORIZON + GRACE)
    task.declare("right", 1_001 + HORIZON + GRACE)
    assert 2 == len(store)
    task.declare("left", 1_002 + HORIZON + GRACE)
    task.declare("right", 1_002 + HORIZON + GRACE)
    assert 0 == len(store)


def test_a_retracted_end_of_waiting_lets_it_wait_again() -> None:
    """Withdrawn in time; the next event, much later, goes on from there."""
    arrivals = [
        Arrival("left", 0, event("w", 0)),
        Arrival("left", 0, event("a", 100)),
        Arrival("left", 0, event("a", 100, op="retract")),
        Arrival("left", 0, event("x", 500, key="other")),
        Arrival("left", 0, event("b", 1_000)),
    ]
    assert {"k": "wb", "other": "x"} == net(run(fold(), arrivals))


steps = st.lists(
    st.tuples(
        st.sampled_from("wa"), st.integers(0, 80), st.sampled_from("kl"),
        st.sampled_from(["left", "right"]), st.booleans(),
    ),
    max_size=14,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(steps, st.sampled_from([0, 5, 100]))
def test_whatever_comes_equals_the_definition(
    told: list[tuple[str, int, str, str, bool]], lateness: int
) -> None:
    """Of what was accepted, in any order, with retracts; state may be forgotten meanwhile.

    (A key that begins anew with nothing to say leaves its old row: nobody remembers it.)
    """
    arrivals = [
        Arrival(side, 0, event(word, ts, key, "retract" if gone else "assert", f"{key}{word}{ts}"))
        for word, ts, key, side, gone in told
    ]
    said = run(fold(lateness=lateness), arrivals)
    late = {id(o.event) for o in said if isinstance(o, Late)}
    accepted = [(a.side, a.event) for a in arrivals if id(a.event) not in late]
    assert definition(accepted) == net(said)
