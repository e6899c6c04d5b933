"""What contenders tell of time: the whole run, and its second half."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from bench.harness.envs import BENCH


def told(words: str, events: int) -> dict[str, Any]:
    """What a contender prints that does ``words`` with its stamps, on a clock of its own."""
    program = (
        "import time; from stamps import Stamps; s = Stamps(); now = [0.0]\n"
        f"time.perf_counter = lambda: now[0]\n{words}\ns.say()"
    )
    own = {"BENCH": json.dumps({"events": events}), "PYTHONPATH": str(BENCH / "worker")}
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **own}, capture_output=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)["bench"]
    return found


def test_the_warm_rate_is_that_of_what_follows_the_half() -> None:
    """100 events: 60 are done at 4 s, 100 at 6 s: the last 40 took 2 s."""
    #   0 s: first   1 s: 49   4 s: 60 (the half)   5 s: 80   6 s: end
    steps = "s.begin(); now[0]=1.0; s.reached(49); now[0]=4.0; s.reached(60)\n"
    steps += "now[0]=5.0; s.reached(80); now[0]=6.0; s.end()"
    found = told(steps, 100)
    assert (6.0, 20.0) == (found["seconds"], found["warm_rate"])


def test_who_notes_no_half_has_no_warm_rate() -> None:
    """It is not the rate of the whole run under another name."""
    assert "warm_rate" not in told("s.begin(); now[0]=1.0; s.end()", 100)
