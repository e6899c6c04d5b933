"""What the tests on a real Kafka need: an application with fresh topics, workers, a player."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import tomli_w
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)
from confluent_kafka.cimpl import NewTopic

from schemas.wire import Codec
from streams.agents.pipeline import topology
from streams.client import Read, fold, read_topics
from streams.config import Config
from streams.engine import groups
from streams.engine.checkpoint import Fenced
from streams.engine.settings import EngineSettings, settings_of
from streams.ops.admin import Admin
from streams.ops.demo import with_story
from streams.ops.play import _Player
from streams.ops.standing import Standing
from streams.sources.recording import read_lines
from streams.sources.writer import SourceWriter
from streams.topics import DERIVED, SOURCES, Topic
from tests.kafka.processes import WAIT_S, Supervisor, Worker, until
from tests.kafka.stories import (
    DEMO,
    ROOT,
    SESSION_MS,
    Busy,
    NetSets,
    alternation,
    busy_recording,
    differences,
    story_of,
    undisturbed,
)

__all__ = [
    "DEMO", "FAUST_WORKER", "ROOT", "SESSION_MS", "Busy", "NetSets", "Player", "Supervisor",
    "Worker", "World", "alternation", "busy_recording", "differences", "story_of", "undisturbed",
    "until",
]  # fmt: skip

FAUST_WORKER = ("-A", "streams.app", "worker", "-l", "warn", "--without-web")
"""Arguments of Faust's own command."""


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
        self.supervisors: list[Supervisor] = []
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

    def sabotaged_worker(self, part: str, stall_ms: int, *command: str) -> Worker:
        """Start a worker one part of which fails, and which is soon seen to make no progress."""
        argv = [sys.executable, "-m", "tests.kafka.sabotaged", part, *command]
        return self._start(argv, {"STREAMS_ENGINE__STALL_MS": str(stall_ms)})

    def faust_worker(self) -> Worker:
        """Start ``faust -A streams.app worker``."""
        faust = str(Path(sys.executable).with_name("faust"))
        return self._start([faust, *FAUST_WORKER], {})

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

    def supervise(self, start: Callable[[], Worker]) -> Supervisor:
        """Start a worker, and another one whenever it ends."""
        made = Supervisor(start)
        self.supervisors.append(made)
        made.start()
        return made

    def close(self) -> None:
        """End what is still running."""
        for supervisor in self.supervisors:
            supervisor.clean_up()
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

    def works(self) -> bool:
        """Whether a committed checkpoint covers a record; a position alone says nothing of that."""
        return any(counts.read for counts in self.standing.counts().values())

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
