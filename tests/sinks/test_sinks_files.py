"""NDJSON and Parquet: their formats, several owners, and files that are not theirs."""

from __future__ import annotations

import errno
import io
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest
from sink_cases import TOPIC, NdjsonTarget, ParquetTarget, Sample, SampleV2, fold, record

from sinks.base import Permanent, Retryable
from sinks.ndjson import NdjsonConfig, NdjsonSink
from sinks.parquet import ParquetConfig, ParquetSink

LOG = [record(offset, f"e{offset % 7}", Sample(count=offset)) for offset in range(60)]


def ndjson(root: Path) -> NdjsonSink:
    """Open the NDJSON sink."""
    return NdjsonSink(NdjsonConfig(directory=str(root)))


def parquet(root: Path, rows_per_file: int = 100_000) -> ParquetSink:
    """Open the Parquet sink."""
    return ParquetSink(ParquetConfig(directory=str(root), rows_per_file=rows_per_file))


def test_a_line_says_id_op_and_version(tmp_path: Path) -> None:
    """A line can be read without knowing anything of this project."""
    sink = ndjson(tmp_path)
    sink.write([record(4, value={"sat": 2**70, "raw": b"\xff"}), record(5, value=7, op="retract")])
    sink.close()
    assert (
        '{"event_id":"a","version":4,"op":"assert","key":"key-a","event_ts":1004,"partition":0,'
        '"type":"","value":{"raw":"/w==","sat":1180591620717411303424}}\n'
        '{"event_id":"a","version":5,"op":"retract","key":"key-a","event_ts":1005,"partition":0,'
        '"type":"","value":null}\n'
    ) == (tmp_path / "ndjson" / f"{TOPIC}.ndjson").read_text()


def test_one_process_appends_to_a_file(tmp_path: Path) -> None:
    """A second writer is refused while the first is open, and may follow it."""
    first = ndjson(tmp_path)
    first.write(LOG)
    with pytest.raises(Retryable, match="another process appends"):
        ndjson(tmp_path)
    first.close()
    ndjson(tmp_path).close()


def test_a_damaged_line_in_the_middle_is_no_torn_one(tmp_path: Path) -> None:
    """Nothing is cut off that has good lines behind it."""
    sink = ndjson(tmp_path)
    sink.write(LOG)
    sink.close()
    path = NdjsonTarget(tmp_path).path()
    lines = path.read_bytes().splitlines(keepends=True)
    for line in (b"oops\n", b'{"a": ' + b"[" * 50_000 + b"\n"):
        path.write_bytes(b"".join([*lines[:3], line, *lines[3:]]))
        with pytest.raises(Permanent, match=r"line 4 of .* is no change of an event"):
            ndjson(tmp_path)
    assert len(lines) + 1 == len(path.read_bytes().splitlines())


def test_positions_count_what_was_flushed(tmp_path: Path) -> None:
    """What a power cut could still lose is no position."""
    sink = ndjson(tmp_path)
    sink.write(LOG[:10])
    assert not sink.positions()
    sink.flush()
    assert {(TOPIC, 0): 10} == sink.positions()
    sink.close()


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    """What the system refuses is retryable and says which path."""
    (tmp_path / "ndjson").write_text("in the way")
    with pytest.raises(Retryable, match=r"cannot use .*ndjson"):
        ndjson(tmp_path)


def test_files_are_named_by_topic_partition_and_first_offset(tmp_path: Path) -> None:
    """Each flush makes one file for each partition that has new rows."""
    sink = parquet(tmp_path)
    sink.write([record(5), record(7, "b"), record(2, "c", partition=1)])
    sink.flush()
    sink.flush()
    sink.write([record(9, "d")])
    sink.close()
    names = [path.name for path in ParquetTarget(tmp_path).files()]
    stems = [f"{TOPIC}-0-{5:020}", f"{TOPIC}-0-{9:020}", f"{TOPIC}-1-{2:020}"]
    assert [f"{stem}.parquet" for stem in stems] == names


def test_parquet_columns(tmp_path: Path) -> None:
    """The fixed columns, the place, then the payload; a colliding field is renamed."""
    sink = parquet(tmp_path)
    sink.write([record(5, value={"any": 1})])
    sink.write([record(6, value=msgspec.defstruct("P", [("partition", int)])(9))])
    sink.close()
    sql = f"from '{ParquetTarget(tmp_path).files()[0]}'"
    result = duckdb.connect().execute(sql)
    heads = ["event_id", "version", "op", "key", "event_ts", "topic", "partition"]
    assert [*heads, "payload", "payload_partition"] == [c[0] for c in result.description or []]
    expected = [
        ("a", 5, "assert", "key-a", 1005, TOPIC, 0, '{"any":1}', None),
        ("a", 6, "assert", "key-a", 1006, TOPIC, 0, None, 9),
    ]
    assert expected == result.fetchall()


def test_a_file_is_written_when_enough_rows_wait(tmp_path: Path) -> None:
    """Memory is bounded without a flush."""
    sink = parquet(tmp_path, rows_per_file=20)
    for offset in range(50):
        sink.write(LOG[offset : offset + 1])
    assert (2, {(TOPIC, 0): 40}) == (len(ParquetTarget(tmp_path).files()), sink.positions())
    sink.close()
    assert fold(LOG[:50]) == ParquetTarget(tmp_path).live()


