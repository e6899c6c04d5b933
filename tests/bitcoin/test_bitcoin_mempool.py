"""The mempool tracker: the recorded node's frames, and each cause of removal by itself."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from streams.chain.mempool import EXPIRY_MS, Change, Mempool
from streams.chain.parse import RawTx
from tests.bitcoin.recording import Recording, load


def tx(txid: str, *spends: tuple[str, int]) -> RawTx:
    """A transaction that only its outpoints matter of."""
    inputs = [(previous, index, b"", 0, ()) for previous, index in spends]
    return RawTx(txid, txid, 2, inputs, [(1, b"")], 0, 100, 400)  # type: ignore[arg-type]


def pool(*txs: RawTx, ts: int = 0) -> Mempool:
    """A tracker that holds these transactions, added at ``ts``."""
    tracker = Mempool()
    for number, one in enumerate(txs):
        tracker.rawtx(one)
        tracker.added(one.txid, number, ts)
    return tracker


def short(changes: list[Change]) -> list[tuple[str, str, str | None]]:
    """Kind, transaction, cause."""
    return [(change.kind, change.txid, change.by) for change in changes]


def replay(recording: Recording) -> list[Change]:
    """Feed the recorded frames in order."""
    tracker, changes = Mempool(), []
    for frame in recording.frames:
        ts, label = int(frame["dt"] * 1000), frame.get("label")
        if frame["topic"] == "rawtx":
            tracker.rawtx(recording.transactions[frame["i"]])
        elif label == "A":
            changes += tracker.added(frame["hash"], frame["mempool_sequence"], ts)
        elif label == "R":
            changes += tracker.removed(frame["hash"], frame["mempool_sequence"], ts)
        elif label == "C":
            txs = recording.blocks[frame["hash"]].transactions
            changes += tracker.connected(frame["hash"], txs, ts)
        elif label == "D":
            changes += tracker.disconnected()
    assert tracker.flush() == []
    assert len(tracker) == 0
    return changes


def test_recorded_session_is_classified_completely() -> None:
    """All of the recorded node's additions, removals and confirmations have the marked cause.

    By the marks: 8 funding payments; one payment and its RBF bump; a CPFP child; an OP_RETURN;
    a payment and its double spend; the block with the last four undone and mined again.
    So 14 + 4 additions, 2 replacements, no other removal, 8 + 4 + 4 confirmations.
    """
    changes = replay(load())
    kinds = Counter(change.kind for change in changes)
    assert kinds == {"added": 18, "replaced": 2, "confirmed": 16}
    assert all((change.tx is None) == (change.kind == "confirmed") for change in changes)


def test_recorded_replacements_name_the_transactions_of_the_node() -> None:
    """The bump and the double spend replace what the node's RPC says they replaced."""
    recording = load()
    replaced = [(c.txid, c.by) for c in replay(recording) if c.kind == "replaced"]
    loser, winner = recording.rpc["doublespend"]
    bump = recording.rpc["bumpfee"]["txid"]
    first = recording.frames[recording.marks["send"] - 1]["hash"]
    assert replaced == [(first, bump), (loser, winner)]


def test_replacement_takes_descendants_with_it() -> None:
    """A child goes with the parent that is replaced, in whatever order the node removes them."""
    tracker = pool(tx("parent", ("coin", 0)), tx("child", ("parent", 0)))
    assert tracker.removed("child", 2, 5) == []
    assert tracker.removed("parent", 3, 5) == []
    tracker.rawtx(tx("new", ("coin", 0)))
    changes = tracker.added("new", 4, 5)
    assert short(changes) == [
        ("replaced", "child", "new"),
        ("replaced", "parent", "new"),
        ("added", "new", None),
    ]


def test_package_child_may_be_the_replacement() -> None:
    """Of two additions after a removal the second may be the one that spends the outpoint."""
    tracker = pool(tx("old", ("coin", 0)))
    tracker.removed("old", 1, 5)
    for one in (tx("p", ("x", 0)), tx("c", ("p", 0), ("coin", 0))):
        tracker.rawtx(one)
    assert short(tracker.added("p", 2, 5)) == [("added", "p", None)]
    assert short(tracker.added("c", 3, 5)) == [("replaced", "old", "c"), ("added", "c", None)]


def test_block_that_spends_the_outpoint_makes_a_conflict() -> None:
    """R then C: the block's own transaction spends the outpoint, so the removed one conflicted."""
    tracker = pool(tx("loser", ("coin", 0)), tx("heir", ("loser", 0)))
    tracker.removed("heir", 2, 5)
    tracker.removed("loser", 3, 5)
    (heir, loser) = tracker.connected("block", [tx("cb"), tx("winner", ("coin", 0))], 6)
    assert short([heir, loser]) == [
        ("conflicted", "heir", "winner"),
        ("conflicted", "loser", "winner"),
    ]
    assert (loser.block_hash, loser.ts) == ("block", 5)


