"""A user's own steps as a file, as the guide shows them, and the command line run beside them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.kafka.world import ROOT, World

GUIDE = ROOT / "docs" / "how-to" / "write-a-step.md"


def from_guide(name: str) -> str:
    """The text of the file that the guide calls ``name``: a Python block after its name."""
    pattern = rf"`{re.escape(name)}`.*?```python\n(.*?)```"
    found = re.search(pattern, GUIDE.read_text(), re.DOTALL)
    assert found is not None, f"the guide shows no {name}"
    return found[1]


def python(folder: Path, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python in ``folder`` with nothing but our packages; ``environment`` adds to it."""
    return subprocess.run(
        [sys.executable, *args],
        capture_output=True,
        text=True,
        cwd=folder,
        env={
            "PYTHONPATH": str(ROOT),
            "PATH": "",
            "HOME": os.environ.get("HOME", ""),
            **environment,
        },
        timeout=120,
        check=False,
    )


def streams(world: World, folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run ``streams`` in ``folder`` on this world."""
    own = {"STREAMS_BROKER": world.bootstrap, "STREAMS_CONFIG": str(world.file)}
    return python(folder, "-m", "streams", *args, **own)
