"""Documents that are run: their lines in a shell, their workers in terminals of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGTERM

from streams.broker import EmbeddedBroker
from tests.docs.reading import commands
from tests.docs.render import ROOT

SCRIPTS = Path(sys.executable).parent
SECONDS = 180
_SAVED = re.compile(
    r"ave this as\s+`([\w.]+)`.*?^```(?:python|toml|json)\n(.*?)^```$", re.DOTALL | re.MULTILINE
)


def checkout(folder: Path, text: str, broker: str, application: str) -> Shell:
    """A shell in a folder like a checkout: our data, the files that the document shows.

    Its Kafka is that of the tests.
    """
    (folder / ".venv").symlink_to(SCRIPTS.parent)
    (folder / "streams").mkdir()
    (folder / "streams" / "data").symlink_to(ROOT / "streams" / "data")
    for name, content in saved(text).items():
        (folder / name).write_text(content)
    own = {
        "STREAMS_BROKER": broker,
        "STREAMS_APPLICATION": application,
        "PATH": f"{SCRIPTS}:{os.environ['PATH']}",
    }
    return Shell(folder, {**os.environ, **own})


def saved(text: str) -> dict[str, str]:
    """The files that a document asks to save, by name."""
    return {found[1]: found[2] for found in _SAVED.finditer(text)}


def shown(text: str) -> dict[str, str]:
    """What each command prints, where the document shows it: a ``text`` block right after it."""
    pairs = re.findall(
        r"^```sh\n([^`]*?)^```\n+```text\n(.*?)^```$", text, re.DOTALL | re.MULTILINE
    )
    return {commands(f"```sh\n{lines}```\n")[-1]: output for lines, output in pairs}


@dataclass
class Shell:
    """A user's shell in a folder with what the document speaks of."""

    folder: Path
    environment: dict[str, str]
    workers: list[Worker] = field(default_factory=list)

    def run(self, line: str) -> str:
        """Run one line, which must succeed; returns what it printed to standard output."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            cwd=self.folder, env=self.environment, capture_output=True, text=True,
            timeout=SECONDS, check=False,
        )  # fmt: skip
        assert (0, line) == (done.returncode, line), done.stderr
        return done.stdout

    def work(self, line: str) -> None:
        """Start a worker, and wait until it has a task."""
        worker = Worker(line, self.folder, self.environment)
        self.workers.append(worker)
        until("the worker has its tasks", lambda: worker.said("task_recovered"))

    def stop(self) -> list[int]:
        """Stop the workers as a user does; returns their exit codes."""
        return [worker.stop() for worker in self.workers]

    def clean_up(self) -> None:
        """End what still runs."""
        for worker in self.workers:
            worker.clean_up()


@contextmanager
def on_new_kafka(folder: Path, text: str) -> Iterator[Shell]:
    """An empty folder with the files that a page asks to save, and a new Kafka."""
    with EmbeddedBroker() as broker:
        made = checkout(folder, text, broker.bootstrap, "streams")
        yield made
        made.clean_up()


class Worker:
    """A command in a terminal of its own."""

    def __init__(self, line: str, folder: Path, environment: dict[str, str]) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            ["bash", "-c", f"exec {line}"],
            stderr=subprocess.PIPE, text=True, cwd=folder, env=environment,
        )  # fmt: skip
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.lines.extend(self.process.stderr)

    def said(self, words: str) -> bool:
        """Whether a line of its standard error has these words; fails when it has ended."""
        assert self.process.poll() is None, "".join(self.lines)
        return any(words in line for line in self.lines)

    def stop(self) -> int:
        """Stop it as a user does, and return its exit code."""
        self.process.send_signal(SIGTERM)
        return self.process.wait(60)

    def clean_up(self) -> None:
        """End it whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def until(what: str, condition: Callable[[], bool]) -> None:
    """Wait for a condition; fail with its name when it does not come."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"did not happen within {SECONDS} s: {what}"
        time.sleep(0.05)
