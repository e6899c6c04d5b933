"""Ours: the module ``joined`` under ``streams worker --module``: a join of ``joins`` on topics.

Values are Avro in and out, the time of an event is its record's. Exactly once: one transaction a
task and checkpoint (0.3 s; 1 s while it is behind: the defaults) has results, state and positions.
The first batch was decoded before the step sees it: it is left out of both events and time. The end
is when the position records on the changelog, read committed, cover the whole input.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from stamps import SETTINGS

HERE = Path(__file__).parent
MODULE = SETTINGS["name"].replace("-", "_")
"""State is named after the module: each run has one of its own, in its folder."""
WORKER = (
    "--broker", SETTINGS["bootstrap"], "worker", "--module", MODULE, "--create-topics",
    "--log-level", "warn",
)  # fmt: skip
ENVIRONMENT = {
    "PYTHONPATH": os.pathsep.join((str(HERE), os.environ["PYTHONPATH"])),
    "STREAMS_APPLICATION": SETTINGS["application"],
    "STREAMS_PARTITIONS": str(SETTINGS["partitions"]),
    "STREAMS_ENGINE__LATENESS_MS": str(SETTINGS["disorder_ms"]),
    "STREAMS_ENGINE__RETRACT_GRACE_MS": str(SETTINGS["retract_grace_ms"]),
}
Path(f"{MODULE}.py").write_text("from joined import step\n")
streams = Path(sys.executable).with_name("streams")
os.execve(streams, [str(streams), *WORKER], {**os.environ, **ENVIRONMENT})
