"""What several workers cost: the keyed count by one, two and four, on one core.

All workers have joined and have their partitions, then they are halted (SIGSTOP) while the input is
loaded, and go on together; so each is behind from its first record to its last, as the one is. CPU
is that of all of them with all that they started, from when they go on until committed positions
cover the input. A round has one run for each number of workers, so that a busy minute hits all
alike. The counts are read from the changelog, and must be right to the key.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from bench.harness import load, oracle, trees
from bench.harness.errors import BenchError
from bench.harness.ground import PARTITIONS, Ground
from bench.harness.group import Group
from bench.harness.process import Contender
from bench.harness.rounds import Figures
from bench.keyed_count import records
from streams.engine.emit import POSITION
from streams.engine.stores import TaskStore
from streams.engine.tails import last_positions

WORKERS = (1, 2, 4)
EVENTS, QUICK_EVENTS = 3_000_000, 20_000
SESSION_MS = 80_000
"""Longer than the input takes to load: its group must not put out who is halted."""
TIMEOUT_SECONDS = 300
SUB = "by_count"
"""The sub-topology of a lone step of that name."""


class Scale:
    """The bench; see the module."""

    name = "scale"
    about = "CPU by event of the keyed count by one, two and four workers"
    cases: Sequence[str] = ("1000", "100000")
    contenders: Sequence[str] = ("ours",)
    baselines: Mapping[str, float] = {}

    def __init__(self, ground: Ground, quick: bool = False) -> None:
        self.ground, self.events = ground, QUICK_EVENTS if quick else EVENTS
        self._runs = 0

    def prepare(self, case: str, contenders: Sequence[str]) -> None:
        """The input comes when the workers are there."""

    def run(self, case: str, contender: str) -> Figures:
        """A run for each number of workers: microseconds of CPU an event."""
        spent = {workers: self._run(case, contender, workers) for workers in WORKERS}
        figures = {f"cpu_us_{workers}": cpu for workers, cpu in spent.items()}
        return figures | {f"{n}_by_1": cpu / spent[1] for n, cpu in spent.items() if n > 1}

    def _run(self, case: str, contender: str, workers: int) -> float:
        self._runs += 1
        where, topic = self.ground.bootstrap, f"bench.scale.{self._runs}"
        application = f"scale-{self._runs}-{contender}"
        settings = {
            "application": application,
            "topic": topic,
            "events": self.events,
            "session_timeout_ms": SESSION_MS,
        }
        load.create(where, topic, PARTITIONS)
        with ExitStack() as ending:
            started = [
                ending.enter_context(self.ground.start(contender, self.name, settings))
                for _ in range(workers)
            ]
            group = Group(where, application)
            group.wait(topic, [PARTITIONS // workers] * workers, lambda: _check(started))
            with halted(started):
                load.fill(where, topic, records(self.events, int(case)))
                before = _cpu(started)
            await_positions(where, f"{application}-{SUB}-changelog", self.events, started)
            spent = _cpu(started) - before
        self._verify(contender, topic, application)
        return spent / self.events * 1e6

    def _verify(self, contender: str, topic: str, application: str) -> None:
        where = self.ground.bootstrap
        truth = load.count_keys(where, topic, PARTITIONS)
        oracle.require_equal(contender, truth, counts(where, f"{application}-{SUB}-changelog"))


@contextmanager
def halted(started: Sequence[Contender]) -> Iterator[None]:
    """Processes that do nothing within the ``with`` block."""
    for one in started:
        one.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for one in started:
            one.signal(signal.SIGCONT)


def await_positions(where: str, changelog: str, events: int, started: Sequence[Contender]) -> None:
    """Wait until committed positions cover so many events; raises BenchError when they do not."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while read(where, changelog) < events:
        _check(started)
        if time.monotonic() > deadline:
            raise BenchError(f"not done after {TIMEOUT_SECONDS} s", "see the contenders' logs")
        time.sleep(0.05)


def read(where: str, changelog: str) -> int:
    """How many records the committed positions of all tasks cover."""
    found = last_positions({"bootstrap.servers": where}, {changelog: PARTITIONS})
    return sum(said["read"] for one in found.values() for said in one["counts"].values())


def counts(where: str, changelog: str) -> dict[str, int]:
    """The counts as the changelog has them, committed only: what the next owner would have."""
    stores = [TaskStore() for _ in range(PARTITIONS)]
    for message in load.messages(where, changelog, PARTITIONS):
        key, partition = message.key() or b"", message.partition() or 0
        if key != POSITION:
            stores[partition].replay(key, message.value())
    tables = [store.scope("count").table("counts") for store in stores]
    return {key.decode(): count for table in tables for key, count in table.items()}


def _cpu(started: Sequence[Contender]) -> float:
    return trees.cpu_seconds(one.process.pid for one in started)


def _check(started: Sequence[Contender]) -> None:
    for one in started:
        one.check()
