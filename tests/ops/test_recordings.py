"""Recordings of source topics: what a file may hold, and what it may not."""

from __future__ import annotations

import lzma
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from schemas.errors import BadValue
from schemas.headers import WATERMARK, WRITER
from streams.engine.writers import Writer, control_headers
from streams.ops.play import _Player
from streams.ops.record import _together
from streams.sources.errors import SourceError
from streams.sources.recording import read_head, read_lines

HEAD = b'{"recording": 1}\n'


def played(path: Path, writer: Any = None) -> None:
    """All lines of a recording, played."""
    player = _Player(writer, None, lambda count: None)
    for line in read_lines(path):
        player.play(line)


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        (b'{"at": 1, "topic": "\xff"}', "line 2"),
        (b'{"at": 1, "raw": ' + b"[" * 3000, "line 2"),
        (b'{"at": 100000000000000000000}', "line 2"),
        (b'{"at": 1, "watermark": 1000000000000000000}', "line 2"),
        (b'{"at": 1, "topic": "streams.cursors", "raw": {}}', "no source topic 'streams.cursors'"),
        (b'{"at": 1, "topic": "bitcoin.blocks", "raw": {"value": "x"}}', "not base64"),
        (b'{"at": 1, "topic": "bitcoin.blocks"}', "bitcoin.blocks: not JSON"),
        (b"{" + b" " * 5000 + b"}", "a line of 4096 bytes or more"),
    ],
)
def test_a_line_that_is_none_is_named(tmp_path: Path, line: bytes, cause: str) -> None:
    """Above all one that would write to another topic than those of sources."""
    path = tmp_path / "story.ndjson"
    path.write_bytes(HEAD + line)
    most = patch("streams.sources.recording.MOST_BYTES", 4096)
    with most, pytest.raises(SourceError, match=cause):
        played(path)


def test_an_event_that_nothing_can_hold_is_named(tmp_path: Path) -> None:
    """What the codec says of it."""

    class Refusing:
        def send(self, *event: Any, keep: bool = False) -> None:
            raise BadValue("a height beyond 64 bits")

        def commit(self, *position: Any) -> None:
            pass

    path = tmp_path / "story.ndjson"
    demo = Path(__file__).parents[2] / "streams" / "data" / "demo.ndjson"
    path.write_bytes(b"".join(demo.open("rb").readlines()[:4]))
    with pytest.raises(SourceError, match="beyond 64 bits; make a new one"):
        played(path, Refusing())


@pytest.mark.parametrize("head", [b"", b"\xff", b"[" * 50_000, b'{"recording": 2}'])
def test_a_file_that_is_no_recording_is_named(tmp_path: Path, head: bytes) -> None:
    """Whatever stands in its first line, and wherever it is cut off."""
    path = tmp_path / "story.ndjson"
    path.write_bytes(head)
    with pytest.raises(SourceError, match="make a new one"):
        read_head(path)
    packed = tmp_path / "story.ndjson.xz"
    packed.write_bytes(lzma.compress(HEAD + b'{"at": 1, "watermark": "idle"}\n' * 99)[:-30])
    with pytest.raises(SourceError, match="is no recording"):
        played(packed)


def test_watermarks_that_make_no_sense_are_not_recorded() -> None:
    """Anybody may write a control record to a source topic."""
    one, other = Writer("a", 0, 0, 1), Writer("b", 0, 0, 1)
    controls = [(1, control_headers(one, 5)), (2, control_headers(other, 3))]
    junk = [[(WRITER, b"a/0/0/1"), (WATERMARK, raw)] for raw in (b"x", b"\xff", b"9" * 40, b"")]
    junk += [[(WATERMARK, b"7")], [(WRITER, b"\xff"), (WATERMARK, b"7")]]
    assert [(1, 5)] == _together([controls[0], *((1, headers) for headers in junk)])
    assert [(1, 5), (4, 8)] == _together([*controls, (4, control_headers(other, 8)),
                                          (4, control_headers(one, 9))])  # fmt: skip
