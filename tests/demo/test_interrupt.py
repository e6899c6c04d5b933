"""Ctrl-C ends the demo and everything that it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

MARK = "STREAMS_TEST_MARK"


def marked(word: str) -> list[int]:
    """Processes of this machine whose environment carries the mark."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        if f"{MARK}={word}".encode() in environment.split(b"\0"):
            found.append(int(entry.name))
    return found


@pytest.mark.kafka
@pytest.mark.parametrize("seconds", [3, 9])
def test_ctrl_c_leaves_no_process_behind(tmp_path: Path, seconds: int) -> None:
    """Interrupted while starting and while working, the demo ends with 130 and nothing stays."""
    word = f"{os.getpid()}-{seconds}"
    demo = subprocess.Popen(
        [sys.executable, "-m", "streams", "demo", "--output", str(tmp_path)],
        env={**os.environ, MARK: word},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + 120
    while len(marked(word)) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    began = time.monotonic()
    while demo.poll() is None and time.monotonic() < began + seconds:
        time.sleep(0.1)
    demo.send_signal(signal.SIGINT)
    output, _ = demo.communicate(timeout=90)
    while marked(word) and time.monotonic() < deadline + 60:
        time.sleep(0.1)
    assert (130, [], False) == (demo.returncode, marked(word), "Traceback" in output), output[-800:]
