"""How long until results come again: after a worker was killed, and from an empty disk.

A keyed count whose every new count is a result, with a state of as many keys as the case says, in
four tasks. One run of a contender, in order:

1. Two workers share four empty partitions, two each; then the input comes, some keys twice.
2. Fail-over: records trickle in, 50 a second and partition; one worker is killed with SIGKILL.
   ``failover_s`` is from then until each partition has a result of a record that was sent after
   it, at a read_committed consumer. ``noticed_s`` is when the group had let the dead one go: its
   session timeout, less what had gone by of it.
3. Cold start: all are killed, the group is empty, what they had open is over, a record waits in
   each partition. A worker starts with an empty disk. ``first_s`` and ``cold_s`` are from the start
   of its process until the first, and the last partition has its result; ``cold_cpu_s`` is the CPU
   that it has used by then.
4. Where state is on disk, that worker is killed and a new one starts on its disk: ``disk_s``.

Afterwards the last count of every key in the results must be the number of its records.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench.harness import java, load, oracle, outputs, trees
from bench.harness.envs import plain_of, variant_of
from bench.harness.ground import PARTITIONS, Ground
from bench.harness.group import Departure, Group
from bench.harness.load import Record
from bench.harness.probes import Probes, Results, Trickle, answered
from bench.harness.process import Contender
from bench.harness.rounds import Figures

VALUE_BYTES = 100
SEED = 7
AGAIN = 0.2
"""Share of the keys that come twice, so that counts differ."""
SESSION_MS = 6_000
"""What brokers accept at least, for all contenders."""
STEADY_SECONDS = 2.0
QUICK_KEYS = 20_000
JAVA = ("kafka_streams", "kafka_streams:standby")
ON_DISK = ("ours_disk", *JAVA)


class Recovery:
    """The bench; see the module."""

    name = "recovery"
    about = "fail-over and recovery of 1,000,000 keys in four tasks"
    cases: Sequence[str] = ("1000000",)
    contenders: Sequence[str] = ("ours", "ours_disk", *JAVA)
    baselines: Mapping[str, float] = {"kafka_streams": 2, "kafka_streams:standby": 2}
    ratios: Mapping[str, str] = {"failover_s": "<=", "cold_s": "<="}
    durable: Mapping[str, str] = {
        "ours": "changelog and position in one transaction a task: exactly once; state in memory",
        "ours_disk": "the same; state in RocksDB, a copy of the changelog",
        "kafka_streams": "exactly_once_v2; state in RocksDB, without standby",
        "kafka_streams:standby": "the same, with one standby replica",
    }

    def __init__(self, ground: Ground, quick: bool = False) -> None:
        self.ground, self.quick = ground, quick
        self._runs = 0

    def prepare(self, case: str, contenders: Sequence[str]) -> None:
        """The input comes when the workers are there."""

    def run(self, case: str, contender: str) -> Figures:
        """One run of a contender: everything above; its counts must be right to the key."""
        self._runs += 1
        keys = QUICK_KEYS if self.quick else int(case)
        with ExitStack() as ending:
            run = Run(self.ground, contender, self._runs, keys, ending)
            figures = run.failover() | run.cold()
            if contender in ON_DISK:
                figures |= run.disk()
        run.verify()
        return figures


class Run:
    """One contender with a topic, a group and a state of its own."""

    def __init__(
        self, ground: Ground, contender: str, number: int, keys: int, ending: ExitStack
    ) -> None:
        self.ground, self.contender, self.keys, self._ending = ground, contender, keys, ending
        self.where = ground.bootstrap
        self.topic, self.output = f"bench.recovery.{number}", f"bench.recovery.{number}.counts"
        self.application = f"recovery-{number}-{plain_of(contender)}"
        self.group = Group(self.where, self.application)
        self.workers: list[Contender] = []
        load.create(self.where, self.topic, PARTITIONS)
        if contender in JAVA:  # ours makes its own, by --create-topics
            load.create(self.where, self.output, PARTITIONS)

    def start(self, state: str) -> Contender:
        """A worker whose disk is the folder of that name."""
        home = self.ground.work / self.application / state
        home.mkdir(parents=True, exist_ok=True)
        found = self.ground.start(self.contender, Recovery.name, self._settings(home))
        self.workers.append(self._ending.enter_context(found))
        return found

    def _settings(self, home: Path) -> dict[str, Any]:
        told: dict[str, Any] = {
            "application": self.application,
            "topic": self.topic,
            "output": self.output,
            "session_timeout_ms": SESSION_MS,
            "state": str(home),
            "store": "rocks" if self.contender in ON_DISK else "memory",
            "standby": int(variant_of(self.contender) == "standby"),
        }
        if self.contender in JAVA:
            told["java"] = java.command("kafka_streams", "RecoveryCount")
        return told

    def check(self) -> None:
        """Raise BenchError when a worker has ended by itself."""
        for worker in self.workers:
            worker.check()

    def failover(self) -> Figures:
        """Build the state with two workers; kill one."""
        first, _ = self.start("a"), self.start("b")
        self.group.wait(self.topic, [PARTITIONS // 2] * 2, self.check)
        self._build()
        probes = Probes(self.where, self.topic, PARTITIONS, self.keys)
        with listening(self.where, self.output) as results, Trickle(probes):
            time.sleep(STEADY_SECONDS)
            return self._killed(first, probes, results)

    def _build(self) -> None:
        """Let all keys be counted; a new key in each partition comes last."""
        last = Probes(self.where, self.topic, PARTITIONS, PARTITIONS, first=self.keys)
        with listening(self.where, self.output) as results:
            began = time.perf_counter()
            load.fill(self.where, self.topic, records(self.keys))
            last.one_each()
            answered(last, results, began, self.check)

    def _killed(self, victim: Contender, probes: Probes, results: Results) -> Figures:
        self.group.wait(self.topic, [PARTITIONS // 2] * 2, self.check)
        departure = Departure(self.group, self.topic)
        departure.start()
        killed = time.perf_counter()
        self.end([victim])
        last = answered(probes, results, killed, self.check)[-1]
        departure.stopped = True
        departure.join()
        noticed = (departure.at or last) - killed
        return {"failover_s": last - killed, "noticed_s": noticed}

    def end(self, workers: Sequence[Contender]) -> None:
        """Kill workers."""
        for worker in list(workers):
            self.workers.remove(worker)
            worker.kill()

    def cold(self) -> Figures:
        """A new worker with an empty disk."""
        first, last, cpu = self._started("c")
        return {"first_s": first, "cold_s": last, "cold_cpu_s": cpu}

    def disk(self) -> Figures:
        """A new worker on the disk of one that was killed."""
        return {"disk_s": self._started("c")[1]}

    def _started(self, state: str) -> tuple[float, float, float]:
        """Seconds from a worker's start to the first and the last result; its CPU until then."""
        self.end(self.workers)
        self.group.wait(self.topic, [])
        self.group.settled(self.output)
        probes = Probes(self.where, self.topic, PARTITIONS, self.keys)
        with listening(self.where, self.output) as results:
            sent = time.perf_counter()
            probes.one_each()
            probes.flush()
            began = time.perf_counter()
            worker = self.start(state)
            arrived = answered(probes, results, sent, self.check)
            cpu = trees.cpu_seconds([worker.process.pid])
        return arrived[0] - began, arrived[-1] - began, cpu

    def verify(self) -> None:
        """The last count of each key is the number of its records."""
        truth = load.count_keys(self.where, self.topic, PARTITIONS)
        read = ours if self.contender not in JAVA else plain
        oracle.require_equal(self.contender, truth, dict(read(self.where, self.output)))


@contextmanager
def listening(bootstrap: str, topic: str) -> Iterator[Results]:
    """Results that are read within the ``with`` block."""
    results = Results(bootstrap, topic, PARTITIONS)
    results.start()
    try:
        yield results
    finally:
        results.stop()


def ours(bootstrap: str, topic: str) -> Iterator[tuple[str, int]]:
    """Each count that we wrote: its key and the count."""
    for message in load.messages(bootstrap, topic, PARTITIONS):
        if message.value() is not None:  # else a declared watermark
            value: Any = outputs.codec.decode(message.value(), None)[1]
            yield value.key, value.count


def plain(bootstrap: str, topic: str) -> Iterator[tuple[str, int]]:
    """Each count that Kafka Streams wrote."""
    for message in load.messages(bootstrap, topic, PARTITIONS):
        yield (message.key() or b"").decode(), int(message.value() or b"")


def records(keys: int, again: float = AGAIN) -> Iterator[Record]:
    """The input: every key, and some once more, in an order that is the same each time."""
    draw, value = random.Random(SEED), b"x" * VALUE_BYTES
    order = list(range(keys))
    draw.shuffle(order)
    for key in [*order, *order[: int(keys * again)]]:
        yield b"k%d" % key, value, key % PARTITIONS
