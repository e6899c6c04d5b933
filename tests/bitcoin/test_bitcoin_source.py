"""The live source on a real bitcoind: payment, replacement, confirmation, reorg, loss, refusal."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator

import pytest

from schemas.catalog import BY_NAME
from schemas.envelope import Event
from streams.chain.mempool import EXPIRY_MS
from streams.sources.batch import SourceBatch
from streams.sources.bitcoin import BitcoinSource
from streams.sources.bitcoin_node import BitcoinNode
from streams.sources.bitcoin_position import Position
from streams.sources.bitcoin_rpc import Rpc
from streams.sources.bitcoin_zmq import Feed
from streams.sources.errors import SourceError
from tests.bitcoin.data import ROOT
from tests.bitcoin.node import Node, bitcoind
from tests.bitcoin.watch import Watch, short, source_of, watch

pytestmark = pytest.mark.bitcoind
COIN = 100_000_000


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    """One node for the module; each test starts from its tip and leaves its mempool empty."""
    with bitcoind() as running:
        running.later()
        running.mine(20)
        yield running


def coin(node: Node) -> tuple[str, int, int]:
    """A mature unspent output of the wallet: txid, index, satoshi."""
    unspent = next(one for one in node.call("listunspent") if one["amount"] >= 20)
    return unspent["txid"], unspent["vout"], int(unspent["amount"] * COIN)


def pay(node: Node, fee: int, spends: tuple[str, int, int], sequence: int | None = None) -> str:
    """Spend one coin to a new address for a fee in satoshi; returns the txid."""
    txid, index, value = spends
    outputs = {node.call("getnewaddress"): f"{(value - fee) / COIN:.8f}"}
    sent: str = node.call("sendrawtransaction", node.spend([(txid, index)], outputs, sequence))
    return sent


def coinbase(node: Node, block_hash: str) -> str:
    """Txid of a block's coinbase."""
    first: str = node.call("getblock", block_hash, 1)["tx"][0]
    return first


def ids_are_the_catalogs(events: list[Event]) -> bool:
    """Whether every event has the id and key that its type derives from its value."""
    types = [BY_NAME[event.type] for event in events]
    return [(event.id, event.key) for event in events] == [
        (kind.event_id(event.value), kind.key(event.value))
        for kind, event in zip(types, events, strict=True)
    ]


def test_payment_replacement_and_confirmation(node: Node) -> None:
    """A payment, its RBF bump and the block give exactly these events, with prevouts and fees.

    payment -> bump (replaces it) -> block (confirms the bump)
    """
    spends = coin(node)
    with watch(node, name="n1") as watching:
        payment = pay(node, 1_000, spends)
        (seen,) = watching.count(1)
        bump = pay(node, 5_000, spends)
        replaced, added = watching.count(2)
        (block,) = node.mine()
        confirmed = watching.count(4)
    assert short([seen, replaced, added]) == [
        ("added", payment, "assert", False),
        ("replaced", payment, "assert", False),
        ("added", bump, "assert", False),
    ]
    assert short(confirmed) == [
        ("block", block, "assert", False),
        ("transaction", coinbase(node, block), "assert", False),
        ("transaction", bump, "assert", False),
        ("confirmed", bump, "assert", False),
    ]
    assert (seen.value.transaction.fee_sat, added.value.transaction.fee_sat) == (1_000, 5_000)
    assert (replaced.value.replaced_by, replaced.value.replacement.txid) == (bump, bump)
    assert (seen.value.node, confirmed[-1].value.block_hash) == ("n1", block)
    assert ids_are_the_catalogs([seen, replaced, added, *confirmed])
    assert watching.source.resyncs == 1


def test_prevouts_are_those_of_the_node(node: Node) -> None:
    """Value, address, height and coinbase flag of a prevout agree in the mempool and the block."""
    txid, index, value = coin(node)
    entry = node.call("gettxout", txid, index)
    height = node.call("getblockcount") - entry["confirmations"] + 1
    with watch(node) as watching:
        payment = pay(node, 1_000, (txid, index, value))
        (seen,) = watching.count(1)
        node.mine()
        confirmed = watching.count(4)[2]
    (unconfirmed,) = seen.value.transaction.inputs
    (mined,) = confirmed.value.inputs
    assert unconfirmed.prevout == mined.prevout
    assert (mined.prevout.value_sat, mined.prevout.height) == (value, height)
    assert mined.prevout.address == entry["scriptPubKey"]["address"]
    assert mined.prevout.is_coinbase == entry["coinbase"]
    assert (confirmed.key, confirmed.value.fee_sat) == (payment, 1_000)


