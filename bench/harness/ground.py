"""What a bench runs on: the embedded Kafka on its core, and a place for files."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.harness import cores
from bench.harness.envs import BENCH
from bench.harness.process import SAMPLES, Contender
from bench.harness.progress import say
from streams.broker import EmbeddedBroker

PARTITIONS = 4


class Ground:
    """The broker and this process share one core, contenders get the other."""

    def __init__(self, sampled: bool = False) -> None:
        self.sampled = sampled
        """Whether contenders are sampled by a profiler."""
        self.samples: list[Path] = []
        self.cores = cores.choose()
        base = BENCH / ".work"
        base.mkdir(exist_ok=True)
        self.work = Path(tempfile.mkdtemp(prefix="run-", dir=base))
        self._broker = EmbeddedBroker()
        self.bootstrap = ""

    def __enter__(self) -> Self:
        say(f"cores: {self.cores}")
        cores.pin(self.cores.broker)  # before the broker's process and threads exist: they inherit
        say("starting Kafka")
        self.bootstrap = self._broker.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._broker.stop()
        if error is None:
            shutil.rmtree(self.work)

    def start(self, contender: str, bench: str, settings: dict[str, Any]) -> Contender:
        """Start a contender on its core; it ends with the ``with`` block it is used in."""
        told = {"bootstrap": self.bootstrap, "partitions": PARTITIONS, **settings}
        core, work = self.cores.worker, self.work
        found = Contender(contender, bench, told, core, work, self.sampled)
        self.samples.append(found.folder / SAMPLES)
        return found
