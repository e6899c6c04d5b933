"""Scripts find what did not happen: rows that stay as they are, a disk that is full inside only."""

from __future__ import annotations

import subprocess
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.faults.crew import Failed, until
from tests.faults.scripts import targets
from tests.faults.smalldisk import SmallDisk

FAULT_MS = 1000


def arena(monkeypatch: pytest.MonkeyPatch, rows: int, loaded: bool) -> Any:
    """A run with so many rows, and ten outputs."""
    monkeypatch.setattr(targets, "sizes", lambda uri, names: dict.fromkeys(names, rows))
    monkeypatch.setattr(targets, "until", partial(until, seconds=0.2))
    net, postgres = {targets.ROWS_OF: 10}, SimpleNamespace(uri="")
    return SimpleNamespace(
        faults=[FAULT_MS], measured={}, loaded=loaded, postgres=postgres,
        tables={targets.ROWS_OF: "rows"}, tail=SimpleNamespace(net=net),
    )  # fmt: skip


def test_a_sink_that_never_goes_on_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many rows as there were outputs at the fault are none since, and fewer are lost."""
    for rows, loaded in ((8, False), (7, True)):
        with pytest.raises(Failed, match="rows move again"):
            targets.rows_move(arena(monkeypatch, rows, loaded), 8)


def test_a_sink_that_goes_on_has_a_recovery(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the fault on; unknown where every output was there before it."""
    moving = arena(monkeypatch, 9, loaded=False)
    targets.rows_move(moving, 8)
    assert moving.measured[FAULT_MS] > 0
    over = arena(monkeypatch, 10, loaded=True)
    targets.rows_move(over, 10)
    assert {FAULT_MS: -1} == over.measured


def test_a_small_disk_is_full_for_whoever_is_inside(tmp_path: Path) -> None:
    """And has room again afterwards; nothing of it is seen from outside."""
    disk = SmallDisk(tmp_path / "disk", tmp_path)
    try:
        found = [_write(disk)] if disk.mounted else []  # not everybody may
        if disk.mounted:
            disk.fill()
            found.append(_write(disk))
            disk.make_room()
            found.append(_write(disk))
        assert ([0, 1, 0] if disk.mounted else []) == found
        assert [] == list((tmp_path / "disk").iterdir())
    finally:
        disk.close()


def _write(disk: SmallDisk) -> int:
    """Exit code of who writes a few bytes there."""
    words = ["dd", "if=/dev/zero", "of=disk/more", "bs=8192", "count=1", "oflag=append"]
    argv = [*disk.inside, *words, "conv=notrunc"]
    return subprocess.run(argv, check=False, capture_output=True).returncode
