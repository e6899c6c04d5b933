"""The programs of the how-to run as they are written, against a real broker."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.envelope import Anchor
from streams import topics
from tests.client.place import NETWORK, Place, activity, alert

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "how-to" / "use-the-client.md").read_text()
PROGRAMS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
SAID = (
    r"high x \['because'\]",
    r"0 scores are true",
    r"assert address 5\n.*'live': 1",
    r"^[0-9a-f]{64}$",
    r"^$",
    r"^2222",
)


@pytest.mark.parametrize("number", range(len(SAID)))
def test_a_program_of_the_how_to_runs(place: Place, number: int) -> None:
    """Each block is a whole program; what it prints is what its section says."""
    assert len(SAID) == len(PROGRAMS)
    place.write(topics.alerts, "a", alert("x"))
    fact = activity("address", 5, 10)
    place.write(topics.activity, "f", fact, anchor=Anchor(NETWORK, 10, "b10"))
    for height in range(10, 16):
        place.tip(height, f"b{height}")
    program = PROGRAMS[number].replace("localhost:9092", place.bootstrap)
    argv = [sys.executable, "-c", program]
    ended = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (0, False) == (ended.returncode, "Traceback" in ended.stderr), ended.stderr
    assert re.search(SAID[number], ended.stdout.strip(), re.DOTALL | re.MULTILINE), ended.stdout
