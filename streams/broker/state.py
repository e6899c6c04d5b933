"""The record of the running broker: how one command finds the broker another one started.

The record is only a claim. What proves it is the kernel: Kafka holds a lock in its data directory
as long as it lives, and the lock names its process. So a record left behind by a crash, or one
whose process id now belongs to another program, is never believed.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import msgspec

from streams.broker.config import HOST
from streams.broker.paths import data_home
from streams.broker.ready import answers
from streams.broker.storage import log_file, owner

BROKER_VARIABLE = "STREAMS_BROKER"


class BrokerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One running broker, as recorded when it became ready.

    ``started_ms`` is wall-clock milliseconds since 1970; ``detached`` tells a broker that outlives
    the command that started it from one that belongs to a program such as the demo.
    """

    port: int
    pid: int
    data_dir: Path
    cluster_id: str
    kafka: str
    started_ms: int
    detached: bool

    @property
    def bootstrap(self) -> str:
        """Address for clients."""
        return f"{HOST}:{self.port}"

    @property
    def log(self) -> Path:
        """What the broker printed since its last start."""
        return log_file(self.data_dir)

    @property
    def alive(self) -> bool:
        """Whether the recorded process is the one that lives in the data directory."""
        return owner(self.data_dir) == self.pid


def running(state_dir: Path | None = None) -> BrokerInfo | None:
    """The recorded broker if it is alive and its port answers, else None."""
    info = read(state_dir or data_home())
    return info if info is not None and info.alive and answers(info.port) else None


def default_bootstrap(state_dir: Path | None = None) -> str | None:
    """The broker to use when none is named: STREAMS_BROKER, else the running embedded one."""
    if named := os.environ.get(BROKER_VARIABLE):
        return named
    info = running(state_dir)
    return info.bootstrap if info else None


def read(state_dir: Path) -> BrokerInfo | None:
    """The record as it stands, None when there is none or it is not one."""
    try:
        data = _path(state_dir).read_bytes()
        return msgspec.json.decode(data, type=BrokerInfo, dec_hook=lambda kind, value: kind(value))
    except (FileNotFoundError, ValueError, RecursionError):
        return None


def write(state_dir: Path, info: BrokerInfo) -> None:
    """Replace the record."""
    state_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=state_dir, delete=False) as file:
        file.write(msgspec.json.encode(info, enc_hook=str))
    os.replace(file.name, _path(state_dir))


def remove(state_dir: Path, pid: int) -> None:
    """Delete the record if it is the one of process ``pid``."""
    info = read(state_dir)
    if info is not None and info.pid == pid:
        _path(state_dir).unlink(missing_ok=True)


def _path(state_dir: Path) -> Path:
    return state_dir / "broker.json"
