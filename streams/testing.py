"""Run a topology without a broker: the same tasks, records in memory, time in your hands.

>>> from streams import topics
>>> from streams.agents import track_tip
>>> from schemas.events import Block
>>> parent, root = "00" * 32, "bb" * 32
>>> block = Block("regtest", "aa" * 32, 1, parent, 1, root, 1_700_000_000, 0, 0, 1, 300, 900)
>>> driver = TopologyDriver(track_tip.step, partitions=1)
>>> driver.produce(topics.blocks, block, ts=1_700_000_000_000)
>>> [event.value.height for event in driver.events(topics.tip)]
[1]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from tempfile import TemporaryDirectory
from typing import Any, Literal

import msgspec

from schemas.envelope import Event, Op
from schemas.errors import SchemaError
from schemas.events import Value
from schemas.headers import Headers, from_headers, to_headers
from schemas.ids import digest_id
from schemas.wire import Codec
from streams.client import net_set
from streams.engine.delivery import Delivery, declares_to
from streams.engine.emit import Encoder
from streams.engine.guard import Message, is_control
from streams.engine.murmur2 import partition_of
from streams.engine.own_types import teach
from streams.engine.plan import planned
from streams.engine.recovery import Recovery
from streams.engine.settings import EngineSettings
from streams.engine.step import Step
from streams.engine.task import OneByOne, Task
from streams.engine.topology import SubTopology, Topology, build
from streams.engine.writers import Writer, control_headers
from streams.topics import Topic, dead_letters


class Record(msgspec.Struct, frozen=True):
    """A record of a topic in memory, with the interface of librdkafka's messages."""

    place: tuple[str, int, int]
    raw_key: bytes | None
    raw_value: bytes | None
    raw_headers: Headers
    append_ts: int

    def topic(self) -> str:
        return self.place[0]

    def partition(self) -> int:
        return self.place[1]

    def offset(self) -> int:
        return self.place[2]

    def key(self) -> bytes | None:
        return self.raw_key

    def value(self) -> bytes | None:
        return self.raw_value

    def headers(self) -> Headers:
        return self.raw_headers

    def set_headers(self, value: Headers) -> None:
        self.raw_headers[:] = value

    def timestamp(self) -> tuple[int, int]:
        return (2, self.append_ts)


class DeadLetter(msgspec.Struct, frozen=True):
    """A record that a step failed on, or that was refused: as ``streams dlq ls`` shows it."""

    step: str
    """``decode`` where it never came to a step."""
    cause: str
    """One word; ``step_failed`` where the step raised."""
    detail: str
    key: str
    origin: tuple[str, int, int]
    """Topic, partition and offset of what was refused."""

    @classmethod
    def of(cls, record: Record) -> DeadLetter:
        """What the headers of a dead letter say."""
        said = ((name, value or b"") for name, value in record.raw_headers)
        why = {
            name: value.decode(errors="replace") for name, value in said if name.startswith("dl.")
        }
        key = (record.raw_key or b"").decode(errors="replace")
        origin = (why["dl.topic"], int(why["dl.partition"]), int(why["dl.offset"]))
        return cls(why["dl.step"], why["dl.cause"], why["dl.detail"], key, origin)


class DeadLettered(Exception):
    """A record went to the dead letters, of a driver whose test has not asked for that.

    What the step raised, if it did, is its cause.
    """

    def __init__(self, letters: list[DeadLetter]) -> None:
        first, self.letters = letters[0], letters
        topic, partition, offset = first.origin
        what = "failed on" if first.cause == "step_failed" else f"refused ({first.cause})"
        more = f" (and {len(letters) - 1} more)" if letters[1:] else ""
        super().__init__(
            f"step {first.step} {what} {topic}/{partition}@{offset}, key {first.key!r}: "
            f"{first.detail}{more}; a worker puts it into {dead_letters.name} and goes on; a test "
            "that means it asks for TopologyDriver(..., dead_letters='keep') and reads letters()"
        )


class _Watched(Task):
    """A task that remembers what a step raised first since the last checkpoint."""

    failure: Exception | None = None

    def _try(self, topic: Topic, messages: Sequence[Message]) -> Exception | None:
        error = super()._try(topic, messages)
        if self.failure is None and not isinstance(error, OneByOne):
            self.failure = error
        return error


