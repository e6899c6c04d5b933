"""A real node with a full mempool throws out what pays least: evicted, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.envelope import Event
from streams import TopologyDriver, topics
from streams.agents import follow_lifecycle
from streams.config import Config
from tests.bitcoin.full import (
    COIN,
    RICH,
    Coin,
    coin,
    fill,
    has_thrown_out,
    pay,
    pay_wide,
    small_node,
)
from tests.bitcoin.live import Live
from tests.bitcoin.node import Node
from tests.bitcoin.watch import Watch, short, watch

pytestmark = pytest.mark.bitcoind
LEAST = 150
"""Satoshi of fee of a small payment: just above 1 sat/vB."""


@pytest.fixture(scope="module")
def running() -> Iterator[Node]:
    """One node for the module."""
    with small_node() as node:
        yield node


@pytest.fixture
def node(running: Node) -> Iterator[Node]:
    """The node, whose mempool each test finds and leaves empty."""
    yield running
    while running.call("getmempoolinfo")["size"]:
        running.mine()
    running.mine(45)  # coins for the next test
    running.later(48 * 3600)  # the fee that a full node asks for has halved to nothing


def thrown_out(node: Node, watching: Watch) -> tuple[str, str, Coin, list[Event]]:
    """Let two poor payments, parent and child, give way to a rich one; they, and all events.

    parent <- child  |  filled up  |  one more wide payment
    """
    spends = coin(node)
    parent = pay(node, LEAST, spends)
    child = pay(node, LEAST, (parent, 0, spends[2] - LEAST))
    events = filled(node, watching)
    last = pay_wide(node, 2 * RICH)
    assert has_thrown_out(node)
    assert {parent, child}.isdisjoint(node.call("getrawmempool"))
    events += watching.until(lambda e: {parent, child} <= ends(e).keys())
    assert {parent, child, last} <= keys(events)
    return parent, child, spends, events


def filled(node: Node, watching: Watch) -> list[Event]:
    """Fill the mempool, and wait until the source has seen all of it; all events until then."""
    fill(node)
    pool = set(node.call("getrawmempool"))
    return watching.until(lambda events: pool <= keys(events))


def keys(events: list[Event]) -> set[str]:
    """The transactions that these events are about."""
    return {event.key for event in events}


def ends(events: list[Event]) -> dict[str, str]:
    """How each transaction left the mempool."""
    kinds = {e.key: e.value.kind for e in events if e.type == "bitcoin.mempool.v1"}
    return {txid: kind for txid, kind in kinds.items() if kind != "added"}


def test_full_mempool_evicts_what_pays_least_with_its_child(node: Node) -> None:
    """What the node has thrown out is evicted, with its body and number; all else only came."""
    with watch(node) as watching:
        parent, child, _, events = thrown_out(node, watching)
    gone = {event.key: event.value for event in events if event.value.kind != "added"}
    assert keys(events) - set(node.call("getrawmempool")) == gone.keys()
    assert {"evicted"} == {value.kind for value in gone.values()}
    assert {(None, None, None)} == {
        (value.replaced_by, value.replacement, value.block_hash) for value in gone.values()
    }
    assert all(txid == value.transaction.txid for txid, value in gone.items())
    assert gone[parent].transaction.fee_sat == gone[child].transaction.fee_sat == LEAST
    numbers = {value.mempool_sequence for value in gone.values()}
    assert len(gone) == len(numbers)


def test_replacement_that_also_evicts_has_both_causes(node: Node) -> None:
    """One newcomer takes a payment's coin, and so much room that another has to go."""
    with watch(node) as watching:
        poor, bumped = pay(node, LEAST, coin(node)), coin(node)
        first = pay(node, 20 * LEAST, bumped)
        there = keys(filled(node, watching))
        winner = pay_wide(node, 3 * RICH, bumped)
        assert has_thrown_out(node)
        events = watching.until(lambda e: {poor, first} <= ends(e).keys())
    said = {event.key: event.value.replaced_by for event in events if event.key in ends(events)}
    assert ("evicted", None) == (ends(events)[poor], said[poor])
    assert ("replaced", winner) == (ends(events)[first], said[first])
    assert ends(events).keys() == there - set(node.call("getrawmempool"))
    assert {"replaced": 1, "evicted": len(said) - 1} == Counter(ends(events).values())


