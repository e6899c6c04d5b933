"""A real Toxiproxy on loopback between the clients and a broker: built once by ``go install``.

The first use builds it into a cache folder (some 100 s, from the Go module proxy); later ones
start it in a moment. ``STREAMS_TEST_HOME`` moves the folder, ``STREAMS_TOXIPROXY`` names a program
that is there already.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from streams.broker import EmbeddedBroker, ports
from streams.broker.config import HOST
from streams.broker.process import Child
from streams.broker.ready import answers
from tests.caching import cache

MODULE, VERSION = "github.com/Shopify/toxiproxy/v2/cmd/server", "v2.5.0"
BUILD_S, START_S = 900, 20
GO = ("/usr/local/go/bin/go", "/usr/lib/go/bin/go")
"""Where Go's own installers put it, which is not always on the PATH."""


class Unavailable(Exception):
    """Toxiproxy cannot be had here; the text says what is missing."""


def installed() -> Path:
    """The program; builds it first where it is not there yet. Raises Unavailable."""
    named = os.environ.get("STREAMS_TOXIPROXY")
    if named:
        return Path(named)
    home = cache() / f"toxiproxy-{VERSION}"
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        program = home / "server"
        if not program.exists():
            _build(home)
    return program


def _build(home: Path) -> None:
    go = shutil.which("go") or next((path for path in GO if os.access(path, os.X_OK)), None)
    if go is None:
        raise Unavailable("no Go toolchain, which builds Toxiproxy: install golang 1.17 or later")
    own = {**os.environ, "GOBIN": str(home / "building")}
    argv = [go, "install", f"{MODULE}@{VERSION}"]  # Go checks it against its checksum database
    built = subprocess.run(
        argv, env=own, capture_output=True, text=True, timeout=BUILD_S, check=False
    )
    if built.returncode:
        raise Unavailable(f"go install {MODULE}@{VERSION}: {built.stderr[-1000:]}")
    os.replace(home / "building" / "server", home / "server")


class ProxiedBroker:
    """One broker that clients reach through a proxy only: it advertises the proxy's port."""

    def __init__(self, folder: Path, extra: dict[str, str]) -> None:
        self._program = installed()
        self._api, self._port = ports.choose(0)
        self._behind, _ = ports.choose(0)
        self._folder, self._extra = folder, extra
        self._proxy: Child | None = None
        self._broker: EmbeddedBroker | None = None

    @property
    def bootstrap(self) -> str:
        """The proxy's address."""
        return f"{HOST}:{self._port}"

    def __enter__(self) -> Self:
        argv = [str(self._program), "-host", HOST, "-port", str(self._api)]
        self._proxy = Child(argv, self._folder / "toxiproxy.log", tied=True)
        deadline = time.monotonic() + START_S
        while not answers(self._api):
            if time.monotonic() > deadline or self._proxy.exit_code() is not None:
                raise Unavailable((self._folder / "toxiproxy.log").read_text()[-1000:])
            time.sleep(0.02)
        upstream = f"{HOST}:{self._behind}"
        self._ask("/proxies", {"name": "kafka", "listen": self.bootstrap, "upstream": upstream})
        inner, control = ports.choose(0)
        extra = {**self._extra, **self._listeners(inner, control)}
        self._broker = EmbeddedBroker(port=inner, extra=extra)
        self._broker.start()
        return self

    def _listeners(self, inner: int, control: int) -> dict[str, str]:
        """A second listener, of which clients only learn the proxy's address."""
        names = "PLAINTEXT:PLAINTEXT,FAULTY:PLAINTEXT,CONTROLLER:PLAINTEXT"
        plain, faulty = f"PLAINTEXT://{HOST}:{inner}", f"FAULTY://{HOST}:{self._behind}"
        return {
            "listeners": f"{plain},{faulty},CONTROLLER://{HOST}:{control}",
            "advertised.listeners": f"{plain},FAULTY://{self.bootstrap}",
            "listener.security.protocol.map": names,
            "controller.quorum.voters": f"1@{HOST}:{control}",
        }

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._broker is not None:
            self._broker.stop()
        if self._proxy is not None:
            self._proxy.kill()

    # Faults ---------------------------------------------------------------------------------------

    def toxic(self, kind: str, stream: str = "downstream", **attributes: int) -> None:
        """Add a toxic: ``latency``, ``reset_peer``, ``timeout`` (nothing comes through) ..."""
        body = {"name": f"{kind}-{stream}", "type": kind, "stream": stream}
        self._ask("/proxies/kafka/toxics", {**body, "attributes": attributes})

    def heal(self) -> None:
        """Take all toxics away, and let everybody in again."""
        self._ask("/reset", {})

    def cut(self) -> None:
        """End all connections, and refuse new ones."""
        self._ask("/proxies/kafka", {"enabled": False})

    def _ask(self, path: str, body: dict[str, Any]) -> None:
        request = urllib.request.Request(
            f"http://{HOST}:{self._api}{path}", json.dumps(body).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()
