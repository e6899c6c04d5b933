"""The order of an archive: the best chain, whatever order the files have; gaps and stale blocks."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.chain.build import block_ts
from streams.sources.archive import Archive, Wanted
from streams.sources.archive_headers import work_of
from streams.sources.errors import SourceError

from .building import GENESIS_S, Builder, Made, block, branch, coinbase, key_script, write_raw
from .reading import REGTEST, events, followed, heights, missing, net, portions, steps

CHAIN = Builder().grow(12)
FORKS = Wanted(network="regtest", forks=True)


def folder(tmp_path: Path, blocks: list[Made], seed: int = 0) -> Path:
    """The blocks as files whose names say nothing, in an order of chance."""
    shuffled = random.Random(seed).sample(blocks, len(blocks))
    for number, made in enumerate(shuffled):
        (tmp_path / f"x{number:03}.raw").write_bytes(made.raw)
    return tmp_path


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_the_order_of_the_files_is_of_no_importance(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    """Shuffled blocks give the same events as those in order, prevouts and all."""
    shuffled = portions([folder(tmp_path_factory.mktemp("a"), CHAIN, seed)])
    ordered = portions([folder(tmp_path_factory.mktemp("b"), CHAIN)])
    assert list(range(12)) == heights(shuffled)
    assert events(ordered) == events(shuffled)
    assert [] == missing(shuffled)


def test_the_chain_with_the_most_work_is_written(tmp_path: Path) -> None:
    """A shorter branch is stale: counted by height and hash, and no part of the events.

    0 .. 8 -- 9 -- 10 -- 11
          \\- 9' - 10'
    """
    stale = branch(CHAIN, 8, 2)
    archive = Archive([folder(tmp_path, CHAIN + stale)], (), REGTEST)
    found = list(archive.portions())
    assert [made.hash for made in stale] == [archive.forest.hash(n) for n in archive.chain.stale]
    assert events(portions([folder(tmp_path, CHAIN)])) == events(found)


def test_a_longer_branch_wins(tmp_path: Path) -> None:
    """The branch with more work is the chain, and what it replaced is stale."""
    longer = branch(CHAIN, 8, 5)
    archive = Archive([folder(tmp_path, CHAIN + longer)], (), REGTEST)
    assert [m.hash for m in longer] == [archive.forest.hash(n) for n in archive.chain.blocks[9:]]
    assert 3 == len(archive.chain.stale)


def test_of_equal_work_the_least_hash_wins_in_any_order(tmp_path: Path) -> None:
    """A tie is decided by the blocks, not by their files."""
    rival = branch(CHAIN, 10, 1)
    expected = min(CHAIN[11].hash, rival[0].hash)
    for seed in range(4):
        place = tmp_path / str(seed)
        place.mkdir()
        found = portions([folder(place, CHAIN + rival, seed)])
        assert expected == found[-1].cursor["hash"]


def test_the_tip_may_be_named(tmp_path: Path) -> None:
    """``tip`` ends the chain with that block, though another branch has more work."""
    stale = branch(CHAIN, 8, 2)
    where = folder(tmp_path, CHAIN + stale)
    found = portions([where], Wanted(network="regtest", tip=stale[-1].hash))
    assert ([*range(11)], stale[-1].hash) == (heights(found), found[-1].cursor["hash"])
    with pytest.raises(SourceError, match="not in the archive"):
        Archive([where], (), Wanted(network="regtest", tip="ab" * 32))


def test_forks_are_connected_and_undone(tmp_path: Path) -> None:
    """
    With forks a stale branch is connected after its fork and undone from its end; the blocks that
    take its place are corrections, and a reader of the blocks follows every step.

        0 .. 8 -- 9 -- 10 -- 11         +8 +9' +10' -10' -9' +9 +10 +11
              \\- 9' - 10'
    """
    where = folder(tmp_path, CHAIN + branch(CHAIN, 8, 2))
    found = portions([where], FORKS)
    assert ["+8", "+9", "+10", "-10", "-9", "+9", "+10", "+11"] == steps(found)[8:]
    assert [False] * 3 + [True] * 4 + [False] == [p.step.corrects for p in found[8:]]
    assert CHAIN[11].hash == followed(found).tip.hash
    plain = net(events(portions([where])))
    assert plain.keys() == net(events(found)).keys()
    assert [] == missing(found)


def test_a_branch_of_a_branch(tmp_path: Path) -> None:
    """
    A branch that forks itself is walked as a tree, and every id ends as without forks.

        0 .. 8 -- 9 -- 10 -- 11
              \\- 9' - 10'
                   \\- 10"
    """
    first = branch(CHAIN, 8, 2)
    second = branch([*CHAIN[:9], first[0]], 9, 1, extra=9)
    found = portions([folder(tmp_path, CHAIN + first + second)], FORKS)
    assert ["+9", "+10", "-10", "+10", "-10", "-9", "+9"] == steps(found)[9:16]
    assert CHAIN[11].hash == followed(found).tip.hash
    assert net(events(portions([folder(tmp_path, CHAIN)]))).keys() == net(events(found)).keys()


def test_a_branch_nobody_can_undo_is_left_out(tmp_path: Path) -> None:
    """A branch deeper than the undo horizon is named and not written."""
    blocks = Builder(per_block=0).grow(104)
    long = branch(blocks, 0, 101)
    archive = Archive([folder(tmp_path, blocks + long)], (), FORKS)
    assert 104 == len(list(archive.portions()))
    assert [long[0].hash] == [archive.forest.hash(n) for n in archive.plan.too_deep]


def test_a_missing_parent_is_told(tmp_path: Path) -> None:
    """A gap is named by the block above it, and what is there is written by height."""
    archive = Archive([folder(tmp_path, CHAIN[:4] + CHAIN[6:])], (), REGTEST)
    found = list(archive.portions())
    assert [(6, CHAIN[5].hash)] == [tuple(gap) for gap in archive.chain.missing]
    assert [0, 1, 2, 3, 6, 7, 8, 9, 10, 11] == heights(found)
    assert {"not in archive"} == set(missing(found))


def test_parts_that_overlap_are_refused(tmp_path: Path) -> None:
    """Two parts that reach into each other's heights cannot be ordered: the parent is asked for."""
    rival = branch(CHAIN, 8, 6)
    with pytest.raises(SourceError, match=f"its parent {rival[0].hash} is missing"):
        Archive([folder(tmp_path, CHAIN + rival[1:])], (), REGTEST)


