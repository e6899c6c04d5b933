"""The data directory: formatted once, from a template that Kafka's own tool made.

A data directory holds ``log/`` (Kafka's), ``server.properties`` and ``broker.log`` (ours, written
at each start). ``log/`` appears by one rename, so that a directory is formatted or it is not.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path

from streams.broker.config import properties, render
from streams.broker.errors import BrokerError
from streams.broker.filelocks import exclusive, holder
from streams.broker.java import command, environment
from streams.broker.paths import Progress

_META = "meta.properties"
_BOOTSTRAP = "bootstrap.checkpoint"
_FORMAT_TIMEOUT_S = 120


def log_dir(data_dir: Path) -> Path:
    """Kafka's part of a data directory."""
    return data_dir / "log"


def log_file(data_dir: Path) -> Path:
    """What the broker last printed: its warnings and errors since its last start."""
    return data_dir / "broker.log"


def owner(data_dir: Path) -> int | None:
    """Process id of the broker that is alive in ``data_dir``, by Kafka's own lock; else None."""
    return holder(log_dir(data_dir) / ".lock")


def cluster_id(data_dir: Path) -> str:
    """The id this directory was formatted with; a broker that answers with it is this one."""
    path = log_dir(data_dir) / _META
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise _damaged(data_dir, f"{path.name} is missing") from None
    for line in lines:
        if line.startswith("cluster.id="):
            return line.removeprefix("cluster.id=")
    raise _damaged(data_dir, f"{path.name} names no cluster")


def ensure_formatted(
    data_dir: Path, home: Path, version: str, jars: Sequence[Path], progress: Progress
) -> None:
    """Give ``data_dir`` an empty Kafka log with a cluster id of its own, unless it has one."""
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    if log_dir(data_dir).exists():
        return
    template = _template(home, version, jars, progress)
    with tempfile.TemporaryDirectory(dir=data_dir, prefix="format-") as folder:
        fresh = Path(folder) / "log"
        fresh.mkdir()
        shutil.copyfile(template, fresh / _BOOTSTRAP)
        (fresh / _META).write_text(_meta(), encoding="utf-8")
        os.rename(fresh, log_dir(data_dir))


def _meta() -> str:
    fields = {"cluster.id": _kafka_uuid(), "directory.id": _kafka_uuid()}
    return render({**fields, "node.id": "1", "version": "1"})


def _kafka_uuid() -> str:
    """A random id as Kafka writes it: 16 bytes in URL-safe base64, never beginning with a dash."""
    text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return _kafka_uuid() if text.startswith("-") else text


def _template(home: Path, version: str, jars: Sequence[Path], progress: Progress) -> Path:
    """The bootstrap record set of this version of Kafka, made once by ``kafka-storage format``."""
    path = home / "format" / f"{version}.checkpoint"
    with exclusive(home / "format.lock", "waiting for another set-up of Kafka to end", progress):
        if not path.exists():
            progress("formatting Kafka's storage; needed once")
            _make_template(path, jars)
    return path


def _make_template(path: Path, jars: Sequence[Path]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="format-") as folder:
        config = Path(folder) / "server.properties"
        # the tool opens no port; these two only satisfy its check of the configuration
        config.write_text(render(properties(Path(folder) / "log", 9092, 9093, {})), "utf-8")
        _run_tool(command(jars, "kafka.tools.StorageTool", *_format_arguments(config)))
        os.replace(Path(folder) / "log" / _BOOTSTRAP, path)


def _format_arguments(config: Path) -> tuple[str, ...]:
    return ("format", "--cluster-id", _kafka_uuid(), "--config", str(config))


def _run_tool(argv: list[str]) -> None:
    done = subprocess.run(
        argv,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=_FORMAT_TIMEOUT_S,
        check=False,  # the error below carries the tool's own words
    )
    if done.returncode != 0:
        raise BrokerError(
            f"Kafka's storage tool failed with exit code {done.returncode}",
            "read its last lines below",
            (done.stdout + done.stderr)[-2000:],
        )


def _damaged(data_dir: Path, what: str) -> BrokerError:
    return BrokerError(
        f"the data directory {data_dir} is damaged: {what}",
        "restore it from a copy, or delete it to begin with an empty broker",
    )
