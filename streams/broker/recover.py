"""Between two runs: let the controller note that the broker is gone, before the broker is back.

A single Kafka node that starts again, or is led through a controlled shutdown, knows for a moment
no leader for its partitions while its transaction coordinator still works. Kafka 4.3.1 then takes
the partitions for deleted and calls a pending transaction complete without writing its marker: the
records of a committed transaction stay invisible, or those of an aborted one may be committed with
the next (source: TransactionMarkerChannelManager's log line "likely deleted already and hence can
be skipped"; seen in about half of the restarts under load). So our broker ends without a controlled
shutdown, which leaves pending transactions as they are, and before it starts again a controller
alone records it as gone. It then finds no leader recorded, and takes up everything at once when it
becomes one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from streams.broker import ports, storage
from streams.broker.config import controller_properties, render
from streams.broker.explain import explain_death, explain_silence
from streams.broker.java import command
from streams.broker.process import Child

_LOGGER = "org.slf4j.simpleLogger.log.org.apache.kafka.controller.ReplicationControlManager"
_ACTIVE = "Performing controller activation"
_FENCED = "Fencing broker 1 "
_NOTHING_TO_FENCE_S = 10.0
_DURABLE_S = 0.5
"""The line comes when the record is written, not when it is committed."""
_GRACE_S = 30.0
_POLL_S = 0.02


def has_run(data_dir: Path) -> bool:
    """Whether a broker ever ran in this directory."""
    return (storage.log_dir(data_dir) / "__cluster_metadata-0").exists()


def fence(data_dir: Path, jars: Sequence[Path], flags: Sequence[str], timeout_s: float) -> None:
    """Run a controller alone until it has recorded that the broker is gone."""
    config = data_dir / "controller.properties"
    _, port = ports.choose(0)
    config.write_text(render(controller_properties(storage.log_dir(data_dir), port)), "utf-8")
    argv = command(jars, "kafka.Kafka", str(config), flags=(*flags, f"-D{_LOGGER}=info"))
    log = data_dir / "controller.log"
    child = Child(argv, log, tied=True)
    try:
        _wait_fenced(child, log, timeout_s)
        child.terminate(_GRACE_S)
    finally:
        child.kill()


def _wait_fenced(child: Child, log: Path, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    active = None
    while time.monotonic() < deadline:
        text = log.read_text(encoding="utf-8", errors="replace")
        if _FENCED in text:
            time.sleep(_DURABLE_S)
            return
        if active is None and _ACTIVE in text:
            active = time.monotonic()
        if active is not None and time.monotonic() - active > _NOTHING_TO_FENCE_S:
            return  # the last run ended before the broker led anything
        if (code := child.exit_code()) is not None:
            raise explain_death(code, log)
        time.sleep(_POLL_S)
    raise explain_silence(timeout_s, log)
