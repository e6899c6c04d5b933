"""A real Apicurio Registry on loopback, from Maven Central, on the Java that pip brought.

The first use fetches it into a cache folder (159 MB, from Maven Central alone) and checks its
digest; later ones start it in ten seconds. ``STREAMS_TEST_HOME`` moves the folder. Its state is in
memory and ends with it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streams.broker import BrokerError
from streams.broker.fetch import MIRROR_VARIABLE
from streams.broker.java import java_binary
from streams.broker.process import Child
from tests.caching import cache

GROUP, ARTIFACT, VERSION = "io.apicurio", "apicurio-registry-app", "3.3.3"
SHA256 = "8bc6751c76d963734224b01d5e7f84ccb3cb61c87d3bd77c36c35f10a5cbed63"
FETCH_TIMEOUT_S = 60
START_TIMEOUT_S = 180
_LISTENS = re.compile(r"Listening on: http://127\.0\.0\.1:(\d+)\.")
_OPTIONS = (
    "-Xmx256m",
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-Dquarkus.http.host=127.0.0.1",
    "-Dquarkus.http.port=0",
    "-Dquarkus.management.host=127.0.0.1",
    "-Dquarkus.management.port=0",
)


class ServerUnavailable(Exception):
    """The server cannot be had here; the text says what is missing. Tests skip by it."""


class RegistryServer:
    """One server process, which ends with the tests however these end."""

    def __init__(self, home: Path, folder: Path) -> None:
        self.home, self.log = home, folder / "registry.log"
        self.port = 0
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """Address of the interface that Confluent's clients speak."""
        return f"http://127.0.0.1:{self.port}/apis/ccompat/v7"

    def start(self) -> None:
        """Start it and wait until it listens."""
        command = [str(java_binary()), *_OPTIONS, "-jar", str(self.home / "quarkus-run.jar")]
        child = self._child = Child(command, self.log, tied=True)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not (found := _LISTENS.search(self.log.read_text(errors="replace"))):
            if child.exit_code() is not None or time.monotonic() > deadline:
                self.kill()
                tail = self.log.read_text(errors="replace")[-2000:]
                raise ServerUnavailable(f"Apicurio Registry did not start: {tail}")
            time.sleep(0.05)
        self.port = int(found[1])

    def kill(self) -> None:
        """End it without warning, by its process id; returns when it is gone."""
        if self._child is not None:
            self._child.kill()
            self._child = None


@contextmanager
def registry_server() -> Iterator[RegistryServer]:
    """A running, empty registry; ended on the way out. Raises ServerUnavailable."""
    try:
        home = installed()
    except BrokerError as error:
        raise ServerUnavailable(str(error)) from error
    with tempfile.TemporaryDirectory(prefix="registry-") as folder:
        server = RegistryServer(home, Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.kill()


def installed() -> Path:
    """The folder that holds the unpacked server; fetches it first when it does not yet."""
    java_binary()
    home = cache() / f"{ARTIFACT}-{VERSION}-{SHA256[:12]}"
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "installed").exists():
            _install(home)
            (home / "installed").touch()
    return home


def _install(home: Path) -> None:
    with tempfile.TemporaryDirectory(dir=home) as folder:
        archive = _fetch(Path(folder))
        with archive.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != SHA256:
            raise ServerUnavailable(f"what was served as {ARTIFACT} {VERSION} has SHA-256 {digest}")
        with tarfile.open(archive) as content:
            content.extractall(home, filter="data")


def _fetch(folder: Path) -> Path:
    try:
        from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415 - absent: tests skip
    except ImportError:
        raise ServerUnavailable("not installed: the Python package jgo") from None
    mirror = os.environ.get(MIRROR_VARIABLE)
    context = MavenContext(
        PythonResolver(),
        repo_cache=folder,
        remote_repos={"mirror": mirror.rstrip("/")} if mirror else None,
        timeout=FETCH_TIMEOUT_S,
    )
    component = context.project(GROUP, ARTIFACT).at_version(VERSION)
    try:
        return component.artifact("all", "tar.gz").resolve()
    except (OSError, RuntimeError) as error:
        raise ServerUnavailable(f"cannot fetch {ARTIFACT} {VERSION}: {error}") from error
