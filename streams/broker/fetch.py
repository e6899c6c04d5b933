"""Fetching jars: several at once, each complete and verified before it is put in place."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue

from streams.broker.errors import OTHER_BROKER, BrokerError
from streams.broker.lock import Jar
from streams.broker.paths import Progress

MIRROR_VARIABLE = "STREAMS_MAVEN_URL"
"""Base URL of a Maven repository to fetch from instead of Maven Central; digests still decide."""

_AT_ONCE = 4
_ATTEMPTS = 3
_TIMEOUT_S = 20


def fetch(jars: Sequence[Jar], home: Path, what: str, progress: Progress) -> None:
    """Bring ``jars`` into ``home/jars``; raise BrokerError when one cannot be had as locked."""
    total = sum(jar.size for jar in jars)
    progress(f"fetching {what}: {len(jars)} jars, {_mb(total)}; needed once")
    with _workspace(home) as work:
        for count, (jar, path) in enumerate(_fetched(jars, work), start=1):
            os.replace(path, home / "jars" / jar.name)
            progress(f"[{count}/{len(jars)}] {jar.name}, {_mb(jar.size)}")


@contextmanager
def _workspace(home: Path) -> Iterator[Path]:
    # callers hold the set-up lock, so whatever lies here was left by an interrupted set-up
    work = home / "fetching"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    (home / "jars").mkdir(exist_ok=True)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _fetched(jars: Sequence[Jar], work: Path) -> Iterator[tuple[Jar, Path]]:
    """Yield each jar with its verified file, as they come; raise the first failure."""
    todo: SimpleQueue[Jar] = SimpleQueue()
    done: SimpleQueue[tuple[Jar, Path | BrokerError]] = SimpleQueue()
    stop = threading.Event()
    for jar in jars:
        todo.put(jar)
    for _ in range(min(_AT_ONCE, len(jars))):
        # daemons, because a pool would make Ctrl-C wait for a server that hangs
        threading.Thread(target=_work, args=(todo, done, stop, work), daemon=True).start()
    try:
        for _ in jars:
            jar, result = done.get()
            if isinstance(result, BrokerError):
                raise result
            yield jar, result
    finally:
        stop.set()


def _work(
    todo: SimpleQueue[Jar],
    done: SimpleQueue[tuple[Jar, Path | BrokerError]],
    stop: threading.Event,
    work: Path,
) -> None:
    with suppress(Empty):
        while not stop.is_set():
            jar = todo.get_nowait()
            done.put((jar, _fetch_one(jar, work)))


def _fetch_one(jar: Jar, work: Path) -> Path | BrokerError:
    """Download one jar into ``work``: its path when its digest is the locked one, else why not."""
    fault = ""
    for _ in range(_ATTEMPTS):
        try:
            path = _download(jar, Path(tempfile.mkdtemp(dir=work)))
            found = hashlib.sha256(path.read_bytes()).hexdigest()
        except (OSError, RuntimeError) as error:
            fault = f"{type(error).__name__}: {error}"
            continue
        return path if found == jar.sha256 else _altered(jar, found)
    return _unreachable(jar, fault)


def _download(jar: Jar, folder: Path) -> Path:
    # only a set-up needs jgo, a start does not
    from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415

    mirror = os.environ.get(MIRROR_VARIABLE)
    remotes = {"mirror": mirror.rstrip("/")} if mirror else None
    context = MavenContext(
        PythonResolver(), repo_cache=folder, remote_repos=remotes, timeout=_TIMEOUT_S
    )
    return context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()


def _altered(jar: Jar, found: str) -> BrokerError:
    return BrokerError(
        f"refused {jar.name}: what was served has SHA-256 {found[:12]}, locked is "
        f"{jar.sha256[:12]}",
        f"try again, and if it stays so ask who runs the proxy or mirror in between, "
        f"{OTHER_BROKER}",
    )


def _unreachable(jar: Jar, fault: str) -> BrokerError:
    return BrokerError(
        f"could not fetch {jar.name} in {_ATTEMPTS} attempts",
        "the first start needs the network once: check the connection and the proxy settings, "
        f"set {MIRROR_VARIABLE} to a Maven repository that can be reached, {OTHER_BROKER}",
        fault,
    )


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