def test_child_of_an_unconfirmed_parent_has_its_prevout(node: Node) -> None:
    """A CPFP child's prevout comes from the mempool: value known, height none yet."""
    spends = coin(node)
    with watch(node) as watching:
        parent = pay(node, 300, spends)
        child = pay(node, 9_000, (parent, 0, spends[2] - 300))
        _, added = watching.count(2)
        node.mine()
        watching.count(6)
    (only,) = added.value.transaction.inputs
    assert (added.key, added.value.transaction.fee_sat) == (child, 9_000)
    assert (only.prevout.value_sat, only.prevout.height) == (spends[2] - 300, None)


def test_reorg_of_depth_two_is_undone_and_replaced_exactly(node: Node) -> None:
    """Two blocks give way to three: retracts last first, then the branch as corrections.

    fork - a1 (payment) - a2
        \\- b1 (payment) - b2 - b3
    """
    spends = coin(node)
    with watch(node) as watching:
        payment = pay(node, 1_000, spends)
        a1, a2 = node.mine(2)
        before = watching.count(7)
        node.call("invalidateblock", a1)
        undone = watching.count(6)
        b1, b2, b3 = node.mine(3)
        after = watching.count(8)
    base = {hash_: coinbase(node, hash_) for hash_ in (a1, a2, b1, b2, b3)}
    assert short(undone) == [
        ("transaction", base[a2], "retract", True),
        ("block", a2, "retract", True),
        ("transaction", payment, "retract", True),
        ("transaction", base[a1], "retract", True),
        ("block", a1, "retract", True),
        ("added", payment, "assert", False),
    ]
    assert short(after) == [
        ("block", b1, "assert", True),
        ("transaction", base[b1], "assert", True),
        ("transaction", payment, "assert", True),
        ("confirmed", payment, "assert", False),
        ("block", b2, "assert", True),
        ("transaction", base[b2], "assert", True),
        ("block", b3, "assert", False),
        ("transaction", base[b3], "assert", False),
    ]
    asserted = {e.id: (e.key, e.ts, e.value) for e in before if e.type != "bitcoin.mempool.v1"}
    retracted = {e.id: (e.key, e.ts, e.value) for e in undone if e.op == "retract"}
    assert retracted == asserted
    assert watching.source.resyncs == 1


def test_branch_below_the_beginning_is_published_and_undone_like_any(node: Node) -> None:
    """A block of before the start is undone without an event; what takes its place has both.

    (a1 before the start) -> b1 -> c1
    """
    (a1,) = node.mine()
    with watch(node) as watching:
        node.call("invalidateblock", a1)
        (b1,) = node.mine()
        watching.count(2)
        node.call("invalidateblock", b1)
        node.mine()
        blocks = [e for e in watching.count(4) if e.type == "bitcoin.block.v1"]
    assert [(e.op, e.value.hash == b1) for e in blocks] == [("retract", True), ("assert", False)]


def test_start_gives_the_chain_from_a_height_and_then_the_mempool(node: Node) -> None:
    """From a height on each block is one batch, then the mempool as it stands, parents first."""
    node.later()
    spends = coin(node)
    parent = pay(node, 300, spends)
    child = pay(node, 9_000, (parent, 0, spends[2] - 300))
    height = node.call("getblockcount")
    with watch(node, from_height=height - 2) as watching:
        blocks = [node.call("getblockhash", h) for h in range(height - 2, height + 1)]
        given = [batch.events for batch in watching.batches]
        node.mine()
        watching.count(6)
    assert [events[0].value.hash for events in given[:-1]] == blocks
    assert [event.key for event in given[-1]] == [parent, child]
    marks = [batch.watermark_ts for batch in watching.batches]
    assert marks == sorted(marks)  # type: ignore[type-var]