def test_a_partition_that_went_to_another_worker_and_back(tmp_path: Path) -> None:
    """Files of another owner are seen before a file is written: no row is there twice.

    A   0 ... 19              10 ............ 59   (its group offset was not committed)
    B            20 ... 39
    """
    a, b = parquet(tmp_path), parquet(tmp_path)
    a.write(LOG[:20])
    a.flush()
    b.write(LOG[15:40])
    b.flush()
    a.write(LOG[10:60])
    a.flush()
    target = ParquetTarget(tmp_path)
    assert [(0, offset) for offset in range(60)] == target.raw()
    assert fold(LOG) == target.live()
    assert ({(TOPIC, 0): 60}, {(TOPIC, 0): 40}) == (a.positions(), b.positions())


def test_types_that_disagree_go_to_files_of_their_own(tmp_path: Path) -> None:
    """A file has one type a column; both batches are kept."""
    other = msgspec.defstruct("Other", [("count", str)])
    sink = parquet(tmp_path)
    sink.write([record(0)])
    sink.write([record(1, "b", other("7"))])
    sink.write([record(2, "c", SampleV2(added=1))])
    sink.close()
    assert [(0, 0), (0, 1), (0, 2)] == ParquetTarget(tmp_path).raw()
    assert len(ParquetTarget(tmp_path).files()) == 3


@pytest.mark.parametrize("name", ["mine.parquet", f"{TOPIC}-0-{3:020}.parquet"])
def test_a_file_that_is_not_ours(tmp_path: Path, name: str) -> None:
    """A file that does not tell its offsets stops the sink, with its path."""
    folder = tmp_path / "parquet" / TOPIC
    folder.mkdir(parents=True)
    duckdb.connect().execute(f"copy (select 1 as a) to '{folder / name}'")
    with pytest.raises(Permanent, match=f"{name} was not written by this sink"):
        parquet(tmp_path)


def test_a_file_that_is_damaged(tmp_path: Path) -> None:
    """A file that is no Parquet stops the sink, with its path."""
    folder = tmp_path / "parquet" / TOPIC
    folder.mkdir(parents=True)
    (folder / f"{TOPIC}-0-{3:020}.parquet").write_bytes(b"PAR1 and no more of it")
    with pytest.raises(Permanent, match="is damaged"):
        parquet(tmp_path)


@pytest.mark.parametrize("said", [b"[[0,[]]]", b"[[10,0]]", b"[[0,10]}", b"[\xff0,10]"])
def test_a_file_whose_offsets_nobody_can_read(tmp_path: Path, said: bytes) -> None:
    """It stops the sink as a damaged one does: what it covers cannot be told."""
    sink = parquet(tmp_path)
    sink.write(LOG[:10])
    sink.close()
    [path] = (tmp_path / "parquet" / TOPIC).iterdir()
    raw = path.read_bytes()
    assert 1 == raw.count(b"[[0,10]]")
    path.write_bytes(raw.replace(b"[[0,10]]", said.ljust(8)[:8]))
    with pytest.raises(Permanent, match="is damaged"):
        parquet(tmp_path)


def test_a_footer_that_is_none_is_no_fault_of_the_disk(tmp_path: Path) -> None:
    """Or it would be tried again for ever."""
    folder = tmp_path / "parquet" / TOPIC
    folder.mkdir(parents=True)
    footer = b"\xff" * 100
    path = folder / f"{TOPIC}-0-{3:020}.parquet"
    path.write_bytes(b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    with pytest.raises(Permanent, match="is damaged"):
        parquet(tmp_path)


def test_a_disk_that_takes_no_file_holds_the_writer_up(tmp_path: Path) -> None:
    """Full files are tried again with each batch, so that no more and more rows wait in memory."""
    sink = parquet(tmp_path, rows_per_file=10)
    in_the_way = tmp_path / "parquet" / TOPIC
    in_the_way.write_text("no folder")
    for _ in range(3):
        with pytest.raises(Retryable):
            sink.write(LOG)
    in_the_way.unlink()
    sink.write(LOG)
    assert {(TOPIC, 0): len(LOG)} == sink.positions()
    sink.close()
    assert fold(LOG) == ParquetTarget(tmp_path).live()


class Failing(io.FileIO):
    """A disk that is full in the middle of a write, and then refuses to shorten the file."""

    refusals = 2

    def write(self, data: Any) -> int:
        if self.refusals:
            self.refusals -= 1
            super().write(bytes(data)[:10])
            raise OSError(errno.ENOSPC, "no space")
        return super().write(data)

    def truncate(self, size: int | None = None) -> int:
        if self.refusals:
            self.refusals -= 1
            raise OSError(errno.EIO, "no answer")
        return super().truncate(size)


def test_a_torn_line_that_could_not_be_cut_off_is_cut_off_before_the_next(tmp_path: Path) -> None:
    """Else the next line would follow it, and the file would be damaged for good."""
    sink = ndjson(tmp_path)
    sink.write(LOG[:10])
    log = sink._logs[TOPIC]
    log._file.close()
    log._file = Failing(NdjsonTarget(tmp_path).path(), "ab")
    with pytest.raises(Retryable):
        sink.write(LOG[10:])
    sink.write(LOG[10:])
    sink.close()
    ndjson(tmp_path).close()
    assert fold(LOG) == NdjsonTarget(tmp_path).live()