def test_block_conflict_needs_no_removal_notice() -> None:
    """When the R was lost, the block alone says that a rival and its descendants are gone."""
    tracker = pool(tx("loser", ("coin", 0)), tx("heir", ("loser", 0)), tx("other", ("x", 0)))
    changes = tracker.connected("block", [tx("cb"), tx("winner", ("coin", 0))], 6)
    assert short(changes) == [("conflicted", "loser", "winner"), ("conflicted", "heir", "winner")]
    assert tracker.txids == {"other"}


def test_old_transaction_expires_with_its_young_child() -> None:
    """Removed at its age limit it expired, and so did its child; a moment before, it did not."""
    for age, kind in ((EXPIRY_MS, "expired"), (EXPIRY_MS - 1, "evicted")):
        tracker = pool(tx("old", ("coin", 0)))
        tracker.rawtx(tx("child", ("old", 0)))
        tracker.added("child", 1, age)
        tracker.removed("child", 2, age)
        tracker.removed("old", 3, age)
        assert short(tracker.flush()) == [(kind, "child", None), (kind, "old", None)]


def test_unrelated_additions_leave_an_eviction() -> None:
    """A removal that neither of the next two additions explains was an eviction."""
    tracker = pool(tx("poor", ("coin", 0)))
    tracker.removed("poor", 1, 5)
    for number, name in enumerate(("a", "b")):
        tracker.rawtx(tx(name, (f"coin-{name}", 0)))
        changes = tracker.added(name, 2 + number, 5)
    assert short(changes) == [("evicted", "poor", None), ("added", "b", None)]


def test_second_addition_that_is_no_child_of_the_first_replaced_nothing() -> None:
    """What pushed it out came first; who spends its coin afterwards found it gone."""
    tracker = pool(tx("poor", ("coin", 0)))
    tracker.removed("poor", 1, 5)
    for number, one in enumerate((tx("rich", ("x", 0)), tx("again", ("coin", 0)))):
        tracker.rawtx(one)
        changes = tracker.added(one.txid, 2 + number, 5)
    assert [("evicted", "poor", None), ("added", "again", None)] == short(changes)


def test_block_with_the_evicted_one_itself_is_no_conflict() -> None:
    """R then C: a block that holds what was removed has not taken its coin from it."""
    poor, heir = tx("poor", ("coin", 0)), tx("heir", ("poor", 0))
    tracker = pool(poor, heir)
    tracker.removed("heir", 2, 5)
    tracker.removed("poor", 3, 5)
    changes = tracker.connected("block", [tx("cb"), poor], 6)
    assert [("evicted", "heir", None), ("evicted", "poor", None)] == short(changes)


def test_return_of_what_was_removed_settles_it_first() -> None:
    """R then A of the same transaction: it was evicted, then added; it replaced nobody."""
    poor = tx("poor", ("coin", 0))
    tracker = pool(poor)
    tracker.removed("poor", 1, 5)
    tracker.rawtx(poor)
    changes = tracker.added("poor", 2, 5)
    assert [("evicted", "poor", None), ("added", "poor", None)] == short(changes)
    assert [] == tracker.flush()


def test_removal_of_an_unknown_transaction_changes_nothing() -> None:
    """An R for what was never tracked is no change."""
    tracker = Mempool()
    assert tracker.removed("unknown", 1, 5) + tracker.flush() == []


def test_addition_without_a_body_is_still_a_fact() -> None:
    """When the body is gone the addition is reported without it."""
    (change,) = Mempool().added("a", 1, 5)
    assert (change.kind, change.tx) == ("added", None)


def test_readdition_after_a_disconnect_is_a_new_fact() -> None:
    """A block undone settles what was held back; the node's fresh A adds the transaction again."""
    tracker = pool(tx("a", ("coin", 0)), tx("b", ("other", 0)))
    tracker.connected("block", [tx("a", ("coin", 0))], 6)
    tracker.removed("b", 8, 7)
    assert short(tracker.disconnected()) == [("evicted", "b", None)]
    tracker.rawtx(tx("a", ("coin", 0)))
    assert [(c.kind, c.sequence) for c in tracker.added("a", 9, 7)] == [("added", 9)]
    assert tracker.spender("coin", 0) == "a"


FRAMES = st.lists(
    st.tuples(st.sampled_from("ARCD"), st.integers(0, 5), st.integers(0, 3)), max_size=60
)


@given(FRAMES)
def test_every_addition_has_at_most_one_end(frames: list[tuple[str, int, int]]) -> None:
    """For any frames, a transaction leaves as often as it came, less what is still there."""
    tracker, changes = Mempool(), []
    for number, (label, name, coin) in enumerate(frames):
        one = tx(f"t{name}-{coin}", (f"coin{coin}", 0))
        if label == "A":
            tracker.rawtx(one)
            changes += tracker.added(one.txid, number, number)
        elif label == "R":
            changes += tracker.removed(one.txid, number, number)
        elif label == "C":
            changes += tracker.connected(f"block{number}", [one], number)
        else:
            changes += tracker.disconnected()
    changes += tracker.flush()
    added = sum(change.kind == "added" for change in changes)
    assert added - (len(changes) - added) == len(tracker)