def test_whole_chain_of_a_node_is_given_from_genesis(node: Node) -> None:
    """From height 0 on every block of the node comes, and event times never fall."""
    with watch(node, from_height=0) as watching:
        blocks = [event for event in watching.begun if event.type == "bitcoin.block.v1"]
    height = node.call("getblockcount")
    assert [block.value.height for block in blocks] == list(range(height + 1))
    assert [block.ts for block in blocks] == sorted(block.ts for block in blocks)
    assert ids_are_the_catalogs(watching.begun)


def test_who_catches_up_ends_when_asked_to_and_goes_on_from_there(node: Node) -> None:
    """A stop is heeded behind each block, however many are left; the next run has the others."""
    source, height = source_of(node, from_height=0), node.call("getblockcount")
    taken: list[SourceBatch] = []
    for batch in source.batches(lambda: len(taken) >= 2):
        taken.append(batch)
    assert [0, 1] == [batch.cursor["height"] for batch in taken]
    kept = {key: raw for batch in taken for key, raw in batch.kept.items() if raw is not None}
    later = source_of(node)
    later.resume(Position(taken[-1].cursor, kept))
    watching = Watch(later)
    events = watching.until(lambda _: watching.caught_up)
    watching.close()
    blocks = [event.value.height for event in events if event.type == "bitcoin.block.v1"]
    assert list(range(2, height + 1)) == blocks


def test_two_starts_give_the_same_events(node: Node) -> None:
    """A source started again at an unchanged node gives the same ids, times and values."""
    spends = coin(node)
    pay(node, 1_000, spends)
    height = node.call("getblockcount") - 3
    runs = []
    for _ in range(2):
        with watch(node, from_height=height) as watching:
            runs.append([(e.id, e.key, e.ts, e.op, e.value) for e in watching.begun])
    node.mine()
    assert len(runs[0]) > 0
    assert runs[0] == runs[1]


def test_block_with_a_double_spend_is_a_conflict(node: Node) -> None:
    """A block that spends a mempool transaction's coin conflicts it and names what spent it.

    payment in the mempool, block holds another spender of its coin
    """
    txid, index, value = coin(node)
    with watch(node) as watching:
        payment = pay(node, 1_000, (txid, index, value))
        watching.count(1)
        to = node.call("getnewaddress")
        rival = node.spend([(txid, index)], {to: f"{(value - 7_000) / COIN:.8f}"})
        block = node.call("generateblock", to, [rival])["hash"]
        events = watching.count(4)
    winner = node.call("decoderawtransaction", rival)["txid"]
    assert short(events)[1:] == [
        ("transaction", coinbase(node, block), "assert", False),
        ("transaction", winner, "assert", False),
        ("conflicted", payment, "assert", False),
    ]
    gone = events[-1].value
    assert (gone.block_hash, gone.replaced_by, gone.replacement.fee_sat) == (block, winner, 7_000)


@pytest.mark.parametrize(("told", "kind"), [(3_600_000, "expired"), (EXPIRY_MS, "evicted")])
def test_transaction_expires_at_its_age_limit(told: int, kind: str) -> None:
    """Removed at the node's limit it expired; who was not told of that limit calls it evicted."""
    with bitcoind(config="mempoolexpiry=1\n") as node, watch(node, expiry_ms=told) as watching:
        node.later()
        node.mine(12)
        watching.count(24)
        old = pay(node, 1_000, coin(node))
        watching.count(1)
        node.later(3_700)
        young = pay(node, 1_000, coin(node))
        events = watching.until(lambda e: {one.key for one in e} >= {old, young})
    kinds = {event.key: event.value.kind for event in events}
    assert kinds == {old: kind, young: "added"}


def test_unexplained_removal_is_an_eviction(node: Node) -> None:
    """A spend whose coin a reorg made immature again is removed: evicted, once all is quiet."""
    unspent = [one for one in node.call("listunspent", 101, 101) if one["amount"] >= 20]
    txid, index, value = unspent[0]["txid"], unspent[0]["vout"], int(unspent[0]["amount"] * COIN)
    with watch(node) as watching:
        payment = pay(node, 1_000, (txid, index, value))
        watching.count(1)
        below = node.call("getblockhash", node.call("getblockcount") - 1)
        node.call("invalidateblock", below)
        events = watching.until(lambda e: "evicted" in {what for what, *_ in short(e)})
        node.call("reconsiderblock", below)
        node.mine()
    evicted = [one for one in short(events) if one[0] == "evicted"]
    assert evicted == [("evicted", payment, "assert", False)]


