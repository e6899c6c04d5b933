"""Processes that a test starts, watches and ends."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from signal import SIGTERM, Signals
from typing import Any

WAIT_S = 60.0


def until(what: str, condition: Callable[[], Any], seconds: float = WAIT_S) -> Any:
    """Wait for a condition and return what it gave; fail with its name when it does not come."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"did not happen within {seconds} s: {what}"
        time.sleep(0.05)
    return found


class Worker:
    """A worker process whose output goes to a file; ended by its process id only."""

    def __init__(self, argv: Sequence[str], log: Path, environment: dict[str, str]) -> None:
        self.log = log
        self.began = time.monotonic()
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                argv, stdout=output, stderr=output, env=environment, cwd=log.parent
            )

    def said(self, words: str) -> bool:
        """Whether its output so far has these words; fails when the process has ended."""
        text = self.log.read_text()
        if words not in text:
            assert self.process.poll() is None, f"exit {self.process.returncode}: {text[-3000:]}"
        return words in text

    def told(self, event: str) -> list[dict[str, Any]]:
        """The facts of the log lines of one event."""
        lines = [line for line in self.lines() if line.startswith("{")]
        return [facts for facts in map(json.loads, lines) if facts["event"] == event]

    def lines(self) -> list[str]:
        """The whole lines of its output so far; one that it is writing is not among them."""
        whole, _, _ = self.log.read_text(errors="replace").rpartition("\n")
        return whole.splitlines()

    def end(self, number: Signals = SIGTERM, seconds: float = 20) -> int:
        """End it with a signal, wait until it is gone, return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def clean_up(self) -> None:
        """End it whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Supervisor(threading.Thread):
    """Starts a worker again whenever it ends, until told to stop; keeps the exit codes."""

    def __init__(self, start: Callable[[], Worker]) -> None:
        super().__init__(name="supervisor", daemon=True)
        self.start_one, self.codes = start, list[int]()
        self.worker = start()
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.is_set():
            with suppress(subprocess.TimeoutExpired):
                self.codes.append(self.worker.process.wait(0.1))
                if not self.stopping.is_set():
                    self.worker = self.start_one()

    def stop(self) -> int:
        """Stop the worker in an orderly way and return its exit code."""
        self.stopping.set()
        self.join()
        return self.worker.end()

    def clean_up(self) -> None:
        """End the worker whatever it does, and start no other: else one would outlive the test."""
        self.stopping.set()
        self.join(10)
        self.worker.clean_up()