def test_coin_of_an_evicted_payment_may_be_spent_at_once(node: Node) -> None:
    """A later spender of its coin did not push it out: it stays evicted, and names no other.

    R(poor) A(wide)  A(again, of poor's coin)      all of it before the source reads on
    """
    with watch(node) as watching:
        spends = coin(node)
        poor = pay(node, LEAST, spends)
        filled(node, watching)
        pay_wide(node, 2 * RICH)
        assert poor not in node.call("getrawmempool")
        again = pay(node, RICH, spends)
        events = watching.until(lambda e: poor in ends(e) and again in keys(e))
    (gone,) = [event.value for event in events if event.key == poor and event.value.kind != "added"]
    assert ("evicted", None) == (gone.kind, gone.replaced_by)


def test_evicted_payment_that_a_block_holds_is_confirmed_by_the_block(node: Node) -> None:
    """It left the mempool before: it is evicted, and then a transaction of the block.

    R(poor) A(wide)  C(block with poor)      all of it before the source reads on
    """
    with watch(node) as watching:
        poor = pay(node, LEAST, coin(node))
        body = node.call("getrawtransaction", poor)
        events = filled(node, watching)
        pay_wide(node, 2 * RICH)
        assert poor not in node.call("getrawmempool")
        block = node.call("generateblock", node.call("getnewaddress"), [body])["hash"]
        events += watching.until(lambda e: [what for what, *_ in short(e)].count("transaction") > 1)
    about = {what: event for event in events if event.key == poor for what, *_ in short([event])}
    assert {"added", "evicted", "transaction"} == about.keys()
    assert (None, block) == (
        about["evicted"].value.replaced_by,
        about["transaction"].value.block_hash,
    )
    assert {"evicted"} == set(ends(events).values())


def test_payments_of_an_evicted_transaction_are_cancelled_until_it_is_back(node: Node) -> None:
    """Its outputs are cancellations of kind evicted; the block that has it takes them back."""
    with watch(node) as watching:
        parent, child, spends, events = thrown_out(node, watching)
        driver = TopologyDriver(follow_lifecycle.step(Config()))
        give(driver, events)
        said = {value.txid: value for value in driver.net(topics.cancellations).values()}
        standing = {v.txid: v.state for v in driver.net(topics.lifecycle).values()}
        body = next(event.value.transaction for event in events if event.key == parent)
        (output,) = body.outputs
        raw = node.spend([spends[:2]], {output.address: f"{output.value_sat / COIN:.8f}"})
        node.call("generateblock", node.call("getnewaddress"), [raw])
        more = watching.until(lambda e: parent in keys(e))
    assert {"transaction"} == {what for what, about, *_ in short(more) if about == parent}
    give(driver, more)
    after = driver.net(topics.cancellations).values()
    lost = said[parent]
    assert ("evicted", None, None) == (lost.kind, lost.replaced_by, lost.still_paid_sat)
    assert (output.address, output.value_sat) == (lost.address, lost.amount_sat)
    assert ("evicted", "evicted") == (standing[parent], standing[child])
    assert parent not in {value.txid for value in after}
    assert child in {value.txid for value in after}
    (now,) = [v for v in driver.net(topics.lifecycle).values() if v.txid == parent]
    assert ("confirmed", None) == (now.state, now.replaced_by)


def give(driver: TopologyDriver, events: list[Event]) -> None:
    """Write a source's events to its topics."""
    into = {topic.event_type: topic for topic in (topics.transactions, topics.mempool)}
    for event in events:
        if event.type in into:
            driver.send(into[event.type], event)


@pytest.mark.kafka
def test_command_says_evicted_whether_it_was_there_or_not(
    bootstrap: str, node: Node, tmp_path: Path
) -> None:
    """``streams source bitcoin``: thrown out before its eyes or while it was down: evicted."""
    live = Live(bootstrap, node, tmp_path)
    try:
        run = live.started()
        seen, missed = pay(node, LEAST, coin(node)), pay(node, 3 * LEAST, coin(node))
        filled = fill(node)
        while seen in node.call("getrawmempool"):
            filled.append(pay_wide(node, 2 * RICH))
        live.settle()
        assert 0 == run.end()
        while missed in node.call("getrawmempool"):
            filled.append(pay_wide(node, 3 * RICH))
        live.started()
        facts, _ = live.settle()
    finally:
        live.close()
    pool = set(node.call("getrawmempool"))
    left = {f.key: f.value for f in facts if f.value.get("kind") not in (None, "added")}
    assert {seen, missed} <= left.keys() == {seen, missed, *filled} - pool
    assert {("evicted", None)} == {(v["kind"], v["replaced_by"]) for v in left.values()}
