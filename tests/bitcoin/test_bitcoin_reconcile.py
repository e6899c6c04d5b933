"""Laws of going on: whatever was published and whatever the node says, they become equal once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.envelope import Event
from schemas.ids import digest_id
from streams.chain.build import Spent
from streams.chain.parse import RawInput, RawTx
from streams.chain.tip import HORIZON, Chain, Link
from streams.sources.bitcoin_ledger import SourceLedger
from streams.sources.bitcoin_node import Arrival
from streams.sources.bitcoin_position import (
    FORM,
    Position,
    Published,
    changes,
    held_of,
    links_of,
    raw_of,
)
from streams.sources.bitcoin_reconcile import ChainView, Move, Place, next_move
from streams.sources.errors import SourceError
from streams.sources.writer import stored_of, take_piece

COINS = 4
NOW = 1_800_000_000_000


class Scene(NamedTuple):
    """Transactions, oldest first; what was published as in the mempool, what the node has."""

    txs: dict[str, RawTx]
    known: list[str]
    present: list[str]


def txid_of(number: int) -> str:
    """The name of a transaction or of a confirmed coin."""
    return digest_id("tx", number)


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """Transactions that spend a few coins and each other, and two mempools that could be."""
    txs: dict[str, RawTx] = {}
    for number in range(draw(st.integers(0, 10))):
        sources = [txid_of(-1 - coin) for coin in range(COINS)] + list(txs)
        outpoints = st.tuples(st.sampled_from(sources), st.integers(0, 1))
        spends = draw(st.lists(outpoints, min_size=1, max_size=2, unique=True))
        inputs: list[RawInput] = [(source, index, b"", 0, ()) for source, index in spends]
        txid = txid_of(number)
        txs[txid] = RawTx(txid, txid, 2, inputs, [(1, b""), (1, b"")], 0, 100, 400)
    return Scene(txs, draw(pools(txs)), draw(pools(txs)))


@st.composite
def pools(draw: st.DrawFn, txs: Mapping[str, RawTx]) -> list[str]:
    """A mempool without conflicts in which no unconfirmed parent is missing."""
    inside: list[str] = []
    taken: set[tuple[str, int]] = set()
    for txid, tx in txs.items():
        parents = {key[0] for key in keys(tx)} & txs.keys()
        if draw(st.booleans()) and parents <= set(inside) and not keys(tx) & taken:
            inside.append(txid)
            taken |= keys(tx)
    return inside


def keys(tx: RawTx) -> set[tuple[str, int]]:
    """The outpoints that a transaction spends."""
    return {(previous, index) for previous, index, *_ in tx.inputs}


def arrivals(scene: Scene, txids: list[str]) -> list[tuple[Arrival, list[Spent]]]:
    """These transactions as the node reports them."""
    bodies = [scene.txs[txid] for txid in txids]
    return [(Arrival(tx, NOW + n), ["unknown" for _ in tx.inputs]) for n, tx in enumerate(bodies)]


def new_of(scene: Scene) -> list[tuple[Arrival, list[Spent]]]:
    """What the node has more than was published."""
    return arrivals(scene, [txid for txid in scene.present if txid not in scene.known])


def published(scene: Scene) -> tuple[SourceLedger, list[Event]]:
    """A ledger that has published what is known."""
    ledger = SourceLedger(Chain("regtest", (Link("aa" * 32, 7, NOW),)), "n")
    return ledger, ledger.reconcile(set(scene.known), arrivals(scene, scene.known), 1, NOW)


def resumed(ledger: SourceLedger, events: list[Event]) -> SourceLedger:
    """The ledger that a new process makes of what the old one kept."""
    kept = changes((), ledger.chain.links, events, NOW)
    position = Position(
        {"form": FORM, **ledger.memory()},
        {key: raw for key, raw in kept.items() if raw is not None},
    )
    return SourceLedger.resumed(position, "n", 336 * 3_600_000)


def causes(scene: Scene, txid: str) -> set[str]:
    """By brute force: what the node has that spends a coin of it or of an ancestor gone with it."""
    gone = set(scene.known) - set(scene.present)
    own = {one for one in scene.present if keys(scene.txs[one]) & keys(scene.txs[txid])}
    parents = {key[0] for key in keys(scene.txs[txid])} & gone
    return own.union(*(causes(scene, parent) for parent in parents))


@given(scenes())
def test_each_difference_is_one_event_and_there_is_no_other(scene: Scene) -> None:
    """What the node lost ends once, what it has more begins once, afterwards there is none."""
    ledger, _ = published(scene)
    events = ledger.reconcile(set(scene.present), new_of(scene), 9, NOW)
    ends = [event.key for event in events if event.value.kind != "added"]
    begins = [event.key for event in events if event.value.kind == "added"]
    assert sorted(set(scene.known) - set(scene.present)) == sorted(ends)
    assert [txid for txid in scene.present if txid not in scene.known] == begins
    assert ends + begins == [event.key for event in events]
    assert ledger.mempool.txids == set(scene.present)
    assert [] == ledger.reconcile(set(scene.present), [], 9, NOW)


@given(scenes())
def test_reason_is_a_replacement_exactly_where_there_is_one(scene: Scene) -> None:
    """An end is ``replaced`` by one of the possible causes, or ``evicted`` where there is none."""
    ledger, _ = published(scene)
    events = ledger.reconcile(set(scene.present), new_of(scene), 9, NOW)
    for event in events:
        if event.value.kind != "added":
            possible = causes(scene, event.key)
            assert ("replaced" if possible else "evicted") == event.value.kind
            assert (event.value.replaced_by in possible) == bool(possible)
            assert event.key == event.value.transaction.txid


@given(scenes())
def test_new_process_goes_on_as_the_old_one_would_have(scene: Scene) -> None:
    """From what was kept, the same comparison gives the same events with the same ids."""
    ledger, events = published(scene)
    again = resumed(ledger, events)
    expected = ledger.reconcile(set(scene.present), new_of(scene), 9, NOW)
    assert expected == again.reconcile(set(scene.present), new_of(scene), 9, NOW)
    assert ledger.memory() == again.memory()


@given(scenes(), st.integers(0, 3))
def test_no_id_comes_twice_though_the_node_counts_anew(scene: Scene, sequence: int) -> None:
    """The mempool comes, goes and comes again at a node that restarts each time: ids are new."""
    ledger, events = published(scene)
    for _ in range(2):
        events += ledger.reconcile(set(), [], sequence, NOW)
        events += ledger.reconcile(set(scene.known), arrivals(scene, scene.known), sequence, NOW)
    ids = [event.id for event in events]
    assert len(ids) == 5 * len(scene.known)
    assert len(set(ids)) == len(ids)


@given(scenes())
def test_kept_transaction_is_the_published_one(scene: Scene) -> None:
    """The body that a process keeps is the one that it parsed."""
    ledger, events = published(scene)
    kept = changes((), ledger.chain.links, events, NOW)
    held = held_of(Position({}, {key: raw for key, raw in kept.items() if raw is not None}))
    bodies = {txid: raw_of(one.transaction) for txid, one in held.items() if one.transaction}
    assert {txid: scene.txs[txid] for txid in scene.known} == bodies


# The chain ----------------------------------------------------------------------------------------


def branch(name: str, first: int, count: int) -> list[Link]:
    """Blocks of one branch."""
    return [Link(f"{name}{height}", height, height) for height in range(first, first + count)]


def view_of(tip: Link | None, chain: list[Link], dropped: bool) -> ChainView:
    """What a node with this chain says."""
    hashes = {link.height: link.hash for link in chain}
    here = hashes.get(tip.height) if tip else None
    after = hashes.get(tip.height + 1 if tip else chain[0].height)
    short = tip is not None and chain[-1].height < tip.height
    return ChainView(Place(chain[-1].height, chain[-1].hash), here, after, dropped and short)


@given(st.integers(1, 6), st.integers(0, 6), st.integers(0, 6), st.booleans())
def test_chain_becomes_the_nodes_by_the_shortest_way(
    common: int, ours: int, theirs: int, dropped: bool
) -> None:
    """Exactly what the node does not hold is undone, what it has more is connected, in order.

    A node that only lacks our last blocks is waited for, unless it has ruled them out.
    """
    base = branch("c", 0, common)
    links, chain = base + branch("a", common, ours), base + branch("b", common, theirs)
    moves: list[Move] = []
    while (move := next_move(links, view_of(links[-1], chain, dropped))) not in (
        Move.EQUAL,
        Move.WAIT,
    ):
        moves.append(move)
        links = links[:-1] if move is Move.UNDO else chain[: len(links) + 1]
    if ours and not theirs and not dropped:
        assert (Move.WAIT, []) == (move, moves)
    else:
        assert [Move.UNDO] * ours + [Move.CONNECT] * theirs == moves
        assert chain == links


def test_node_below_everything_known_is_waited_for() -> None:
    """A node that begins anew says nothing yet about the blocks that were published."""
    links = branch("a", 500, 3)
    view = ChainView(Place(20, "x"), None, None)
    assert Move.WAIT == next_move(links, view)


@settings(max_examples=50)
@given(st.lists(st.integers(-4, 8), max_size=40))
def test_kept_blocks_are_the_chain_after_any_moves(steps: list[int]) -> None:
    """However the chain grew and shrank, what is kept gives it back, cut at the horizon."""
    kept: dict[str, bytes] = {}
    links: tuple[Link, ...] = ()
    for number, step in enumerate(steps):
        first = links[-1].height + 1 if links else 0
        grown = (*links, *branch(f"{number}-", first, max(step, 0)))[-HORIZON:]
        after = grown if step >= 0 else links[:step]
        for key, raw in changes(links, after, [], NOW).items():
            kept[key] = raw or b""
        links = after
    kept = {key: raw for key, raw in kept.items() if raw}
    assert links == links_of(Position({}, kept))


LEDGER = SourceLedger(Chain("regtest", (Link("aa" * 32, 7, NOW),)), "n").memory()
KEPT = {"block/7": msgspec.msgpack.encode(Published("aa" * 32, NOW, NOW))}


@pytest.mark.parametrize(
    ("cursor", "kept"),
    [
        ({}, {}),
        ({**LEDGER, "watermark": 10**18}, {}),
        ({**LEDGER, "undone": None}, {}),
        (LEDGER, {"block/x": KEPT["block/7"]}),
        (LEDGER, {"block/7": b"\xc1"}),
        (LEDGER, {"block/7": msgspec.msgpack.encode(["aa" * 32, "now", NOW])}),
        (LEDGER, {"tx/aa": b""}),
        (LEDGER, {"tx/aa": b"\x91" * 50_000}),
        (LEDGER, {"tx/aa": b"\x92\x01\x81\xa1a" + b"\x91" * 50_000}),
    ],
)
def test_a_position_that_nobody_can_read_is_named(
    cursor: dict[str, Any], kept: dict[str, bytes]
) -> None:
    """Whoever wrote it there: the source says so, and how to begin without it."""
    with pytest.raises(SourceError, match=r"own state cannot be read.*under another --name"):
        SourceLedger.resumed(Position(cursor, kept), "n", 1)


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"[" * 50_000, b'{"cursor": {}}', b'{"cursor": [], "sequence": 1}',
            b'{"cursor": {}, "sequence": 1000000000000000000}', b'{"cursor": {"\xff": 1}}'],
)  # fmt: skip
def test_a_position_record_that_is_none_is_named(raw: bytes) -> None:
    """Also where no event could have its version any more."""
    with pytest.raises(SourceError, match="own state cannot be read"):
        stored_of(raw)


def test_pieces_under_other_keys_are_nobodys() -> None:
    """What another writer put between them is passed over."""
    pieces: dict[str, dict[int, bytes]] = {}
    for key in (b"a#0", b"a#1", b"a", b"a#x", b"a#-1", b"\xff#0", b"a#" + b"9" * 40, b"b#c#0"):
        take_piece(pieces, key, key)
    assert {"a": {0: b"a#0", 1: b"a#1"}, "b#c": {0: b"b#c#0"}} == pieces