def test_restart_of_the_node_is_survived(node: Node) -> None:
    """A node that restarts numbers anew; the source notices, and goes on without a loss."""
    with watch(node, reconcile_ms=0) as watching:
        payment = pay(node, 1_000, coin(node))
        watching.count(1)
        node.stop()
        node.start()
        node.call("loadwallet", "test")
        (block,) = node.mine()
        events = watching.until(lambda e: ("confirmed", payment) in {one[:2] for one in short(e)})
    assert [one for one in short(events) if one[1] in (block, payment)] == [
        ("block", block, "assert", False),
        ("transaction", payment, "assert", False),
        ("confirmed", payment, "assert", False),
    ]


def test_lost_notifications_are_made_good(node: Node) -> None:
    """When notifications are lost the source compares itself with the node and misses nothing.

    seen: payment    lost: bump, block    seen: block
    """
    spends = coin(node)
    with watch(node) as watching:
        payment = pay(node, 1_000, spends)
        watching.count(1)
        bump = pay(node, 5_000, spends)
        (lost,) = node.mine()
        lose(watching, 6)
        (last,) = node.mine()
        events = watching.count(6)
    assert short(events) == [
        ("block", lost, "assert", False),
        ("transaction", coinbase(node, lost), "assert", False),
        ("transaction", bump, "assert", False),
        ("conflicted", payment, "assert", False),
        ("block", last, "assert", False),
        ("transaction", coinbase(node, last), "assert", False),
    ]
    assert watching.source.resyncs == 2


def lose(watching: Watch, number: int) -> None:
    """Take notifications off the source's own feed, as a full queue would."""
    (socket,) = watching.source._feed._sockets
    for _ in range(number):
        assert socket.poll(10_000)
        socket.recv_multipart()


def test_wrong_network_is_refused(node: Node) -> None:
    """A node of another network is refused before anything is published, with a remedy."""
    source = source_of(node)
    source._node.network = "main"
    with pytest.raises(SourceError, match="is on regtest, configured is main"):
        next(source.batches())


def test_pinned_block_that_differs_is_refused(node: Node) -> None:
    """A checkpoint of the operator that the node's chain does not hold is refused."""
    source = source_of(node, checkpoints={5: "00" * 32})
    with pytest.raises(SourceError, match="block 5 of the node is"):
        next(source.batches())


def test_height_above_the_tip_is_refused(node: Node) -> None:
    """A source cannot begin above the node's tip."""
    with pytest.raises(SourceError, match="lower from_height"):
        next(source_of(node, from_height=10_000).batches())


def test_documented_permissions_are_enough() -> None:
    """A user who may call only what the how-to lists can follow blocks, mempool and reorgs."""
    text = (ROOT / "docs" / "how-to" / "bitcoin-node.md").read_text()
    (listed,) = re.findall(r"^rpcwhitelist=streams:(\S+)$", text, re.MULTILINE)
    digest = hmac.new(b"cafe", b"secret", "sha256").hexdigest()
    config = f"rpcauth=streams:cafe${digest}\nrpcwhitelist=streams:{listed}\n"
    with bitcoind(config=config + "rpcwhitelistdefault=0\n") as node:
        rpc = Rpc(f"http://streams:secret@127.0.0.1:{node.rpc_port}")
        source = BitcoinSource(BitcoinNode(rpc, "regtest"), Feed([node.zmq]), from_height=90)
        watching = Watch(source)
        watching.until(lambda _: watching.caught_up)
        payment = pay(node, 1_000, coin(node))
        (tip,) = node.mine()
        node.call("invalidateblock", tip)
        events = watching.until(lambda found: len(found) >= 9)
        watching.close()
    assert [what for what, key, *_ in short(events) if key == payment] == [
        "added", "transaction", "confirmed", "transaction", "added",
    ]  # fmt: skip
