"""The files of an archive: raw, hex, xz, a node's own with XOR; and what is wrong with them."""

from __future__ import annotations

import lzma
import struct
import time
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.chain.check import target_of
from streams.chain.parse import parse_header
from streams.sources.archive import Archive, Wanted
from streams.sources.archive_files import MAGIC, gather, unmask
from streams.sources.errors import SourceError

from .building import BITS, GENESIS_S, Builder, Made, blk, block, coinbase, node_folder
from .reading import REGTEST, events, heights, portions

CHAIN = Builder(seed=2).grow(10)
KEY = bytes.fromhex("0123456789abcdef")
SKIP = Wanted(network="regtest", skip_damaged=True)


@given(st.binary(max_size=100), st.integers(0, 1 << 40), st.binary(min_size=8, max_size=8))
def test_unmask_is_its_own_inverse_and_goes_by_place(data: bytes, offset: int, key: bytes) -> None:
    """Byte n of a file is XORed with byte n mod 8 of the key, from wherever reading begins."""
    expected = bytes(b ^ key[(offset + n) % 8] for n, b in enumerate(data))
    assert expected == unmask(data, offset, key)
    assert data == unmask(unmask(data, offset, key), offset, key)


@pytest.mark.parametrize("key", [None, bytes(8), KEY])
def test_a_nodes_files_give_what_raw_files_give(tmp_path: Path, key: bytes | None) -> None:
    """Blocks in blk files, out of order, over two files, XORed or not, with room at the end."""
    shuffled = [CHAIN[n] for n in (0, 2, 1, 5, 4, 3, 6, 9, 8, 7)]
    node = node_folder(tmp_path / "node", [shuffled[:6], shuffled[6:]], key)
    for number, made in enumerate(CHAIN):
        (tmp_path / f"{number}.raw").write_bytes(made.raw)
    raw = sorted(tmp_path.glob("*.raw"))
    assert events(portions(raw)) == events(portions([node]))


def test_hex_and_xz_files(tmp_path: Path) -> None:
    """A block may be hex text, and both forms may be packed in xz."""
    (tmp_path / "0.hex").write_text(CHAIN[0].raw.hex() + "\n")
    (tmp_path / "1.hex.xz").write_bytes(lzma.compress(CHAIN[1].raw.hex().encode()))
    (tmp_path / "2.raw.xz").write_bytes(lzma.compress(CHAIN[2].raw))
    (tmp_path / "3.raw").write_bytes(CHAIN[3].raw)
    (tmp_path / "MANIFEST.csv").write_text("is left alone")
    assert [0, 1, 2, 3] == heights(portions([tmp_path]))


def test_a_folder_without_blocks_is_refused(tmp_path: Path) -> None:
    """An empty folder is an error that says which files are looked for."""
    with pytest.raises(SourceError, match="no block files in"):
        gather([tmp_path])


def test_a_file_given_twice_is_read_once(tmp_path: Path) -> None:
    """A folder and a file in it, and a block in two blk files, are each taken once."""
    node = node_folder(tmp_path, [CHAIN, CHAIN[3:5]])
    archive = Archive([node, node / "blk00000.dat"], (), REGTEST)
    assert (10, 2) == (len(list(archive.portions())), archive.index.repeated)


def damaged(tmp_path: Path, content: bytes, key: bytes = bytes(8)) -> Path:
    """A folder with one blk file of these plain bytes."""
    (tmp_path / "xor.dat").write_bytes(key)
    path = tmp_path / "blk00000.dat"
    path.write_bytes(unmask(content, 0, key))
    return path


def frame(made: Made, magic: bytes = MAGIC["regtest"]) -> bytes:
    """A block as it stands in a node's file."""
    return magic + struct.pack("<I", len(made.raw)) + made.raw


def unworked(raw: bytes) -> bytes:
    """A block whose nonce does not meet its target."""
    for nonce in range(1000):
        other = raw[:76] + struct.pack("<I", nonce) + raw[80:]
        if int(parse_header(other).hash, 16) > target_of(BITS):
            return other
    raise AssertionError("every nonce meets the target")


