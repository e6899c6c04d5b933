"""What the tests on a real Kafka need: an application with fresh topics, workers, a player."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from signal import SIGTERM, Signals
from typing import Any, NamedTuple

import msgspec
import tomli_w
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)
from confluent_kafka.cimpl import NewTopic

from schemas.envelope import Event
from schemas.jsonform import to_line
from schemas.wire import Codec
from streams.agents.pipeline import topology
from streams.client import Read, fold, read_topics
from streams.config import Config
from streams.engine import groups
from streams.engine.checkpoint import Fenced
from streams.engine.settings import EngineSettings, settings_of
from streams.ops.admin import Admin
from streams.ops.demo import BLOCK, as_path, with_story
from streams.ops.play import _Player
from streams.ops.standing import Standing
from streams.sources.archive import read_blocks
from streams.sources.recording import Line, encode_watermark, read_lines
from streams.sources.writer import SourceWriter
from streams.testing import TopologyDriver
from streams.topics import DERIVED, SOURCES, Topic
from streams.tuning import EngineTuning
from tests.playing import play_line, story_config

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "streams" / "data" / "demo.ndjson"
SESSION_MS = 2000
"""Time after which the group gives a silent worker's partitions away."""
WAIT_S = 60.0
NetSets = dict[str, dict[str, Any]]


