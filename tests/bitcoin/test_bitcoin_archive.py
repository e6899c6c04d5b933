"""The archive source: order, prevouts, fees, ids, and errors that say what to do."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import pytest

from schemas.envelope import Anchor
from schemas.events import Block, Transaction
from schemas.ids import digest_id
from streams.chain.build import BlockEvents
from streams.sources.archive import NOT_IN_ARCHIVE, read_blocks
from streams.sources.errors import SourceError
from tests.bitcoin.data import HEIGHTS, SHIPPED_BLOCK, raw_block, shared

HASH = "0000000000000000025aff8be8a55df8f89c77296db6198f272d6577325d4069"


def only(events: list[BlockEvents]) -> tuple[Block, list[Transaction]]:
    """The values of a single block's events."""
    (block, transactions), *rest = events
    assert rest == []
    return block.value, [event.value for event in transactions]


def test_shipped_block_gives_one_block_event_and_its_transactions() -> None:
    """Block 413567 gives a block event and 1,557 transaction events with ids, times and anchor."""
    (events,) = read_blocks([SHIPPED_BLOCK])
    block, last = events.block, events.transactions[-1]
    anchor = Anchor("main", 413567, HASH)
    assert (block.type, block.key, block.op, block.ts) == (
        "bitcoin.block.v1", "main", "assert", 1464307123000,
    )  # fmt: skip
    assert block.id == digest_id("bitcoin.block", "main", HASH)
    assert (block.anchor, block.value.height, block.value.tx_count) == (anchor, 413567, 1557)
    assert len(events.transactions) == 1557
    assert last.id == digest_id("bitcoin.transaction", "main", HASH, last.value.txid)
    assert (last.key, last.ts, last.anchor) == (last.value.txid, block.ts, anchor)
    assert (last.correlation_id, last.causation_id) == (last.value.txid, block.id)
    assert (last.type, last.value.block_position) == ("bitcoin.transaction.v1", 1556)


def test_missing_prevouts_have_a_reason_and_leave_the_fee_unknown() -> None:
    """Without a prevouts file only in-block prevouts are known, and no fee is guessed."""
    _, transactions = only(list(read_blocks([SHIPPED_BLOCK])))
    inputs = [i for tx in transactions[1:] for i in tx.inputs]
    missing = [i for i in inputs if i.prevout is None]
    assert (len(inputs), len(missing)) == (4886, 4599)
    assert {i.prevout_missing for i in missing} == {NOT_IN_ARCHIVE}
    assert all((tx.fee_sat is None) == (tx.fee_missing is not None) for tx in transactions)
    known = [tx for tx in transactions if tx.fee_sat is not None]
    assert all(i.prevout is not None for tx in known for i in tx.inputs)


def test_coinbase_has_no_prevout_and_no_fee() -> None:
    """The coinbase says why its input has no prevout and itself no fee."""
    _, (coinbase, *_) = only(list(read_blocks([SHIPPED_BLOCK])))
    assert coinbase.is_coinbase
    assert (coinbase.inputs[0].prevout, coinbase.inputs[0].prevout_missing) == (None, "coinbase")
    assert (coinbase.fee_sat, coinbase.fee_missing) == (None, "coinbase")


@pytest.mark.parametrize(
    ("height", "subsidy"), [(277647, 2_500_000_000), (367891, 2_500_000_000), (866342, 312_500_000)]
)
def test_fees_and_subsidy_add_up_to_the_satoshi(height: int, subsidy: int) -> None:
    """With all prevouts, what the coinbase pays out less all fees is the exact subsidy."""
    paths = [shared("blocks", f"{height}.raw.xz")]
    prevouts = [shared("prevouts", f"{height}.json.xz")]
    _, transactions = only(list(read_blocks(paths, prevouts)))
    fees = [tx.fee_sat for tx in transactions[1:]]
    assert None not in fees
    paid = sum(output.value_sat for output in transactions[0].outputs)
    assert paid - sum(fee for fee in fees if fee is not None) == subsidy


def test_blocks_come_in_chain_order_with_times_that_never_fall() -> None:
    """Eleven real blocks given in reverse come out by height, event times rising."""
    paths = [shared("blocks", f"{height}.raw.xz") for height in reversed(HEIGHTS)]
    blocks = [events.block for events in read_blocks(paths)]
    assert [block.value.height for block in blocks] == list(HEIGHTS)
    assert [block.ts for block in blocks] == sorted(block.ts for block in blocks)


