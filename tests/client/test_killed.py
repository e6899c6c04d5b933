"""A member of a group that is killed loses nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from streams import topics
from tests.client.place import Place, alert, until

ROOT = Path(__file__).parents[2]
COUNT = 300


def member(place: Place, file: Path, milliseconds: int) -> subprocess.Popen[bytes]:
    """Start the program."""
    argv = [sys.executable, "-m", "tests.client.member", place.bootstrap, place.group, str(file)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([*argv, str(milliseconds)], env=environment, cwd=file.parent)


def lines(file: Path) -> list[str]:
    """What was processed."""
    return file.read_text().splitlines() if file.exists() else []


def test_a_killed_member_loses_nothing(place: Place, tmp_path: Path) -> None:
    """kill -9 in the middle: its successor goes on from the last commit, some records come twice.

    first    0 ..... 120 x
    second        100 ............ 300
    """
    file = tmp_path / "done"
    for number in range(COUNT):
        place.write(topics.alerts, f"id{number}", alert(f"entity{number}"))
    first = member(place, file, 10)
    until("a part is processed", lambda: len(lines(file)) >= COUNT // 3)
    first.send_signal(signal.SIGKILL)
    assert -signal.SIGKILL == first.wait(10)
    before = len(lines(file))
    assert before < COUNT
    assert 0 == member(place, file, 0).wait(60)
    found = lines(file)
    assert {f"id{number}" for number in range(COUNT)} == set(found)
    assert len(found) - before < COUNT, "nothing was committed before the kill"