def until(what: str, condition: Callable[[], Any], seconds: float = WAIT_S) -> Any:
    """Wait for a condition and return what it gave; fail with its name when it does not come."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"did not happen within {seconds} s: {what}"
        time.sleep(0.05)
    return found


def story_of(recording: Path, **engine: int) -> Config:
    """The configuration that a recording is about, for a group that soon notices a dead worker."""
    tuning = EngineTuning(session_timeout_ms=SESSION_MS, **engine)
    return story_config(recording, Config(engine=tuning))


def undisturbed(recording: Path) -> NetSets:
    """The net set of every derived topic, from the same input without Kafka."""
    driver = TopologyDriver(topology(story_of(recording)), dead_letters="keep")
    for line in read_lines(recording):
        play_line(driver, line, run=False)
    driver.run()
    return {topic.name: driver.net(topic) for topic in DERIVED}


def busy_recording(target: Path, transactions: int, before_ms: int) -> Path:
    """A longer recording: part of mainnet block 413567 over ``before_ms``, then the demo's lines.

    Both have a watermark of their own, so that timers fire from beginning to end.
    """
    text = DEMO.read_bytes().splitlines(keepends=True)
    first = msgspec.json.decode(text[1])["at"] - before_ms
    block = next(iter(read_blocks([as_path(BLOCK)], (), "main")))
    events: list[tuple[str, Event]] = [("bitcoin.blocks", block.block)]
    events += [("bitcoin.transactions", e) for e in block.transactions[:transactions]]
    lines = [
        msgspec.json.encode(
            Line(first + before_ms * n // len(events), topic, event=msgspec.Raw(to_line(event)))
        )
        for n, (topic, event) in enumerate(events)
    ]
    lines.append(encode_watermark(first + before_ms, block.block.ts))
    target.write_bytes(b"".join([text[0], *[line + b"\n" for line in lines], *text[1:]]))
    return target


def alternation(reads: Sequence[Read]) -> list[str]:
    """Breaches of: per id, assert and retract alternate, beginning with an assert."""
    live: dict[tuple[int, str], bool] = {}
    wrong = []
    for read in reads:
        if read.event is None:
            wrong.append(f"{read.topic}/{read.partition}/{read.offset} cannot be decoded")
            continue
        place, asserted = (read.partition, read.event.id), read.event.op == "assert"
        if live.get(place, False) == asserted:
            wrong.append(f"{read.event.op} of {read.event.id} at {read.partition}/{read.offset}")
        live[place] = asserted
    return wrong


def differences(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """What distinguishes two net sets, id by id."""
    return [
        f"{id}: expected {expected.get(id)}, found {found.get(id)}"
        for id in sorted(expected.keys() | found.keys())
        if expected.get(id) != found.get(id)
    ]


class Busy(NamedTuple):
    """An input that takes a while, and what it gives undisturbed."""

    recording: Path
    slow: float
    """The speed at which it outlasts any test."""
    sets: NetSets


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
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [facts for facts in map(json.loads, lines) if facts["event"] == event]

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


class Player(threading.Thread):
    """Plays a recording in the background, slowly until it is told to hurry."""

    def __init__(self, settings: EngineSettings, recording: Path, speed: float | None) -> None:
        super().__init__(name="player", daemon=True)
        self.recording = recording
        self.writer = SourceWriter("player", SOURCES, settings, Codec())
        self.pace = _Player(self.writer, speed, lambda count: None)
        self.error: Exception | None = None
        self.given_up = False
        self.start()

    def run(self) -> None:
        try:
            self.writer.open()
            for line in read_lines(self.recording):
                if self.given_up:
                    return
                self.pace.play(line)
            self.pace.flush()
            self.writer.idle()
        except (KafkaException, Fenced) as error:
            self.error = error
        finally:
            self.writer.close()

    def finish(self, seconds: float = WAIT_S) -> None:
        """Play what is left at once, and wait until it is written."""
        self.pace.speed = None
        self.join(seconds)
        assert not self.is_alive(), f"the player still plays after {seconds} s"
        assert self.error is None, f"the player failed: {self.error}"


class World:
    """One application: fresh topics, its settings in a file, and the workers started for it."""

    def __init__(self, bootstrap: str, folder: Path, config: Config) -> None:
        self.bootstrap, self.folder, self.config = bootstrap, folder, config
        self.settings = settings_of(config, bootstrap)
        self.topology = topology(config)
        self.codec = Codec()
        self.admin = Admin(self.settings)
        self.workers: list[Worker] = []
        self.players: list[Player] = []
        self.standing = Standing(self.topology, self.settings)
        self._readers = [
            Consumer({"bootstrap.servers": bootstrap, "group.id": "ends", "isolation.level": level})
            for level in ("read_committed", "read_uncommitted")
        ]
        self.file = folder / "streams.toml"
        self.file.write_text(tomli_w.dumps(with_story(config, {})))

    def fresh_topics(self) -> None:
        """Delete every topic of earlier tests, and create ours; killed workers have left by then.

        While one of another partition count is in the group, no worker of ours may begin.
        """
        until("nobody is in the group", lambda: not self.members())
        self.delete_topics(name for name in self.admin.partitions() if not name.startswith("__"))
        self.admin.apply(self.topology)

    def delete_topics(self, names: Iterable[str]) -> None:
        """Delete topics and wait until they are gone."""
        old = set(names)
        if old:
            for future in self.admin.client.delete_topics(list(old)).values():
                future.result(WAIT_S)
            until("topics are gone", lambda: not old & set(self.admin.partitions()))

    def replace_topic(self, name: str, partitions: int) -> None:
        """Give a topic another partition count."""
        self.delete_topics([name])
        self.admin.client.create_topics([NewTopic(name, partitions, 1)])[name].result(WAIT_S)
        until("the topic is there", lambda: name in self.admin.partitions())

    def alter_topic(self, name: str, setting: str, value: str) -> None:
        """Set one of a topic's settings."""
        entry = ConfigEntry(setting, value, incremental_operation=AlterConfigOpType.SET)
        wanted = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])
        for future in self.admin.client.incremental_alter_configs([wanted]).values():
            future.result(WAIT_S)

    def delete_records(self, name: str) -> None:
        """Delete everything that a topic has so far, as retention would."""
        places = [TopicPartition(name, p, -1) for p in range(self.settings.partitions)]
        for future in self.admin.client.delete_records(places).values():
            future.result(WAIT_S)

    # Workers --------------------------------------------------------------------------------------

    def worker(self, *options: str, **environment: str) -> Worker:
        """Start ``streams worker``."""
        return self._start([sys.executable, "-m", "streams", "worker", *options], environment)

    def doomed_worker(self, point: str, commits: int, **environment: str) -> Worker:
        """Start a worker that dies at a chosen point of a checkpoint."""
        argv = [sys.executable, "-m", "tests.kafka.doomed", point, str(commits)]
        return self._start(argv, environment)

    def sabotaged_worker(self, part: str, stall_ms: int) -> Worker:
        """Start a worker one part of which fails, and which is soon seen to make no progress."""
        argv = [sys.executable, "-m", "tests.kafka.sabotaged", part]
        return self._start(argv, {"STREAMS_ENGINE__STALL_MS": str(stall_ms)})

    def faust_worker(self) -> Worker:
        """Start ``faust -A streams.app worker``."""
        faust = str(Path(sys.executable).with_name("faust"))
        argv = [faust, "-A", "streams.app", "worker", "-l", "warn", "--without-web"]
        return self._start(argv, {})

    def _start(self, argv: list[str], environment: dict[str, str]) -> Worker:
        own = {
            "STREAMS_BROKER": self.bootstrap,
            "STREAMS_CONFIG": str(self.file),
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        }
        log = self.folder / f"worker-{len(self.workers)}.log"
        worker = Worker(argv, log, {**os.environ, **own, **environment})
        self.workers.append(worker)
        return worker

    def close(self) -> None:
        """End what is still running."""
        for worker in self.workers:
            worker.clean_up()
        for player in self.players:
            player.given_up = True
            player.join(WAIT_S)
        self.standing.close()
        for reader in self._readers:
            reader.close()

    # Input and progress ---------------------------------------------------------------------------

    def play(self, recording: Path, speed: float | None = None) -> Player:
        """Play a recording in the background; ``finish`` ends the slowness of a low speed."""
        self.players.append(Player(self.settings, recording, speed))
        return self.players[-1]

    def lag(self) -> int | None:
        """Offsets that no committed checkpoint covers; None while the broker does not answer."""
        try:
            return sum(behind.lag for behind in self.standing.behind())
        except KafkaException:
            return None

    def redo(self) -> int:
        """Offsets of the inputs beyond the positions that the changelogs hold: exact, but slow."""
        stands = dict(self.standing.positions())
        ends = {(b.topic, b.partition): b.end for b in self.standing.behind()}
        return sum(
            end - stands.get(f"{sub.name}/{partition}", {"position": {}})["position"].get(name, 0)
            for (name, partition), end in ends.items()
            for sub in self.topology.subs
            if any(topic.name == name for topic in sub.inputs)
        )

    def unfinished(self) -> list[str]:
        """Partitions with a transaction under way: their committed end is not their end."""
        found = []
        for name, partition in (
            (t.name, p) for t in DERIVED for p in range(self.settings.partitions)
        ):
            place = TopicPartition(name, partition)
            ends = [c.get_watermark_offsets(place, timeout=10)[1] for c in self._readers]
            if ends[0] != ends[1]:
                found.append(f"{place.topic}/{place.partition}: {ends}")
        return found

    def settle(self, seconds: float = WAIT_S) -> None:
        """Wait until every input has been read to its end, and all results can be read.

        Positions are asked for before ends, so one look is enough: what a task had still to write
        would be an end beyond a position.
        """
        until("every input is read to its end", lambda: self.lag() == 0, seconds)
        until("every transaction is finished", lambda: not self.unfinished(), seconds)

    def members(self) -> list[Any]:
        """The members of the group; nobody while there is no group."""
        name = self.settings.application
        try:
            return list(groups.describe(self.admin.client, [name])[name].result(10).members)
        except (KafkaException, TimeoutError):
            return []

    def shares(self) -> list[int]:
        """How many partitions each member of the group has."""
        return [len(m.assignment.topic_partitions) for m in self.members() if m.assignment]

    def shared_by(self, workers: int) -> bool:
        """Whether so many workers have all partitions among them, and none has nothing."""
        shares = self.shares()
        inputs = {topic.name for sub in self.topology.subs for topic in sub.inputs}
        whole = len(inputs) * self.settings.partitions
        return len(shares) == workers and all(shares) and sum(shares) == whole

    # Output ---------------------------------------------------------------------------------------

    def read(self, topic: Topic) -> list[Read]:
        """What a topic has, read committed."""
        return self.read_each((topic,))[topic.name]

    def read_each(self, wanted: Iterable[Topic]) -> dict[str, list[Read]]:
        """The same of several topics, by name, in one reading: each reading waits for its end."""
        return read_topics(self.bootstrap, [topic.name for topic in wanted], self.codec)

    def bytes_at(self, topic: str, partition: int, offset: int) -> tuple[bytes | None, ...]:
        """Key and value of the record at one place."""
        reader = self._readers[0]
        reader.assign([TopicPartition(topic, partition, offset)])
        message = until("the record", lambda: reader.poll(0.1))
        reader.unassign()
        assert offset == message.offset()
        return message.key(), message.value()

    def check_exact(self, expected: NetSets) -> None:
        """Every derived topic has the expected net set, nothing twice, and all counts balance."""
        for name, reads in self.read_each(DERIVED).items():
            assert [] == alternation(reads), name
            wrong = differences(expected[name], fold(reads))
            assert not wrong, f"{name}: {len(wrong)} rows differ, among them {wrong[:3]}"
        self.check_balance()

    def check_balance(self) -> None:
        """Every record of a source topic has exactly one disposition."""
        counts = self.standing.counts()
        for name, reads in self.read_each(SOURCES).items():
            assert counts[name].balanced, f"{name}: {counts[name]}"
            assert len(reads) == counts[name].read, f"{name}: {counts[name]}"