HEAD = blk(CHAIN[:3])
LAST = frame(CHAIN[3])
DAMAGES = {
    "cut short": (HEAD + LAST[:-10], len(HEAD), 3),
    "bytes are left": (HEAD + LAST[:6], len(HEAD), 3),
    "bytes that are no block": (HEAD + b"garbage" + LAST, len(HEAD), 4),
    "blocks of network main": (HEAD + frame(CHAIN[3], MAGIC["main"]) + LAST, len(HEAD), 4),
    "does not meet its target": (
        HEAD + frame(Made(unworked(CHAIN[3].raw), 3)) + LAST,
        len(HEAD) + 8,
        4,
    ),
    "too easy for network": (
        HEAD + frame(Made(LAST[8:80] + b"\xff\xff\x00\x21" + LAST[84:], 3)) + LAST,
        len(HEAD) + 8,
        4,
    ),
}


@pytest.mark.parametrize("key", [bytes(8), KEY], ids=["plain", "xor"])
@pytest.mark.parametrize("words", DAMAGES)
def test_damage_is_refused_by_file_and_offset_or_skipped(
    tmp_path: Path, words: str, key: bytes
) -> None:
    """What is no block ends the run before anything is written, or is listed and left out."""
    content, offset, there = DAMAGES[words]
    path = damaged(tmp_path, content, key)
    with pytest.raises(SourceError, match=f"{path.name} at {offset}.*{words}"):
        Archive([path], (), REGTEST)
    archive = Archive([path], (), SKIP)
    assert [*range(there)] == heights(list(archive.portions()))
    assert [offset] == [spoilt.offset for spoilt in archive.index.spoilt]


def test_a_changed_transaction_is_refused_by_file_and_offset(tmp_path: Path) -> None:
    """A block whose transactions are not those of its header ends the run, skipping or not."""
    body = bytearray(HEAD + LAST)
    body[-6] ^= 1  # inside the last script
    path = damaged(tmp_path, bytes(body))
    with pytest.raises(SourceError, match=rf"{path.name} at {len(HEAD) + 8}: merkle root"):
        portions([path], SKIP)


def test_another_networks_blocks_are_refused(tmp_path: Path) -> None:
    """Regtest's blocks given as mainnet's: the easy target gives them away in any file."""
    (tmp_path / "0.raw").write_bytes(CHAIN[0].raw)
    with pytest.raises(SourceError, match="too easy for network main"):
        Archive([tmp_path / "0.raw"], (), Wanted())


def test_what_is_no_frame_is_looked_through_once(tmp_path: Path) -> None:
    """A file full of magics without a block, or of frames among zeros, costs as much as others."""
    magics, frames = MAGIC["regtest"] * 300_000, (bytes(8) + HEAD) * 300
    path = damaged(tmp_path, magics + frames)
    began = time.process_time()
    with closing(Archive([path], (), SKIP)) as archive:
        assert [0, 1, 2] == heights(list(archive.portions()))
        assert [0] == [spoilt.offset for spoilt in archive.index.spoilt]
    assert time.process_time() - began < 5


def test_damage_without_end_is_refused(tmp_path: Path) -> None:
    """What is left out is listed, so a file of nothing else would fill the memory."""
    path = damaged(tmp_path, frame(Made(bytes(81), 0)) * 10_001)
    with pytest.raises(SourceError, match="damaged at more than 10000 places"):
        Archive([path], (), SKIP)


@pytest.mark.parametrize("name", ["a.raw", "99999999999.raw"])
def test_a_height_that_no_block_has_is_refused(tmp_path: Path, name: str) -> None:
    """Whether a coinbase states it or the name of its file."""
    first = coinbase(1 << 38, b"")
    made = block("11" * 32, 1, [first], GENESIS_S)
    (tmp_path / name).write_bytes(made.raw)
    with pytest.raises(SourceError, match="which no block has"):
        Archive([tmp_path], (), REGTEST)
