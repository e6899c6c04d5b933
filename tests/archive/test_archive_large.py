"""Real mainnet blocks as a folder, and a memory that does not grow with the archive."""

from __future__ import annotations

import tracemalloc
from contextlib import closing
from pathlib import Path

import pytest

from streams.sources import archive_outpoints
from streams.sources.archive import Archive, Wanted
from tests.bitcoin.data import HEIGHTS, shared

from .building import Builder, node_folder
from .reading import heights

SUBSIDIES = {277647: 2_500_000_000, 367891: 2_500_000_000, 866342: 312_500_000}


def test_a_folder_of_real_blocks() -> None:
    """Eleven mainnet blocks from a folder: gaps told, fees exact where prevouts are given."""
    blocks, prevouts = shared("blocks"), shared("prevouts")
    with closing(Archive([blocks], [prevouts], Wanted())) as archive:
        found = list(archive.portions())
        gaps = [gap.height for gap in archive.chain.missing]
    assert list(HEIGHTS) == heights(found)
    assert [height for height in HEIGHTS if height != 227836] == gaps
    for portion in found:
        height, transactions = portion.cursor["height"], [e.value for e in portion.events[1:]]
        if height in SUBSIDIES:
            paid = sum(output.value_sat for output in transactions[0].outputs)
            assert SUBSIDIES[height] == paid - sum(tx.fee_sat for tx in transactions[1:])


def held(folder: Path, table: Path) -> int:
    """Most bytes that reading an archive's blocks and saving its table takes beyond what was."""
    wanted = Wanted(network="regtest", table=True)
    with closing(Archive([folder], (), wanted, table=table)) as archive:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        for _ in archive.portions():
            archive.stored()
        return tracemalloc.get_traced_memory()[1] - before


def test_memory_does_not_grow_with_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four times as many blocks need as much memory, once the caches of fixed size are full."""
    monkeypatch.setattr(archive_outpoints, "MOST", 500)
    blocks = Builder(per_block=40, scripts=20).grow(240)
    short = node_folder(tmp_path / "short", [blocks[:60]])
    long = node_folder(tmp_path / "long", [blocks])
    tracemalloc.start()
    try:
        held(long, tmp_path / "warm.sqlite")
        small = held(short, tmp_path / "short.sqlite")
        assert held(long, tmp_path / "long.sqlite") < small + 1_000_000
    finally:
        tracemalloc.stop()
