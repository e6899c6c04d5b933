"""From nothing to a broker that answers: verify, format, choose ports, run, wait."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from streams.broker import aot, ports, recover, storage
from streams.broker.config import HOST, properties, render
from streams.broker.errors import BrokerError, PortTaken
from streams.broker.filelocks import exclusive
from streams.broker.jars import class_path
from streams.broker.java import command, java_binary
from streams.broker.lock import load_lock
from streams.broker.paths import Progress
from streams.broker.process import Child
from streams.broker.ready import wait_ready

_ATTEMPTS = 3


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """What to run: see EmbeddedBroker for the meaning of the fields."""

    home: Path
    data_dir: Path
    port: int = 0
    extra: Mapping[str, str] = {}
    jvm: Sequence[str] = ()
    tied: bool = True
    cached: bool = True
    nice: int = 0
    timeout_s: float = 120.0


class Launched(msgspec.Struct, frozen=True):
    """A broker that answered: its process, its client port, its cluster id, Kafka's version."""

    child: Child
    port: int
    cluster_id: str
    kafka: str

    @property
    def bootstrap(self) -> str:
        """Address for clients."""
        return f"{HOST}:{self.port}"


def launch(spec: Spec, progress: Progress) -> Launched:
    """Start a broker and return when it answers; on any failure or interrupt nothing is left."""
    java_binary()  # before a long fetch that would be of no use without it
    lock = load_lock()
    jars = class_path(spec.home, progress, lock)
    spec.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    waiting = f"waiting for another start in {spec.data_dir}"
    with exclusive(spec.data_dir / "start.lock", waiting, progress):
        _check_unowned(spec.data_dir)
        storage.ensure_formatted(spec.data_dir, spec.home, lock.kafka, jars, progress)
        if recover.has_run(spec.data_dir):
            progress("settling what the last run left")
            recover.fence(spec.data_dir, jars, _cache_flags(spec, jars), spec.timeout_s)
        return _run(spec, jars, lock.kafka, progress)


def _check_unowned(data_dir: Path) -> None:
    if (pid := storage.owner(data_dir)) is not None:
        raise BrokerError(
            f"the data directory {data_dir} is in use by another broker (process {pid})",
            "stop that one, or choose another data directory",
        )


def _run(spec: Spec, jars: Sequence[Path], kafka: str, progress: Progress) -> Launched:
    """Try until a broker stays up: without the cache after a death, on new free ports if taken."""
    for attempt in range(1, _ATTEMPTS + 1):
        cached = _cache_flags(spec, jars)
        flags = (*spec.jvm, *cached)
        try:
            return _attempt(spec, jars, kafka, flags, progress)
        except PortTaken:
            if spec.port or attempt == _ATTEMPTS:
                raise
        except BrokerError:
            if not cached or attempt == _ATTEMPTS:
                raise
            progress("the broker ended early: trying again without the AOT cache")
            aot.discard(aot.cache_file(spec.home, jars))
    raise AssertionError("unreachable: the last attempt returns or raises")


def _cache_flags(spec: Spec, jars: Sequence[Path]) -> tuple[str, ...]:
    cache = aot.cache_file(spec.home, jars)
    return (f"-XX:AOTCache={cache}",) if spec.cached and aot.usable(cache) else ()


def _attempt(
    spec: Spec, jars: Sequence[Path], kafka: str, flags: Sequence[str], progress: Progress
) -> Launched:
    port, controller_port = ports.choose(spec.port)
    config = spec.data_dir / "server.properties"
    values = properties(storage.log_dir(spec.data_dir), port, controller_port, spec.extra)
    config.write_text(render(values), encoding="utf-8")
    argv = command(jars, "kafka.Kafka", str(config), flags=flags)
    progress(f"starting Kafka {kafka} on {HOST}:{port}, data in {spec.data_dir}")
    began, log = time.monotonic(), storage.log_file(spec.data_dir)
    cluster = storage.cluster_id(spec.data_dir)
    with ExitStack() as undo:
        child = Child(argv, log, spec.tied, spec.nice)
        undo.callback(child.kill)
        wait_ready(child, port, cluster, log, spec.timeout_s)
        undo.pop_all()
    progress(f"Kafka is ready after {time.monotonic() - began:.1f} s")
    return Launched(child, port, cluster, kafka)
