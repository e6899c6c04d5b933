"""The ledger: what is undone is retracted exactly, and only the active chain remains."""

from __future__ import annotations

from schemas.envelope import Event
from streams.chain.build import Spent
from streams.chain.ledger import Ledger
from streams.chain.parse import RawBlock
from streams.chain.tip import Chain
from tests.bitcoin.recording import Recording, load

Live = dict[str, Event]


def unknown(raw: RawBlock) -> list[list[Spent]]:
    """No prevout of the block is known."""
    return [["not recorded" for _ in tx.inputs] for tx in raw.transactions]


def replay(recording: Recording) -> list[Event]:
    """The recorded session's events from its first block on."""
    ledger, events = Ledger(Chain("regtest")), []
    for frame in recording.frames:
        now, label = 1_795_198_000_000 + int(frame["dt"] * 1000), frame.get("label")
        raw = recording.blocks.get(frame.get("hash", ""))
        tip = ledger.chain.tip
        if frame["topic"] == "rawtx":
            ledger.mempool.rawtx(recording.transactions[frame["i"]])
        elif label == "C" and raw:
            events += ledger.connect(raw, tip.height + 1 if tip else 1, unknown(raw), now)
        elif label == "D" and raw and tip:
            events += ledger.disconnect(raw, tip.height, unknown(raw))
        elif label == "A":
            tx = ledger.mempool.announced(frame["hash"])
            spent: list[Spent] = ["not recorded" for _ in tx.inputs] if tx else []
            events += ledger.seen(frame["hash"], frame["mempool_sequence"], now, tx, spent)
        elif label == "R":
            events += ledger.removed(frame["hash"], frame["mempool_sequence"], now)
    return events


def fold(events: list[Event]) -> Live:
    """The net set; each retract must meet the live assert of the same key, ts and value."""
    live: Live = {}
    for event in events:
        if event.op == "retract":
            old = live.pop(event.id)
            assert (old.key, old.ts, old.value) == (event.key, event.ts, event.value)
        else:
            assert event.id not in live
            live[event.id] = event
    return live


def test_net_set_of_the_recorded_session_is_the_active_chain() -> None:
    """After reorgs of depth 1, 4 and 3 the live blocks are the active chain, with its transactions.

    Ids never repeat among live facts, and each retract matches its assert.
    """
    recording = load()
    live = fold(replay(recording))
    blocks = [e.value for e in live.values() if e.type == "bitcoin.block.v1"]
    confirmed = {e.value.txid for e in live.values() if e.type == "bitcoin.transaction.v1"}
    active = recording.rpc["blocks_v3"]
    assert sorted(block.height for block in blocks) == list(range(1, 118))
    assert {block.hash for block in blocks} >= {block["hash"] for block in active}
    assert confirmed >= {tx["txid"] for block in active for tx in block["tx"]}


def test_retracts_and_replacing_blocks_are_corrections() -> None:
    """Every retract is a correction, and so is each block not above the branch it replaces."""
    events = [e for e in replay(load()) if e.type == "bitcoin.block.v1"]
    marked = [(e.op, e.value.height) for e in events if e.correction]
    assert marked == [
        ("retract", 112), ("assert", 112),
        *(("retract", height) for height in (117, 116, 115, 114)),
        *(("assert", height) for height in (114, 115, 116)),
        *(("retract", height) for height in (116, 115, 114)),
        *(("assert", height) for height in (114, 115, 116, 117)),
    ]  # fmt: skip


def test_events_of_a_block_share_its_time_and_name_it() -> None:
    """Transactions carry their block's ts and anchor, and name the block event as their cause."""
    events = replay(load())
    blocks = {e.id: e for e in events if e.type == "bitcoin.block.v1" and e.op == "assert"}
    confirmed = [e for e in events if e.type == "bitcoin.transaction.v1" and e.op == "assert"]
    assert len(confirmed) > len(blocks) > 0
    for event in confirmed:
        assert event.causation_id is not None
        block = blocks[event.causation_id]
        assert (event.ts, event.anchor) == (block.ts, block.anchor)
