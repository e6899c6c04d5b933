"""One child process: started from a thread that outlives it, in a session of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

from streams.broker.java import environment

_TIE = str(Path(__file__).with_name("tie.py"))


class Child:
    """A running command whose output goes to a file.

    ``tied`` ends it when this process ends, however that happens (Linux; elsewhere only an orderly
    end does). A terminal's Ctrl-C never reaches it: who started it decides when it stops. ``extra``
    is added to its environment.
    """

    def __init__(
        self,
        argv: list[str],
        output: Path,
        tied: bool,
        nice: int = 0,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        self._argv = [*_tie(), *argv] if tied and sys.platform == "linux" else argv
        self._output = output
        self._nice = nice
        self._environment = {**environment(), **(extra or {})}
        started: Future[subprocess.Popen[bytes]] = Future()
        # the kernel ties a child to the *thread* that started it, so this thread stays until the
        # end of the child
        threading.Thread(target=self._keep, args=(started,), daemon=True, name="broker").start()
        self._popen = started.result()

    @property
    def pid(self) -> int:
        """Process id; the same before and after the launcher became Java."""
        return self._popen.pid

    def exit_code(self) -> int | None:
        """Exit code, None while it runs."""
        return self._popen.poll()

    def terminate(self, grace_s: float) -> None:
        """Ask it to end, wait ``grace_s`` seconds, then end it; returns when it is gone."""
        self._popen.terminate()
        try:
            self._popen.wait(grace_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it and what it started at once; returns when it is gone."""
        if self.exit_code() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()

    def _keep(self, started: Future[subprocess.Popen[bytes]]) -> None:
        try:
            popen = self._spawn()
        except OSError as error:
            started.set_exception(error)
            return
        if self._nice:
            os.setpriority(os.PRIO_PROCESS, popen.pid, self._nice)
        started.set_result(popen)
        popen.wait()

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self._output.open("wb") as output:
            return subprocess.Popen(
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**self._environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                cwd=self._output.parent,
                start_new_session=True,
            )


def gone(pid: int) -> bool:
    """Whether a process has ended; one that only waits for its parent to notice has."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:  # no /proc here, or it ended meanwhile: the next look tells
        return False
    return state == "Z"


def _tie() -> list[str]:
    return [sys.executable, "-I", "-S", _TIE, str(os.getpid())]
