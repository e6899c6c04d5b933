"""One run: broker, workers, sink, load and watcher; what a fault script acts on."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any, Protocol

import msgspec
from confluent_kafka import ConsumerGroupState, KafkaException
from confluent_kafka.admin import AdminClient

from streams.engine import groups
from tests.faults.crew import WAIT_S, Employer, Failed, Task, last_words, recovered, until
from tests.faults.inputs import ORDERS, PARTITIONS, VISITS, Shape
from tests.faults.oracle import court
from tests.faults.oracle.reading import sizes, table
from tests.faults.oracle.truth import Truth
from tests.faults.oracle.verdict import Verdict, judge_rows
from tests.faults.smalldisk import SmallDisk
from tests.faults.tail import Tail
from tests.kafka.world import Supervisor, Worker
from tests.postgres import PostgresServer

ROOT = Path(__file__).parents[2]
MODULE = "tests.faults.job"
CHANGELOG = "streams-tests_faults_job-by_account-changelog"
LONG_TABLES = {"fault.shop_windows": "fault_shop_windows_live"}
"""Of a long run: seven million tallies are more rows than a test may ask a disk for."""
TABLES = {"fault.tallies": "fault_tallies_live", **LONG_TABLES}
ENGINE: dict[str, str] = {
    "STREAMS_PARTITIONS": str(PARTITIONS),
    "STREAMS_ENGINE__LATENESS_MS": "2000",
    "STREAMS_ENGINE__RETRACT_GRACE_MS": "15000",
    "STREAMS_ENGINE__SESSION_TIMEOUT_MS": "3000",
    "STREAMS_ENGINE__IDLE_TIMEOUT_MS": "120000",  # workers may wait for their load
    "STREAMS_LOG_FORMAT": "json",
}
LEAST_RATE = 5000 * 0.99
"""Events a second below which a run is of less load than the suite claims."""
HICCUP_S = 0.25
"""What a load may end late by all the same: a moment in which the machine stood still."""
SETTLED_S = 1.5
"""How long nothing may change before a run counts as over."""
QUIET_S = 10.0
STALL_S = 120.0
"""How long nothing may change before what is missing counts as lost."""


class Broker(Protocol):
    """A Kafka that can be started, and broken."""

    @property
    def bootstrap(self) -> str: ...


class Outcome(msgspec.Struct):
    """One line of the table."""

    fault: str
    seed: int
    events: int = 0
    lost: int = 0
    doubled: int = 0
    wrong: int = 0
    recovery_ms: list[int] = []
    """Of each fault of the run: until every task had written again."""
    seconds: float = 0.0
    """How long it took, without judging."""
    rate: float = 0.0
    """Events a second that the load reached."""
    exits: dict[str, int] = {}
    """How often workers ended with each exit code."""
    silence_ms: int = 0
    """The longest time under load in which some task gave nothing."""
    stop_ms: int = 0
    """How long the slowest worker took to stop at the end."""
    checked: dict[str, int] = {}
    notes: list[str] = []
    slow: bool = False
    """Whether the load fell short of what the suite claims."""
    error: str = ""

    def amiss(self, error: Exception) -> None:
        """What ended the run."""
        self.error = f"{type(error).__name__}: {str(error)[:2000]}"

    @property
    def exact(self) -> bool:
        """Whether nothing is lost, doubled or wrong, and the run came to its end."""
        return not (self.lost or self.doubled or self.wrong or self.error)

    @property
    def clean(self) -> bool:
        """Whether it is exact, and was so under the load that the suite claims."""
        return self.exact and not self.slow


class Arena:
    """The processes of one run; every one is ended by its process id."""

    def __init__(
        self, folder: Path, broker: Broker, fault: str, shape: Shape,
        postgres: PostgresServer, environment: dict[str, str] | None = None, long: bool = False,
    ) -> None:  # fmt: skip
        self.long = long
        self.folder, self.broker, self.shape, self.postgres = folder, broker, shape, postgres
        self.environment = {**ENGINE, **(environment or {})}
        self.chance = random.Random(shape.seed * 7919 + 1)
        self.outcome = Outcome(fault, shape.seed)
        self.crew: list[Employer] = []
        self.loose: list[Worker] = []
        self.began = time.monotonic()
        self.bootstrap = broker.bootstrap
        self.admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        self.schema = f"{fault}_{shape.seed}"
        kept = LONG_TABLES if long else TABLES
        self.tables = {topic: f'"{self.schema}".{name}' for topic, name in kept.items()}
        self.undo = ExitStack()
        self._count = 0
        self.plans: Iterator[dict[str, str]] = iter(())
        """More environment of the next workers."""
        self.load: Worker | None = None
        self.sink: Supervisor | None = None
        self.faults: list[int] = []
        """When something was broken (ms)."""
        self.measured: dict[int, int] = {}
        """By such a moment, the recovery (ms) where its script measured it: no output tells it."""
        self.inside: list[str] = []
        """What the commands of workers begin with, where these live in a place of their own."""
        self.disk: SmallDisk | None = None
        """Theirs alone, where they have one."""

    # Processes ------------------------------------------------------------------------------------

    def spawn(
        self, name: str, argv: Sequence[str], inside: Sequence[str] = (), **environment: str
    ) -> Worker:
        """Start a Python module as a process of this run."""
        self._count += 1
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        own = {"STREAMS_BROKER": self.bootstrap, "PYTHONPATH": path}
        return Worker(
            [*inside, sys.executable, "-m", *argv],
            self.folder / f"{name}-{self._count}.log",
            {**os.environ, **self.environment, **own, **environment},
        )

    def worker(self, *options: str, **environment: str) -> Worker:
        """Start a worker of the job that nobody starts again."""
        argv = ["streams", "worker", "--module", MODULE, "--create-topics", "--wait", "60"]
        made = self.spawn("worker", [*argv, *options], self.inside, **environment)
        self.loose.append(made)
        return made

    def employ(self, workers: int = 1, **environment: str) -> None:
        """Start workers that are started again whenever they end."""
        for _ in range(workers):
            supervisor = Employer(lambda: self.worker(**environment, **next(self.plans, {})))
            supervisor.start()
            self.crew.append(supervisor)
            until("the topics are there", self._topics_there)

    def _topics_there(self) -> bool:
        try:
            found = self.admin.list_topics(timeout=5)
        except KafkaException:
            return False
        return {ORDERS, VISITS, "fault.shop_windows", "late_records"} <= found.topics.keys()

    def begin(self) -> None:
        """Start load and sink, and wait until the tasks have written their first outputs."""
        self.began = time.monotonic()
        until("a worker works", lambda: any(map(recovered, self.loose)))
        self.tail = Tail(self.bootstrap, PARTITIONS)
        self.tail.start()
        self.undo.callback(self.tail.stop)
        shape = json.dumps(self.shape._asdict())
        self.load = self.spawn("load", ["tests.faults.load", self.bootstrap, shape])
        self.sink = Supervisor(self._sink)
        self.sink.start()
        until("the outputs begin", lambda: self.loaded or len(self.tail.seen) >= 2 * PARTITIONS)

    def _sink(self) -> Worker:
        topics = [word for name in self.tables for word in ("--topic", name)]
        target = ["-o", f"uri={self.postgres.uri}", "-o", f"schema={self.schema}"]
        made = self.spawn(
            "sink", ["streams", "sink", "postgres", *target, "--module", MODULE, *topics]
        )
        self.loose.append(made)
        return made

    # Faults ---------------------------------------------------------------------------------------

    def pause(self, low: float, high: float) -> None:
        """Let a random time pass, as the next fault comes when it comes."""
        time.sleep(self.chance.uniform(low, high))

    def broke(self) -> None:
        """Note that something is broken from now on."""
        self.faults.append(time.time_ns() // 1_000_000)

    def pid(self, number: int = 0) -> int:
        """Process id of a worker."""
        return self.crew[number].worker.process.pid

    def kill(self, number: int = 0, sign: signal.Signals = signal.SIGKILL) -> Worker:
        """End a worker with a signal; its supervisor starts the next one, which is returned."""
        supervisor = self.crew[number]
        old = supervisor.worker
        self.broke()
        old.process.send_signal(sign)
        until("the next worker", lambda: supervisor.worker is not old)
        return supervisor.worker

    def ended(self, worker: Worker, seconds: float = WAIT_S) -> int | None:
        """Wait until a worker has ended by itself, and return its exit code."""
        until("the worker ends", lambda: worker.process.poll() is not None, seconds)
        return worker.process.returncode

    def recovered(self, seconds: float = WAIT_S) -> None:
        """Wait until every task has written since the last fault, while the load goes on."""
        at = self.faults[-1]

        def all_wrote() -> bool:
            ends = [moments[-1][1] for moments in list(self.tail.seen.values())]
            return all(end > at for end in ends) or self.loaded

        until("all tasks write again", all_wrote, seconds)

    def taken(self, gone: Worker) -> bool:
        """Whether every task of a worker has been taken over by another."""
        last = dict[Task, tuple[float, Worker]]()
        for worker in self.loose:
            for task, when in recovered(worker).items():
                last[task] = max(last.get(task, (0.0, worker)), (when, worker), key=itemgetter(0))
        return all(owner is not gone for _, owner in last.values())

    def members(self) -> int:
        """How many members the workers' group has; 0 while it rebalances.

        Not how many have partitions: of four, the two that were there first may keep two each.
        """
        name = f"streams.{MODULE.replace('.', '_')}"
        try:
            found = groups.describe(self.admin, [name])[name].result(10)
        except (KafkaException, TimeoutError):
            return 0
        return len(found.members) if found.state == ConsumerGroupState.STABLE else 0

    @property
    def loaded(self) -> bool:
        """Whether the load has ended."""
        return self.load is not None and self.load.process.poll() is not None

    # The end --------------------------------------------------------------------------------------

    def finish(self) -> Callable[[], Verdict]:
        """Wait for the end of the load and of what it causes, and stop; what is returned judges.

        Judging needs the broker, and nothing else of what others may use by then.
        """
        assert self.load is not None
        digests = court.digests_of(self.shape) if self.long else None
        code = self.load.process.wait(self.shape.seconds * 4 + 300)
        loaded_ms = time.time_ns() // 1_000_000
        said = self.load.log.read_text()
        if code:
            raise Failed(f"the load failed: {said[-500:]}")
        acked, seconds = said.split("acked ")[1].split()[:2]
        self.outcome.rate = round(int(acked) / float(seconds))
        self.outcome.slow = int(acked) / max(float(seconds) - HICCUP_S, 0.01) < LEAST_RATE
        if self.outcome.slow:
            self.outcome.notes.append(f"the load came to {self.outcome.rate} events a second only")
        if digests is not None:
            limit = max(STALL_S, self.shape.seconds / 3)  # what it was behind, in the end
            until("quiet", lambda: time.monotonic() - self.tail.changed > QUIET_S, limit)
            self._await_windows()
            self._end(loaded_ms)
            return partial(self._judge_long, digests, self._windows())
        truth = self._truth()
        self._settle(truth)
        self._end(loaded_ms)
        return partial(self._judge, truth, self._tallies(), self._windows())

    def _truth(self) -> Truth:
        grace = int(self.environment["STREAMS_ENGINE__RETRACT_GRACE_MS"])
        found = court.truth_in(self.bootstrap, self.shape, grace)
        self.outcome.events, truth = found.result()
        return truth

    def _end(self, loaded_ms: int) -> None:
        """Everything is there: stop, and note how it went."""
        self.outcome.silence_ms = self.tail.silence_ms(loaded_ms)
        self.outcome.recovery_ms = [
            self.measured[at] if at in self.measured else self.tail.recovery_ms(at)
            for at in self.faults
        ]
        self._stop()
        self.tail.stop()

    def _tallies(self) -> list[Any]:
        columns = ("order", "account", "shop", "amount_sat", "n", "sum_sat")
        return table(self.postgres.uri, self.tables["fault.tallies"], columns)

    def _windows(self) -> list[Any]:
        columns = ("shop", "window_end_ts", "n", "sum_sat")
        return table(self.postgres.uri, self.tables["fault.shop_windows"], columns)

    def _await_windows(self) -> None:
        """Wait until every window that was written is a row; what is missing then is lost."""
        name, until_s = self.tables["fault.shop_windows"], time.monotonic() + STALL_S
        written = self.tail.net["fault.shop_windows"]
        while sizes(self.postgres.uri, [name])[name] < written and time.monotonic() < until_s:
            time.sleep(0.5)

    def _judge(self, truth: Truth, tallies: list[Any], windows: list[Any]) -> Verdict:
        verdict = court.verdict_on(self.bootstrap, truth, CHANGELOG)
        judge_rows(verdict, truth, tallies, windows)
        return self._told(verdict)

    def _judge_long(
        self, digests: Future[dict[tuple[str, str], int]], windows: list[Any]
    ) -> Verdict:
        judged = court.long_verdict(self.bootstrap, digests, CHANGELOG, windows)
        self.outcome.events, verdict = judged
        return self._told(verdict)

    def _settle(self, truth: Truth) -> None:
        """Wait until all is there that has to be, or nothing has come for long."""
        expected = {
            "fault.tallies": len(truth.tallies),
            "fault.met": len(truth.met),
            "fault.shop_tallies": len(truth.shops),
            "fault.shop_windows": len(truth.windows),
            "dead_letters": len(truth.dead),
            "late_records": len(truth.late),
        }
        rows = {self.tables["fault.tallies"]: len(truth.tallies)}
        rows[self.tables["fault.shop_windows"]] = len(truth.windows)
        sized, since = dict[str, int](), time.monotonic()
        while True:
            time.sleep(0.2)
            complete = all(self.tail.net[name] >= count for name, count in expected.items())
            if complete:
                now = sizes(self.postgres.uri, rows) if self.postgres.process else {}
                if now != sized:
                    sized, since = now, time.monotonic()
                complete = all(now.get(name, -1) >= count for name, count in rows.items())
            quiet = time.monotonic() - max(self.tail.changed, since)
            if quiet > (SETTLED_S if complete else STALL_S):
                return

    def _stop(self) -> None:
        codes: list[int] = []
        for supervisor in self.crew:
            supervisor.stopping.set()
            supervisor.join()
        for supervisor in self.crew:
            began = time.monotonic()
            ended = supervisor.worker.end(seconds=30)
            self.outcome.stop_ms = max(
                self.outcome.stop_ms, round((time.monotonic() - began) * 1000)
            )
            codes += [*supervisor.codes, ended]
        for code in codes:
            name = signal.Signals(-code).name if code < 0 else str(code)
            self.outcome.exits[name] = self.outcome.exits.get(name, 0) + 1
        self.outcome.notes += [words for worker in self.loose if (words := last_words(worker))]
        if self.sink is not None:
            self.sink.stop()
        self.outcome.seconds = round(time.monotonic() - self.began, 1)

    def _told(self, verdict: Verdict) -> Verdict:
        told = self.outcome
        told.lost, told.doubled = verdict.counts["lost"], verdict.counts["doubled"]
        told.wrong, told.checked = verdict.counts["wrong"], dict(verdict.checked)
        if not verdict.clean:
            told.notes.append(str(verdict))
        return verdict

    def close(self) -> None:
        """End what is still running."""
        for supervisor in (*self.crew, *([self.sink] if self.sink else [])):
            supervisor.clean_up()
        for worker in (*self.loose, *([self.load] if self.load else [])):
            worker.clean_up()
        self.undo.close()