def test_a_loose_block_beside_the_chain_is_stale(tmp_path: Path) -> None:
    """A block with an unknown parent within the heights of the chain is stale."""
    loose = branch(CHAIN, 8, 2)[1]
    archive = Archive([folder(tmp_path, [*CHAIN, loose])], (), REGTEST)
    assert [loose.hash] == [archive.forest.hash(n) for n in archive.chain.stale]
    assert 12 == len(list(archive.portions()))


def test_event_time_never_falls(tmp_path: Path) -> None:
    """
    A block's time is the greatest of its header's and its parent's, from the given parent on.

        header  600   300   900            parent given at 700 s
        event   700   700   900
    """
    made: list[Made] = []
    for height, second in ((5, 600), (6, 300), (7, 900)):
        previous = made[-1].hash if made else "ab" * 32
        made.append(block(previous, height, [coinbase(height, key_script(1))], second))
    where = folder(tmp_path, made)
    given = portions([where], Wanted(network="regtest", parent_ts=700_000))
    assert [700_000, 700_000, 900_000] == [portion.watermark_ts for portion in given]
    assert [600_000, 600_000, 900_000] == [p.watermark_ts for p in portions([where])]


def test_heights_are_cut_out(tmp_path: Path) -> None:
    """Only the wanted heights are written, with times and prevouts of the blocks below."""
    where = folder(tmp_path, CHAIN)
    whole = portions([where])
    part = portions([where], Wanted(network="regtest", first=5, last=8))
    assert [5, 6, 7, 8] == heights(part)
    assert events(whole[5:9]) == events(part)
    assert block_ts(GENESIS_S + 5 * 600, None) == part[0].watermark_ts


def test_files_may_be_named_by_height(tmp_path: Path) -> None:
    """A folder with names by height gives what names that say nothing give."""
    write_raw(tmp_path / "named", CHAIN)
    (tmp_path / "other").mkdir()
    other = folder(tmp_path / "other", CHAIN)
    assert events(portions([other])) == events(portions([tmp_path / "named"]))


def test_work_follows_the_target() -> None:
    """Work is the number of hashes that a target stands for: difficulty 1 is 2^32 and a bit."""
    assert [2, 4295032833] == [work_of(0x207FFFFF), work_of(0x1D00FFFF)]


@pytest.mark.parametrize("change", [{"hash": 7}, {"height": 1 << 40}, {"ts": "x"}, {"base": [1]}])
def test_a_position_that_nobody_can_read_is_named(
    tmp_path: Path, change: dict[str, object]
) -> None:
    """Whoever wrote it: the run does not guess where it stands."""
    where = folder(tmp_path, CHAIN)
    cursor = {**portions([where])[3].cursor, **change}
    with pytest.raises(SourceError, match="own state cannot be read"):
        portions([where], REGTEST, cursor)