def test_connected_blocks_need_no_height_but_the_first(tmp_path: Path) -> None:
    """A block that follows another by its header takes its height from it, not from its name."""
    first = tmp_path / "227835.raw"
    second = tmp_path / "anything.bin"
    first.write_bytes(raw_block(227835))
    second.write_bytes(raw_block(227836))
    events = list(read_blocks([second, first]))
    assert [block.block.value.height for block in events] == [227835, 227836]


def test_height_of_a_nameless_block_comes_from_its_coinbase(tmp_path: Path) -> None:
    """Without a number in its name a version 2 block has the height its coinbase states."""
    path = tmp_path / "block.raw"
    path.write_bytes(raw_block(413567))
    block, _ = only(list(read_blocks([path])))
    assert block.height == 413567


def test_old_block_without_a_height_is_refused(tmp_path: Path) -> None:
    """A version 1 block in a file without a number cannot be placed; the remedy says how."""
    path = tmp_path / "old.raw"
    path.write_bytes(raw_block(227835))
    with pytest.raises(SourceError, match="name the file <height>"):
        list(read_blocks([path]))


def test_a_block_given_twice_comes_once(tmp_path: Path) -> None:
    """The same block in two files is one block."""
    for name in ("a.raw", "b.raw"):
        (tmp_path / name).write_bytes(raw_block(413567))
    events = list(read_blocks([tmp_path / "a.raw", tmp_path / "b.raw"]))
    assert [413567] == [block.block.value.height for block in events]


def test_damaged_files_are_refused_with_cause_and_remedy(tmp_path: Path) -> None:
    """A cut block, a text file, broken xz and a missing file are SourceErrors that name it."""
    cut = tmp_path / "1.raw"
    cut.write_bytes(raw_block(413567)[:-1])
    text = tmp_path / "2.raw"
    text.write_text("not a block")
    broken = tmp_path / "3.raw.xz"
    broken.write_bytes(b"\xfd7zXZ\0broken")
    for path in (cut, text, broken, tmp_path / "absent.raw"):
        with pytest.raises(SourceError, match=path.name) as caught:
            list(read_blocks([path]))
        assert caught.value.remedy != ""


@pytest.mark.parametrize(
    ("listed", "remedy"),
    [([], "take the block's own"), ([["x", "zz"]] * 4886, "see the format"), ({}, "see the")],
)
def test_wrong_prevouts_file_is_refused(tmp_path: Path, listed: object, remedy: str) -> None:
    """A prevouts file of another length or form is refused."""
    path = tmp_path / "413567.json.xz"
    path.write_bytes(lzma.compress(json.dumps(listed).encode()))
    with pytest.raises(SourceError, match=remedy):
        list(read_blocks([SHIPPED_BLOCK], [path]))


@pytest.mark.parametrize(
    "row", ['[1, "", 1, "yes"]', '[1e999, "", 1, true]', '[1, "", 4e9, true]', "[" * 50_000]
)
def test_a_prevouts_file_that_nobody_wrote_for_us_is_refused(tmp_path: Path, row: str) -> None:
    """Text for a flag, infinity, a height that no block has, and nesting without end."""
    path = tmp_path / "413567.json"
    path.write_text(f"[{row}]")
    with pytest.raises(SourceError, match=r"413567\.json: .*; give a JSON list of prevouts"):
        list(read_blocks([SHIPPED_BLOCK], [path]))


def test_prevouts_that_hold_too_little_are_refused(tmp_path: Path) -> None:
    """Prevouts of zero satoshi would make fees negative: the block is refused, not the fee."""
    path = tmp_path / f"{HASH}.json"
    path.write_text(json.dumps([[0, "", 1, False, None]] * 4886))
    with pytest.raises(SourceError, match="more than its prevouts hold"):
        list(read_blocks([SHIPPED_BLOCK], [path]))


def test_stray_prevouts_file_is_refused(tmp_path: Path) -> None:
    """A prevouts file of a block that was not given is refused."""
    with pytest.raises(SourceError, match="belong to no given block"):
        list(read_blocks([SHIPPED_BLOCK], [tmp_path / "5.json"]))
