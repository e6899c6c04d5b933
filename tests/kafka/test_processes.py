"""Watching a process by its log, while it writes there."""

from __future__ import annotations

import os
from pathlib import Path

from tests.kafka.processes import Worker


def test_a_line_that_is_still_being_written_is_not_read(tmp_path: Path) -> None:
    """A write that ends in the middle of a line: what is whole is told."""
    text = '{"event": "one", "n": 1}\n{"event": "one", "n": 2}\n{"event": "o'
    worker = Worker(["printf", "%s", text], tmp_path / "log", dict(os.environ))
    try:
        assert 0 == worker.process.wait(10)
        assert [1, 2] == [facts["n"] for facts in worker.told("one")]
    finally:
        worker.clean_up()
