"""The files of a real node: blk, rev and xor.dat, with a reorg in them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from streams.sources.archive import Archive, Wanted
from streams.sources.archive_files import FrameReader, key_beside
from streams.sources.errors import SourceError

from .conftest import NodeFolder
from .reading import REGTEST, events, followed, missing, net, portions, steps

pytestmark = pytest.mark.bitcoind
TABLE = Wanted(network="regtest", table=True)
COIN = 100_000_000


def test_a_nodes_folder_gives_its_chain(node_folder: NodeFolder) -> None:
    """The blocks are those of the node's active chain, the replaced ones are stale by name."""
    archive = Archive([node_folder.path], (), REGTEST)
    found = list(archive.portions())
    assert [block["hash"] for block in node_folder.blocks] == [p.cursor["hash"] for p in found]
    stale = [archive.forest.hash(n) for n in archive.chain.stale]
    assert (node_folder.stale, []) == (stale, archive.chain.missing)


def test_undo_files_give_what_the_node_says(node_folder: NodeFolder) -> None:
    """Every prevout and fee from the rev file is the node's own, and no table is needed."""
    archive = Archive([node_folder.path], (), REGTEST)
    found = [e.value for p in archive.portions() for e in p.events if e.key != "regtest"]
    told = [tx for block in node_folder.blocks for tx in block["tx"]]
    assert None is archive.spends.table
    assert [tx["txid"] for tx in told] == [tx.txid for tx in found]
    for expected, tx in zip(told, found, strict=True):
        assert [] == [i.prevout_missing for i in tx.inputs if not tx.is_coinbase and not i.prevout]
        for one, known in zip(expected["vin"], tx.inputs, strict=True):
            if "prevout" in one:
                script = one["prevout"]["scriptPubKey"]
                assert (int(one["prevout"]["value"] * COIN), script["hex"]) == (
                    known.prevout.value_sat, known.prevout.script.hex(),
                )  # fmt: skip
                assert (one["prevout"]["height"], one["prevout"]["generated"]) == (
                    known.prevout.height, known.prevout.is_coinbase,
                )  # fmt: skip
        if "fee" in expected:
            assert int(expected["fee"] * COIN) == tx.fee_sat


def test_the_table_gives_the_same_as_the_undo_files(node_folder: NodeFolder) -> None:
    """Prevouts of earlier outputs are those of the rev files; with both, one stands for all."""
    assert events(portions([node_folder.path])) == events(portions([node_folder.path], TABLE))


def test_a_reorg_of_the_node_is_written_with_forks(node_folder: NodeFolder) -> None:
    """Both branches come out, with all prevouts, and end as the chain alone does."""
    wanted = Wanted(network="regtest", forks=True, table=True)
    found = portions([node_folder.path], wanted)
    assert ["+104", "+105", "+106", "-106", "-105", "+105", "+106", "+107"] == steps(found)[-8:]
    assert node_folder.blocks[-1]["hash"] == followed(found).tip.hash
    assert [] == missing(found)
    assert net(events(found)).keys() == net(events(portions([node_folder.path]))).keys()


def test_undo_records_that_do_not_fit_are_not_used(node_folder: NodeFolder, tmp_path: Path) -> None:
    """Records whose checksum is of no block here are never used, and their lack is told."""
    shutil.copytree(node_folder.path, tmp_path / "blocks")
    rev = tmp_path / "blocks" / "rev00000.dat"
    data = bytearray(rev.read_bytes())
    reader = FrameReader(rev, key_beside(rev), "regtest", undo=True)
    for frame in list(reader.frames()):
        data[frame.offset + frame.size] ^= 1
    reader.close()
    rev.write_bytes(data)
    archive = Archive([tmp_path / "blocks"], (), REGTEST)
    with_loss = list(archive.portions())
    assert archive.spends.missing == len(missing(with_loss)) > 0


def test_a_truncated_file_is_refused(node_folder: NodeFolder, tmp_path: Path) -> None:
    """A blk file that ends inside a block names file and offset; skipping it, the tip is lower."""
    shutil.copytree(node_folder.path, tmp_path / "blocks")
    blk = tmp_path / "blocks" / "blk00000.dat"
    whole = Archive([tmp_path / "blocks"], (), REGTEST)
    last = whole.chain.blocks[-1]
    end = whole.index._offset[last] + whole.index.size(last)
    with blk.open("r+b") as stream:
        stream.truncate(end - 5)
    with pytest.raises(SourceError, match=r"blk00000.dat at \d+: cut short"):
        Archive([tmp_path / "blocks"], (), REGTEST)
    skipping = Archive([tmp_path / "blocks"], (), Wanted(network="regtest", skip_damaged=True))
    assert len(whole.chain.blocks) - 1 == len(skipping.chain.blocks)
