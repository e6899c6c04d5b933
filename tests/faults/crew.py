"""Workers and those who start them again; waiting for what happens."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from tests.kafka.world import Supervisor, Worker

WAIT_S = 150.0
"""How long anything may take on a busy machine."""


class Failed(Exception):
    """A run did not come to its end, or broke a promise that is not about records."""


class Employer(Supervisor):
    """Starts a worker again whenever it ends, unless it is to wait with that."""

    def __init__(self, start: Callable[[], Worker]) -> None:
        self.hold = threading.Event()
        """While it is set, the next worker is not started."""

        def begin() -> Worker:
            while self.hold.is_set():
                time.sleep(0.02)
            return start()

        super().__init__(begin)

    def await_deaths(self, number: int) -> None:
        """Wait until so many workers have ended."""
        until(f"{number} workers have ended", lambda: len(self.codes) >= number)


Task = tuple[str, int]
"""A sub-topology and a partition."""


def recovered(worker: Worker) -> dict[Task, float]:
    """The tasks that a worker brought to their last checkpoints, and when (seconds since 1970)."""
    found = dict[Task, float]()
    for line in worker.lines():
        if '"event": "task_recovered"' in line:
            said = json.loads(line)
            at = datetime.fromisoformat(said["timestamp"]).timestamp()
            found[said["sub_topology"], said["partition"]] = at
    return found


def last_words(worker: Worker) -> str:
    """Why a worker ended by itself, in its own words."""
    code = worker.process.poll()
    if code is None or code <= 0:
        return ""
    lines = worker.log.read_text(errors="replace").splitlines()
    said = [line for line in lines if line.startswith(("streams:", "error:"))]
    return f"exit {code}: {said[-1][:300] if said else lines[-1:]}"


def until(what: str, condition: Callable[[], Any], seconds: float = WAIT_S) -> Any:
    """Wait for a condition and return what it gave; raises Failed with its name."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise Failed(f"did not happen within {seconds:g} s: {what}")
        time.sleep(0.1)
    return found
