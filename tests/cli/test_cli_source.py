"""``streams source archive``: a real block from its file to the topics."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from schemas.wire import Codec
from streams.client import fold, read_all
from tests.cli.cli_support import Cli

pytestmark = pytest.mark.kafka
BLOCK = str(files("streams") / "data" / "413567.raw.xz")


def test_a_block_is_written_and_written_again_harmlessly(cli: Cli, other: str) -> None:
    """The second run sends the same ids: the net set stays."""
    first = cli("source", "archive", BLOCK, "--network", "main", "--broker", other)
    once = fold(read_all(other, "bitcoin.transactions", Codec()))
    second = cli("source", "archive", BLOCK, "--broker", other)
    twice = fold(read_all(other, "bitcoin.transactions", Codec()))
    assert (0, 0, 1557) == (first.code, second.code, len(once))
    assert once == twice
    assert first.err.endswith("1558 events of 1 blocks written\n")


def test_a_file_that_is_no_block_is_refused(cli: Cli, applied: str, tmp_path: Path) -> None:
    """Exit code 8, the file's name and what to give instead."""
    path = tmp_path / "7.raw"
    path.write_bytes(b"no block")
    ended = cli("source", "archive", str(path), "--broker", applied)
    assert (8, True) == (ended.code, "7.raw" in ended.err.splitlines()[0])
