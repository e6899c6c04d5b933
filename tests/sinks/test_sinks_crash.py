"""Processes that are killed while they write, and disks that are full."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from crash_writer import SIZE, change
from sink_cases import (
    FILE_TARGETS,
    STORING_TARGETS,
    TOPIC,
    NdjsonTarget,
    ParquetTarget,
    Sample,
    Target,
    fold,
    record,
)

from sinks.base import Retryable

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def run_until(target: Target, root: Path, start: int, lines: int) -> int:
    """Run the writer, kill it (SIGKILL) after ``lines`` flushes; return its last known position."""
    path = os.pathsep.join([str(ROOT), str(HERE)])
    command = [sys.executable, str(HERE / "crash_writer.py"), target.name, str(root), str(start)]
    position = 0
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    ) as process:
        assert process.stdout is not None
        for line, _ in zip(process.stdout, range(lines), strict=False):
            position = int(line)
        process.kill()
    return position


@pytest.mark.parametrize("kind", STORING_TARGETS, ids=lambda t: t.name)
def test_kill_in_the_middle_of_writing(kind: type[Target], tmp_path: Path) -> None:
    """After each kill the writer starts below what was flushed; rows are the log's net set.

    run 1: writes, is killed between two flushes      position p1
    run 2: starts 150 below p1, is killed again       position p2 >= p1
    run 3: starts 150 below p2, is killed again
    at last: the whole log from 0, and nothing shows it
    """
    target = kind(tmp_path)
    position = 0
    for lines in (4, 9, 14):
        reached = run_until(target, tmp_path, max(0, position - 150), lines)
        assert reached >= position
        position = reached
    log = [change(offset) for offset in range(SIZE)]
    sink = target.open()
    assert sink.positions()[TOPIC, 0] >= position
    for first in range(0, SIZE, 1000):
        sink.write(log[first : first + 1000])
    sink.close()
    assert fold(log) == target.live()
    if target.name in ("ndjson", "parquet"):
        assert [(0, offset) for offset in range(SIZE)] == target.raw()


@pytest.mark.parametrize("torn", [b"{", b'{"event_id":"a","version":1,', b"\x00\x00\x00", b"\xff"])
def test_a_torn_last_line_is_cut_off(tmp_path: Path, torn: bytes) -> None:
    """What a crash left of a line is removed when the file is opened, and written again."""
    target = NdjsonTarget(tmp_path)
    sink = target.open()
    sink.write([record(0, "a")])
    sink.close()
    with target.path().open("ab") as file:
        file.write(torn)
    sink = target.open()
    sink.write([record(1, "b")])
    sink.close()
    assert [(0, 0), (0, 1)] == target.raw()


def test_a_complete_line_without_its_end_is_torn(tmp_path: Path) -> None:
    """A line counts when its newline is there: the next one must not be glued to it."""
    target = NdjsonTarget(tmp_path)
    sink = target.open()
    sink.write([record(0, "a"), record(1, "b")])
    sink.close()
    data = target.path().read_bytes()
    target.path().write_bytes(data[:-1])
    sink = target.open()
    assert {(TOPIC, 0): 1} == sink.positions()
    sink.write([record(1, "b"), record(2, "c")])
    sink.close()
    assert [(0, 0), (0, 1), (0, 2)] == target.raw()


def test_what_a_crash_left_beside_a_parquet_file(tmp_path: Path) -> None:
    """A file that was not renamed is no file, and goes when its partition is written again."""
    target = ParquetTarget(tmp_path)
    folder = tmp_path / "parquet" / TOPIC
    folder.mkdir(parents=True)
    torn = folder / f".{TOPIC}-0-{1:020}.parquet.tmp"
    torn.write_bytes(b"PAR1 and no more")
    sink = target.open()
    assert not sink.positions()
    sink.write([record(3)])
    sink.close()
    assert ([(0, 3)], False) == (target.raw(), torn.exists())


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file of this process grow above ``size`` bytes, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("kind", FILE_TARGETS, ids=lambda t: t.name)
def test_a_full_disk_is_retryable_and_loses_nothing(kind: type[Target], tmp_path: Path) -> None:
    """A write that the disk refused may be made again as it was, once there is room."""
    target = kind(tmp_path)
    log = [record(n, f"e{n}", Sample(text=os.urandom(200).hex())) for n in range(3000)]
    sink = target.open()
    sink.write(log[:10])
    sink.flush()
    with largest_file(400_000), pytest.raises(Retryable, match="free the disk"):
        sink.write(log)
        sink.flush()
    assert {(TOPIC, 0): 10} == sink.positions()
    sink.write(log)
    sink.close()
    assert fold(log) == target.live()
