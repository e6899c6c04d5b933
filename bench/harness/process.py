"""Runs one contender as a process of its own, pinned to its core."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from bench.harness import profile
from bench.harness.cores import pin
from bench.harness.envs import BENCH, PROJECT, ROOT, home_of, plain_of, python_of, variant_of
from bench.harness.errors import BenchError

_TIE = ROOT / "streams" / "broker" / "tie.py"
SAMPLES = "samples"
"""The file with a sampled contender's samples."""


class Outcome(msgspec.Struct, frozen=True):
    """What a contender told at its end."""

    events: int
    """Events within the measured time."""
    seconds: float
    cpu_seconds: float
    """Of its whole process tree."""
    folder: Path
    """Where its result lies."""
    more: dict[str, Any] = {}

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds

    @property
    def cpu_us_per_event(self) -> float:
        """Microseconds of CPU an event."""
        return self.cpu_seconds / self.events * 1e6


class Contender:
    """A running contender; ends with the ``with`` block."""

    def __init__(
        self,
        name: str,
        bench: str,
        settings: dict[str, Any],
        core: int | None,
        work: Path,
        sampled: bool = False,
    ) -> None:
        self.name = name
        home = home_of(name)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{plain_of(name)}-", dir=work))
        self._log = self.folder / "log"
        file = BENCH / "contenders" / home / f"{bench}.py"
        own = {"name": self.folder.name, "variant": variant_of(name)}
        told = {**own, **settings, "folder": str(self.folder)}
        spy = profile.command(self.folder / SAMPLES) if sampled else []
        argv = [*_tie(), *spy, str(python_of(name)), str(file)]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.folder,
                env=environment(home, told),
                start_new_session=True,
            )
        pin(core, self.process.pid)

    def __enter__(self) -> Contender:
        return self

    def __exit__(self, *problem: object) -> None:
        self.kill()

    def kill(self) -> None:
        """End all of it at once, as a machine does that loses power."""
        self.signal(signal.SIGKILL)
        self.process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all of its processes, if it still runs."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)

    def outcome(self, seconds: float) -> Outcome:
        """Wait until it has ended and return what it told; raises BenchError."""
        try:
            output, _ = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise self._failed(f"was not done after {seconds:.0f} s") from error
        for line in output.decode(errors="replace").splitlines():
            if line.startswith('{"bench"'):
                told = json.loads(line)["bench"]
                known = {name: told.pop(name) for name in ("events", "seconds", "cpu_seconds")}
                return Outcome(**known, folder=self.folder, more=told)
        raise self._failed(f"ended with exit {self.process.returncode} and no result")

    def check(self) -> None:
        """Raise BenchError when it has ended: it was to go on until it is stopped."""
        if self.process.poll() is not None:
            raise self._failed(f"ended with exit {self.process.returncode}")

    def _failed(self, how: str) -> BenchError:
        tail = self._log.read_text(errors="replace").strip().splitlines()[-3:]
        words = " / ".join(tail)[-600:] or "it said nothing"
        return BenchError(f"{self.name} {how} ({words})", f"see {self._log}")


def _tie() -> list[str]:
    """A step between that lets the contender end with us, however that happens."""
    if sys.platform != "linux":
        return []
    return [sys.executable, "-I", "-S", str(_TIE), str(os.getpid())]


def environment(home: str, told: dict[str, Any]) -> dict[str, str]:
    """What a contender finds in its environment: what to do, and where its modules are."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("STREAMS_", "PYTHON"))}
    folders = [BENCH / "worker", *([ROOT] if home in PROJECT else ())]  # this checkout, no other
    path = os.pathsep.join(map(str, folders))
    own = {"PYTHONPATH": path, "PYTHONHASHSEED": "0"}
    return {**kept, **own, "BENCH": json.dumps(told)}
