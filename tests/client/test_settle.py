"""What is settled: a fold of facts and tips that no interleaving changes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.envelope import Anchor, Event, Op
from schemas.events import Tip
from streams.client import BadOption, Settler
from streams.client.records import Asserted, Record, Withdrawn

NETWORK = "regtest"
Entry = tuple[str, Any]


def tip(height: int, name: str, op: Op = "assert") -> Event:
    """A block connected or disconnected."""
    value = Tip(NETWORK, height, name)
    return Event(name, NETWORK, height, op, value)


def fact(
    id: str, place: tuple[int, str] | None, op: Op = "assert", value: Any = 1, offset: int = 0
) -> Record[Any]:
    """A record about a fact in a block."""
    anchor = None if place is None else Anchor(NETWORK, *place)
    ts = 0 if place is None else place[0]
    return Record("topic", 0, offset, 0, Event(id, "key", ts, op, value, anchor=anchor))


def said(changes: list[Any]) -> list[tuple[str, str]]:
    """Changes in short: kind and id."""
    return [(type(change).__name__, change.id) for change in changes]


def played(settler: Settler[Any], entries: list[Entry]) -> list[Any]:
    """What the settler yields for facts and tips in this order."""
    found: list[Any] = []
    for kind, content in entries:
        found += settler.take(content) if kind == "fact" else settler.tip(content)
    return found


def net(changes: list[Any]) -> dict[str, Any]:
    """The set that changes build; fails unless assert and withdraw alternate per id."""
    live: dict[str, Any] = {}
    for change in changes:
        if isinstance(change, Asserted):
            assert change.id not in live
            live[change.id] = (change.value, change.event.anchor)
        else:
            assert isinstance(change, Withdrawn)
            del live[change.id]
    return live


def test_a_fact_comes_when_its_block_is_buried_deep_enough() -> None:
    """With three confirmations a fact of block 10 is yielded when block 12 is connected.

    height   10   11   12
    fact     |---------|> yielded
    """
    settler: Settler[Any] = Settler(3)
    assert [] == settler.tip(tip(10, "a"))
    assert [] == settler.take(fact("f", (10, "a")))
    assert [] == settler.tip(tip(11, "b"))
    assert [("Asserted", "f")] == said(settler.tip(tip(12, "c")))
    assert [] == settler.tip(tip(13, "d"))


def test_a_fact_of_a_deep_block_comes_at_once() -> None:
    """A fact whose block is deep enough already does not wait."""
    settler: Settler[Any] = Settler(1)
    settler.tip(tip(10, "a"))
    assert [("Asserted", "f")] == said(settler.take(fact("f", (10, "a"))))


def test_a_retract_before_the_depth_cancels_the_fact() -> None:
    """A fact that is retracted while it waits is never seen, and is counted."""
    settler: Settler[Any] = Settler(2)
    settler.tip(tip(10, "a"))
    settler.take(fact("f", (10, "a")))
    assert [] == settler.take(fact("f", (10, "a"), "retract"))
    assert [] == settler.tip(tip(11, "b"))
    assert (1, {}) == (settler.cancelled, settler.net())


def test_a_retract_after_the_depth_withdraws_the_fact() -> None:
    """A settled fact that is retracted comes as Withdrawn with its reason and its value."""
    settler: Settler[Any] = Settler(1)
    settler.tip(tip(10, "a"))
    settler.take(fact("f", (10, "a"), value=7))
    [change] = settler.take(fact("f", (10, "a"), "retract", value=7, offset=5))
    assert isinstance(change, Withdrawn)
    assert ("retracted", 7, 5, "retract") == (
        change.because, change.value, change.offset, change.op,
    )  # fmt: skip


def test_a_disconnected_block_withdraws_its_settled_facts_before_their_retracts() -> None:
    """Whichever is read first, the block's end or the fact's retract, withdraws the fact, once."""
    settler: Settler[Any] = Settler(1)
    settler.tip(tip(10, "a"))
    settler.take(fact("f", (10, "a")))
    [change] = settler.tip(tip(10, "a", "retract"))
    assert isinstance(change, Withdrawn) and change.because == "disconnected"
    assert [] == settler.take(fact("f", (10, "a"), "retract"))


def test_a_fact_of_the_losing_branch_is_not_settled_by_the_winning_one() -> None:
    """Height alone buries nothing: the block itself must be on the chain."""
    settler: Settler[Any] = Settler(2)
    settler.take(fact("f", (10, "a")))
    for event in (
        tip(10, "a"), tip(10, "a", "retract"), tip(10, "x"), tip(11, "y"), tip(12, "z"),
    ):  # fmt: skip
        assert [] == settler.tip(event)


def test_facts_of_the_mempool_never_come_or_at_once_by_choice() -> None:
    """A fact without a block is left out, and with ``unanchored`` yielded at once."""
    assert [] == Settler[Any](1).take(fact("f", None))
    assert [("Asserted", "f")] == said(Settler[Any](1, unanchored=True).take(fact("f", None)))


def test_no_confirmations_are_refused() -> None:
    """Zero confirmations are no filter: the message says what to write instead."""
    with pytest.raises(BadOption, match="leave the option out"):
        Settler(0)


def test_blocks_below_the_first_tip_are_buried_by_their_height() -> None:
    """A topic of tips that begins late does not hold back the facts of older blocks."""
    settler: Settler[Any] = Settler(3)
    settler.take(fact("old", (5, "unseen")))
    settler.take(fact("near", (9, "unseen too")))
    assert [("Asserted", "old")] == said(settler.tip(tip(10, "a")))
    assert [("Asserted", "near")] == said(settler.tip(tip(11, "b")))


def test_blocks_below_what_is_remembered_stay_settled_unless_undone() -> None:
    """Memory holds the hashes of ``undo_blocks`` blocks; what was undone is remembered for ever."""
    settler: Settler[Any] = Settler(1, undo_blocks=3)
    settler.tip(tip(0, "gone"))
    settler.tip(tip(0, "gone", "retract"))
    for height in range(20):
        settler.tip(tip(height, f"b{height}"))
    assert [("Asserted", "f")] == said(settler.take(fact("f", (2, "b2"))))
    assert [] == settler.take(fact("g", (0, "gone")))
    assert len(settler._chains[NETWORK]._deep) <= 4


# Laws ---------------------------------------------------------------------------------------------

IDS, HEIGHTS = ("f", "g", "h"), (0, 1, 2, 3)


@st.composite
def facts(draw: st.DrawFn) -> list[Record[Any]]:
    """Any asserts and retracts of a few ids in a few blocks, sensible or not."""
    found = []
    for offset in range(draw(st.integers(0, 10))):
        place = draw(st.none() | st.tuples(st.sampled_from(HEIGHTS), st.sampled_from("ab")))
        found.append(
            fact(
                draw(st.sampled_from(IDS)),
                None if place is None else (place[0], f"{place[1]}{place[0]}"),
                draw(st.sampled_from(("assert", "assert", "retract"))),
                draw(st.integers(0, 1)),
                offset,
            )
        )
    return found


@st.composite
def chains(draw: st.DrawFn) -> list[Event]:
    """A chain that grows and falls back by a branch or two, from its first block on."""
    events, chain = list[Event](), list[tuple[int, str]]()
    for _ in range(draw(st.integers(0, 12))):
        if chain and draw(st.integers(0, 3)) == 0:
            events.append(tip(*chain.pop(), "retract"))
        elif len(chain) < 6:
            height = len(chain)
            chain.append((height, f"{draw(st.sampled_from('ab'))}{height}"))
            events.append(tip(*chain[-1]))
    return events


def buried(events: list[Event], depth: int) -> set[str]:
    """The blocks that are on the chain, and had ``depth`` blocks up to a tip on top of them."""
    live: dict[str, int] = {}
    reach: dict[str, int] = {}
    for event in events:
        if event.op == "retract":
            live.pop(event.id, None)
            reach.pop(event.id, None)
        elif event.id not in live:
            live[event.id] = reach[event.id] = event.value.height
            for name in live:
                reach[name] = max(reach[name], event.value.height)
    return {name for name, height in live.items() if reach[name] - height + 1 >= depth}


def expected(records: list[Record[Any]], events: list[Event], depth: int) -> dict[str, Any]:
    """The settled set by its definition: live facts whose block is buried."""
    live: dict[str, Any] = {}
    for record in records:
        live[record.id] = record
        if record.op == "retract":
            del live[record.id]
    deep = buried(events, depth)
    return {
        id: (record.value, record.event.anchor)
        for id, record in live.items()
        if record.event.anchor is not None and record.event.anchor.block_hash in deep
    }


@st.composite
def interleaved(draw: st.DrawFn) -> tuple[list[Record[Any]], list[Event], list[Entry]]:
    """Facts, tips, and one order in which both are read."""
    left, right = draw(facts()), draw(chains())
    order = draw(st.permutations(["fact"] * len(left) + ["tip"] * len(right)))
    sides = {"fact": iter(left), "tip": iter(right)}
    return left, right, [(side, next(sides[side])) for side in order]


@given(interleaved(), st.integers(1, 4))
def test_every_interleaving_ends_with_the_settled_set(
    drawn: tuple[list[Record[Any]], list[Event], list[Entry]], depth: int
) -> None:
    """Whatever is read first, what was yielded folds to the definition, and so does ``net``."""
    records, events, entries = drawn
    settler: Settler[Any] = Settler(depth)
    wanted = expected(records, events, depth)
    assert wanted == net(played(settler, entries))
    assert wanted == {id: (r.value, r.event.anchor) for id, r in settler.net().items()}


@given(interleaved(), st.integers(1, 4))
def test_what_is_yielded_is_deep_enough_when_it_is(
    drawn: tuple[list[Record[Any]], list[Event], list[Entry]], depth: int
) -> None:
    """At every moment the set that is out is the settled set of what was read so far."""
    settler: Settler[Any] = Settler(depth)
    seen: list[Any] = []
    for count, entry in enumerate(drawn[2], 1):
        seen += played(settler, [entry])
        records = [content for kind, content in drawn[2][:count] if kind == "fact"]
        events = [content for kind, content in drawn[2][:count] if kind == "tip"]
        assert expected(records, events, depth) == net(seen)
