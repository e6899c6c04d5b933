"""The table of outputs: equal to a plain dict, whatever is saved when; and it outlives a crash."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.chain.outpoints import OutpointTable
from streams.chain.parse import parse_tx
from streams.sources.archive_outpoints import OutpointStore
from streams.sources.errors import SourceError

from .building import key_script, transaction


def payment(number: int):
    """A transaction with two outputs, and an OP_RETURN that nobody can spend."""
    outputs = [(number, key_script(number)), (2, b"\x51"), (0, b"\x6a")]
    return parse_tx(transaction([("ab" * 32, number, b"")], outputs))


PAYMENTS = [payment(number) for number in range(6)]
ACTIONS = st.lists(
    st.tuples(st.sampled_from(["add", "spend", "look", "drop", "save", "reopen"]),
              st.integers(0, 5), st.integers(0, 2)),
    max_size=40,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(ACTIONS)
def test_it_is_a_dict_on_disk(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[str, int, int]]
) -> None:
    """Every answer is that of a table in memory; reopened, it stands at its last save."""
    path = tmp_path_factory.mktemp("table") / "t.sqlite"
    store, model = OutpointStore(path, "regtest"), OutpointTable("regtest")
    saved, added = dict(model._unspent), set[int]()
    for number, (action, which, index) in enumerate(actions):
        tx = PAYMENTS[which]
        if action == "add" and which not in added:
            store.add(tx, number)
            model.add(tx, number)
            added.add(which)
        elif action == "spend":
            assert model.spend(tx.txid, index) == store.spend(tx.txid, index)
        elif action == "look":
            before = dict(model._unspent)
            assert model.spend(tx.txid, index) == store.look(tx.txid, index)
            model._unspent = before
        elif action == "drop":
            store.drop(tx.txid, index)
            model.spend(tx.txid, index)
        elif action == "save":
            store.save(f"block {number}")
            saved = dict(model._unspent)
        elif action == "reopen":
            store.close()
            store = OutpointStore(path, "regtest")
            model._unspent = dict(saved)
            added = {n for n, tx in enumerate(PAYMENTS) if (tx.txid, 0) in saved}
    store.close()


def test_what_is_spent_is_gone_from_the_disk(tmp_path: Path) -> None:
    """An output that was saved and then spent is not found again after the next save."""
    path, txid = tmp_path / "t.sqlite", PAYMENTS[0].txid
    store = OutpointStore(path, "regtest")
    store.add(PAYMENTS[0], 1)
    store.save("one")
    assert (0, None) == (store.spend(txid, 0).value_sat, store.spend(txid, 0))
    store.drop(txid, 1)
    store.save("two")
    assert [None, None] == [store.spend(txid, index) for index in (0, 1)]
    store.close()


def test_the_block_is_saved_with_its_outputs(tmp_path: Path) -> None:
    """A table knows up to which block it is filled, and another network's starts anew."""
    path = tmp_path / "t.sqlite"
    store = OutpointStore(path, "regtest")
    store.add(PAYMENTS[0], 1)
    store.save("one")
    store.close()
    again = OutpointStore(path, "regtest")
    assert ("one", 0) == (again.block, again.look(PAYMENTS[0].txid, 0).value_sat)
    again.close()
    other = OutpointStore(path, "main")
    assert None is other.block
    other.close()


def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    """What is no table is deleted: it can be filled from the blocks again."""
    path = tmp_path / "t.sqlite"
    path.write_bytes(b"this is no database " * 1000)
    store = OutpointStore(path, "regtest")
    assert None is store.block
    store.close()


def test_a_table_in_use_is_refused(tmp_path: Path) -> None:
    """Two runs never share a table; the second one says so."""
    path = tmp_path / "t.sqlite"
    store = OutpointStore(path, "regtest")
    store.save("one")
    with pytest.raises(SourceError, match="end the other run"):
        OutpointStore(path, "regtest")
    store.close()