class TopologyDriver:
    """Drives a topology by hand.

    ``produce`` events with their times, ``declare`` watermarks, read topics and state, ``crash``
    at any point: the tasks then recover from the changelog that they wrote, as on Kafka. With
    ``store="rocks"`` their state is in a folder of its own, which goes with the driver.

    Whatever processes a record that goes to the dead letters (``produce``, ``run``, ...) raises
    DeadLettered, after the checkpoint that holds it. With ``dead_letters="keep"`` it goes on, as a
    worker does, and ``letters`` says what is there.
    """

    def __init__(
        self,
        what: Topology | Step | Iterable[Step],
        settings: EngineSettings | None = None,
        partitions: int = 4,
        checkpoint_every: int = 1,
        store: Literal["memory", "rocks"] | None = None,
        dead_letters: Literal["raise", "keep"] = "raise",
    ) -> None:
        given = settings or EngineSettings()
        self.settings = msgspec.structs.replace(
            given, partitions=partitions, store=store or given.store
        )
        if self.settings.store == "rocks" and not given.state_dir:
            self._folder = TemporaryDirectory(prefix="streams-state-", ignore_cleanup_errors=True)
            self.settings = msgspec.structs.replace(self.settings, state_dir=self._folder.name)
        if isinstance(what, Step):
            what = (what,)
        built = what if isinstance(what, Topology) else build(what)
        self.topology = planned(built, self.settings)
        known = {t for s in self.topology.steps for t in (*s.reads, *s.writes)}
        self._counts = {t.name: self.settings.count_of(t) for t in known}
        self.codec = teach(Codec())
        self.log: dict[tuple[str, int], list[Record]] = {}
        self.now_ts = 0
        """Append time of what is produced next (ms); follows the greatest event time."""
        self.checkpoint_every = checkpoint_every
        """Chunks of work between two checkpoints of a task; 0: only when asked."""
        self._work: dict[tuple[str, int], int] = {}
        self._changelogs: dict[tuple[str, int], list[tuple[bytes, bytes | None] | None]] = {}
        """Records in order, None where a transaction ended."""
        self._keeps_letters = dead_letters == "keep"
        self.tasks: dict[tuple[str, int], _Watched] = {}
        for sub in self.topology.subs:
            for partition in range(self.settings.tasks_of(sub)):
                self.tasks[sub.name, partition] = self._task(sub, partition)

    # Input ----------------------------------------------------------------------------------------

    def produce(
        self,
        topic: Topic,
        value: Value,
        ts: int,
        *,
        id: str | None = None,
        key: str | None = None,
        op: Op = "assert",
        writer: str | None = None,
        partition: int | None = None,
        run: bool = True,
        **envelope: Any,
    ) -> None:
        """Write one event to an input topic; id and key default to the value's own.

        ``partition``: where a foreign producer puts it; else where its key belongs.
        """
        event_type = topic.type
        own = id or event_type.event_id(value) or digest_id(topic.name, key or "", ts)
        name = event_type.name
        event = Event(own, key or event_type.key(value), ts, op, value, type=name, **envelope)
        self.send(topic, event, writer=writer, partition=partition, run=run)

    def send(
        self,
        topic: Topic,
        event: Event,
        *,
        writer: str | None = None,
        partition: int | None = None,
        run: bool = True,
    ) -> None:
        """Write a ready-made event to a topic."""
        self.now_ts = max(self.now_ts, event.ts)
        named = str(Writer(writer, 0, 0, 1)).encode() if writer is not None else None
        value = self.codec.encode(event.type, event.value)
        self._append(topic.name, event.key.encode(), value, to_headers(event, named), partition)
        if run:
            self.run()

    def produce_raw(
        self,
        topic: Topic,
        key: bytes | None,
        value: bytes | None,
        headers: Headers | None = None,
        *,
        run: bool = True,
    ) -> None:
        """Write any bytes to a topic, as a foreign client would."""
        self._append(topic.name, key, value, headers or [], None)
        if run:
            self.run()

    def declare(
        self, topic: Topic, watermark: int | None, writer: str = "source", *, run: bool = True
    ) -> None:
        """Declare a source's watermark in every partition of a topic; None: it is idle."""
        headers = control_headers(Writer(writer, 0, 0, 1), watermark)
        for partition in range(self.settings.count_of(topic)):
            self._append(topic.name, None, None, headers, partition)
        if run:
            self.run()

    def idle(self, topic: Topic) -> None:
        """Let the idle timeout of a topic pass in every task that reads it."""
        for task in self.tasks.values():
            if any(t.name == topic.name for t in task.sub.inputs):
                task.idle(topic.name)
        self.checkpoint()
        self.run()

    # Output ---------------------------------------------------------------------------------------

    def records(self, topic: Topic) -> Iterator[Record]:
        """The data records of a topic, partition by partition."""
        for partition in range(self.settings.count_of(topic)):
            for record in self.log.get((topic.name, partition), ()):
                if topic.event_type is None or not is_control(record):
                    yield record

    def events(self, topic: Topic) -> list[Event]:
        """The events of a topic, partition by partition, in order; what is none is left out."""
        found = []
        for record in self.records(topic):
            try:
                value = self.codec.decode(record.raw_value)[1]
            except SchemaError:
                continue
            key = (record.raw_key or b"").decode()
            event = from_headers(dict(record.raw_headers), key, "", 0, "")
            event.value = value
            found.append(event)
        return found

    def net(self, topic: Topic) -> dict[str, Any]:
        """The net set of a topic: id to value of what is live (SEMANTICS 5)."""
        return net_set(self.events(topic))

    def letters(self) -> list[DeadLetter]:
        """The dead letters, partition by partition, in order."""
        return [DeadLetter.of(record) for record in self.records(dead_letters)]

    def state(self, step: str) -> dict[tuple[str | int, ...], Any]:
        """A step's state, over all tasks; an entry of a plain table is at (table, key)."""
        found: dict[tuple[str | int, ...], Any] = {}
        for task in self.tasks.values():
            found |= task.store.scope(step).dump()
        return found

    # Work -----------------------------------------------------------------------------------------

    def run(self, chunk: int = 1000) -> None:
        """Process until no task has anything left to read."""
        moved = 1
        while moved:
            moved = sum(self._pull(place, chunk) for place in self.tasks)

    def _pull(self, place: tuple[str, int], chunk: int) -> bool:
        inputs = [topic.name for topic in self.tasks[place].sub.inputs]
        return sum(self.take(place, name, chunk) for name in inputs) > 0

    def take(self, place: tuple[str, int], topic: str, records: int) -> bool:
        """Let one task (sub-topology, partition) take the next records of one input.

        Returns whether there were any. An input that is too far ahead waits, as it does on Kafka.
        """
        task = self.tasks[place]
        start = task.position[topic]
        found = self.log.get((topic, place[1]), [])[start : start + records]
        if not found or topic in task.ahead():
            return False
        task.process(topic, found, start, start + len(found))
        self._work[place] = self._work.get(place, 0) + 1
        if self.checkpoint_every and self._work[place] % self.checkpoint_every == 0:
            self._checkpoint(place)
        return True

    def checkpoint(self) -> None:
        """Checkpoint every task now."""
        for place in self.tasks:
            self._checkpoint(place)

    def _checkpoint(self, place: tuple[str, int]) -> None:
        task = self.tasks[place]
        changelog = self._changelogs.setdefault(place, [])
        encoder = Encoder(
            "changelog",
            place[1],
            self.settings.partitions,
            task.writer,
            self.settings.shared_partitions,
        )
        delivery = Delivery(encoder, declares_to(task.sub))
        snapshot, refused = task.snapshot(), list[Record]()
        for topic, key, value, headers, partition in delivery.records(snapshot):
            if topic == "changelog":
                assert key is not None
                changelog.append((key, value))
            else:
                record = self._append(topic, key, value, headers or [], partition)
                if topic == dead_letters.name:
                    refused.append(record)
        changelog.append(None)
        task.store.keep(snapshot.changes)
        task.store.kept()
        failure, task.failure = task.failure, None
        if refused and not self._keeps_letters:
            raise DeadLettered([DeadLetter.of(record) for record in refused]) from failure

    def crash(self) -> None:
        """Lose everything since the last checkpoints, and recover from the changelogs."""
        for (name, partition), old in list(self.tasks.items()):
            old.store.close()
            self.tasks[name, partition] = self._task(old.sub, partition)

    def _task(self, sub: SubTopology, partition: int) -> _Watched:
        """A task that stands where its changelog does."""
        task = _Watched(self.topology, sub, partition, self.settings, self.codec)
        changelog = self._changelogs.get((sub.name, partition), [])
        recovery, start = Recovery(task), task.store.begin(lambda: (0, len(changelog)))
        while True:
            for offset, key, value in _compacted(changelog, start):
                recovery.take(offset, key, value)
            if recovery.stand():
                return task
            start = 0

    def _append(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        partition: int | None,
    ) -> Record:
        if partition is None:
            partition = partition_of(key or b"", self._counts.get(topic, self.settings.partitions))
        log = self.log.setdefault((topic, partition), [])
        log.append(Record((topic, partition, len(log)), key, value, headers, self.now_ts))
        return log[-1]


def _compacted(
    changelog: list[tuple[bytes, bytes | None] | None], start: int
) -> list[tuple[int, bytes, bytes | None]]:
    """The last record of each key from an offset on, in their order."""
    last: dict[bytes, tuple[int, bytes, bytes | None]] = {}
    for offset, record in enumerate(changelog[start:], start):
        if record is not None:
            last.pop(record[0], None)
            last[record[0]] = (offset, *record)
    return list(last.values())
