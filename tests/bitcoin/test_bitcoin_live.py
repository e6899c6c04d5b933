"""``streams source bitcoin`` whole: a real node, a real broker, both and the source itself killed.

Whatever happens, an independent reader of committed records finds each block, transaction and
mempool event exactly once, and at the end the node's chain and mempool.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bitcoin.live import (
    Cable,
    Live,
    Load,
    blocks_of,
    bump,
    is_end,
    pay,
    rival_of,
    until,
)
from tests.bitcoin.node import Node, bitcoind

pytestmark = [pytest.mark.bitcoind, pytest.mark.kafka]


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    """A node with many coins to pay with."""
    with bitcoind() as running:
        running.mine(40)
        yield running


@pytest.fixture
def live(bootstrap: str, node: Node, tmp_path: Path) -> Iterator[Live]:
    """A source of its own name on the node, which runs whatever the test before did to it."""
    node.revive()
    made = Live(bootstrap, node, tmp_path)
    yield made
    made.close()


SEED = 20_26
POINTS = ("before", "within", "after", "between", "before")


def test_source_killed_at_five_points_under_load_loses_and_doubles_nothing(
    live: Live, node: Node
) -> None:
    """Killed five times at seeded points while the node pays, replaces and mines: all is exact."""
    dice = random.Random(SEED)
    load = Load(node, SEED)
    codes = []
    for point in POINTS:
        run = live.start(point, str(dice.randint(2, 12)))
        codes.append(run.process.wait(60))
        assert "doomed: end" in run.text, run.text
    last = live.start()
    last.says("resuming after block")
    load.finish()
    facts, verdict = live.settle()
    assert [-9] * 5 == codes
    assert 0 == last.end()
    assert min(load.sent, load.mined, load.replaced) > 0
    assert verdict.chain and len(facts) > 100


def test_node_killed_and_restarted_under_load_is_waited_for(live: Live, node: Node) -> None:
    """bitcoind ends by kill -9, loses its last blocks, and mines others: all is undone and exact.

    flushed - lost blocks (published)      the node after its restart knows nothing of them
           \\- other blocks
    """
    run = live.started()
    node.flush()
    load = Load(node, SEED)
    until("blocks are mined", lambda: load.mined >= 3)
    node.kill()
    run.says("waiting for the node at 127.0.0.1")
    node.revive()
    mined = load.mined
    run.says("is back after")
    until("blocks are mined again", lambda: load.mined >= mined + 6)
    load.finish()
    facts, _ = live.settle()
    withdrawn = [f for f in facts if f.op == "retract" and f.topic == "bitcoin.blocks"]
    assert 0 == run.end()
    assert withdrawn, "the node lost no block: flush came too late for this test"
    assert "is back after" in run.text


def test_node_that_is_not_there_yet_is_waited_for(live: Live, node: Node) -> None:
    """A source started before its node says why it waits and for how long, then follows it."""
    pay(node)
    node.stop()
    run = live.start()
    run.says(f"waiting for the node at 127.0.0.1:{node.rpc_port}: its cookie")
    node.revive()
    sent = pay(node)
    facts, verdict = live.settle()
    assert {"added"} == {fact.value["kind"] for fact in facts if fact.key == sent}
    assert sent in verdict.mempool
    assert 0 == run.end()


def test_what_happened_while_the_source_was_down_is_made_good(live: Live, node: Node) -> None:
    """A reorg of depth 2, a replacement, a confirmation: each comes once, with its reason.

    before: a1 - a2, payments p q r s in the mempool      down: p replaced by p2 and then p3,
    q confirmed in b1, s spent by another transaction in b1; a1 a2 give way to b1 b2 b3
    """
    node.mine()
    run = live.started()
    a1, a2 = node.mine(2)
    p, q, r, s = (pay(node, fee=1_000) for _ in range(4))
    live.settle()
    run.end(signal.SIGKILL)
    p3 = bump(node, bump(node, p, 5_000), 12_000)
    rival = rival_of(node, s, 7_000)
    node.call("invalidateblock", a1)
    b1 = node.call("generateblock", node.call("getnewaddress"), [q, rival])["hash"]
    b2, b3 = [node.call("generateblock", node.call("getnewaddress"), [])["hash"] for _ in "23"]
    live.started()
    facts, verdict = live.settle()
    ends = {f.key: f.value for f in facts if f.topic == "bitcoin.mempool" and is_end(f)}
    winner = node.call("decoderawtransaction", rival)["txid"]
    assert ("replaced", p3) == (ends[p]["kind"], ends[p]["replaced_by"])
    assert p == ends[p]["transaction"]["txid"]
    assert p3 == ends[p]["replacement"]["txid"]
    assert ("confirmed", b1) == (ends[q]["kind"], ends[q]["block_hash"])
    assert ("conflicted", winner) == (ends[s]["kind"], ends[s]["replaced_by"])
    assert r not in ends
    assert [("retract", a2), ("retract", a1)] == blocks_of(facts, {a1, a2})[2:]
    assert [("assert", b) for b in (b1, b2, b3)] == blocks_of(facts, {b1, b2, b3})
    assert {p3, r} <= verdict.mempool


def test_reorg_while_running_and_its_return_have_no_id_twice(live: Live, node: Node) -> None:
    """A reorg of depth 2 under the running source, undone again: blocks come back, ids are new.

    a1 (payment) - a2  ->  b1 (payment) - b2 - b3  ->  a1 - a2 - a3 - a4
    """
    node.mine()
    live.started()
    payment = pay(node)
    a1, a2 = node.mine(2)
    live.settle()
    node.call("invalidateblock", a1)
    b1, *_ = node.mine(3)
    live.settle()
    node.call("invalidateblock", b1)
    node.call("reconsiderblock", a1)
    node.mine(2)
    facts, verdict = live.settle()
    kinds = [f.value["kind"] for f in facts if f.topic == "bitcoin.mempool" and f.key == payment]
    alternating = [op for op, _ in blocks_of(facts, {a2})]
    assert ["assert", "retract", "assert"] == alternating
    assert ["added", "confirmed"] * 3 == kinds
    assert {a1, a2} <= set(verdict.chain.values())


def test_lost_connection_to_the_publisher_is_made_good(live: Live, node: Node) -> None:
    """Notifications that went nowhere while the connection was cut are made good by RPC."""
    with Cable(node.zmq) as cable:
        run = live.start(zmq=cable.address)
        pay(node)
        live.settle()
        cable.cut()
        run.says("waiting for the node")
        missed = [pay(node), *node.mine()]
        cable.mend()
        facts, _ = live.settle()
    assert missed[1] in {fact.value.get("hash") for fact in facts}
    assert 0 == run.end()


def test_second_source_of_a_name_ends_the_first(live: Live, node: Node) -> None:
    """A source that was thought dead cannot write any more, says so, and ends with code 3."""
    first = live.started()
    second = live.start()
    second.says("resuming after block")
    node.mine()
    assert 3 == first.process.wait(30)
    assert "has taken over" in first.text
    node.mine()
    live.settle()


def test_watermark_is_the_time_of_the_last_block_in_every_partition(live: Live, node: Node) -> None:
    """Every partition of the three topics has it declared: also those that got no record."""
    live.started()
    node.mine(2)
    live.settle()
    tip = node.call("getblockheader", node.call("getbestblockhash"))
    marks = {place: texts[-1] for place, texts in live.log.watermarks.items()}
    assert dict.fromkeys(marks, str(tip["time"] * 1000)) == marks
    assert 12 == len(marks)


def test_password_that_the_node_refuses_ends_the_source(
    live: Live, node: Node, tmp_path: Path
) -> None:
    """It is not waited for: cause and remedy, and exit code 8."""
    cookie = tmp_path / "cookie"
    cookie.write_text("someone:wrong")
    run = live.start(cookie=cookie)
    assert 8 == run.process.wait(30)
    assert "refused the credentials" in run.text
    assert "remedy: check the cookie, or the password" in run.text
