"""How far an application is behind, and what holds it: from the broker alone, worker or none.

The position of a task is that of its last committed checkpoint, in its changelog. The offsets of
the consumer group are a hint that Faust commits now and then; they are shown beside it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from joins.clock import NEG_INF, POS_INF
from schemas.headers import WRITER, texts
from streams.engine.ends import EARLIEST, LATEST, Ends
from streams.engine.guard import Counts, headers_of
from streams.engine.mover import READ, Place
from streams.engine.plan import planned_selection
from streams.engine.precheck import groups
from streams.engine.progress import Progress
from streams.engine.selection import Selection
from streams.engine.settings import EngineSettings
from streams.engine.tails import last_positions
from streams.engine.topology import SubTopology
from streams.ops.holding import holding
from streams.ops.transactions import CannotAsk, Holder, Transaction, holders, remedy
from streams.sources.names import transactional_id as source_id

TIMEOUT_SECONDS = 10.0
LATE_SECONDS = 10.0
"""Brokers end transactions that took too long so often: one that lasts longer has hung."""
LONG_SECONDS = 10.0
"""What is open for longer is worth a line to people."""


class InputLag(msgspec.Struct, frozen=True):
    """One input partition of one task."""

    sub_topology: str
    topic: str
    partition: int
    position: int
    """Of the last committed checkpoint; 0 before the first."""
    end: int
    lag: int
    """Offsets between the two, markers of transactions included."""
    open: int
    """Offsets at the end that a transaction still open keeps from its readers."""
    group_offset: int | None
    """What the consumer group committed: a hint, as old as Faust's last commit."""
    watermark_ms: int | None
    """Event time below which this input expects no more; None before the first."""
    age_s: float | None
    """How far that is behind the clock of this machine."""
    idle: bool
    holds: str
    """Empty unless this input holds the task's watermark back: then who has not declared more."""
    paused: bool
    """Whether it waits, being further ahead of the task's watermark than ``max_skew``."""
    late: int
    """Records that came too late, since the first checkpoint."""
    late_retracts: int
    """How many of them were retracts: what they would have withdrawn stands."""
    void_retracts: int
    """Retracts that were left out, since nothing of their id was live; of source topics."""


class TaskLag(msgspec.Struct, frozen=True):
    """One task in event time."""

    sub_topology: str
    partition: int
    watermark_ms: int | None
    """``W``: the least of its inputs that are not idle; None before the first."""
    age_s: float | None
    """How far that is behind the clock of this machine."""
    declared_ms: int | None
    """What it has declared in its outputs."""
    delay_s: float | None
    """How far below its watermark that is: grace, and results that wait."""
    paused: list[str]
    """Inputs that wait (``max_skew``)."""
    no_effect: dict[str, int]
    """By step the retracts that found nothing to withdraw."""


class OpenTransaction(msgspec.Struct, frozen=True):
    """A transaction that is not over: readers of committed data wait for it."""

    topic: str
    partition: int
    offset: int
    """Of its first record."""
    age_s: float
    hung: bool
    """Whether it is older than Kafka should have let it become."""
    writer: str | None
    """Who wrote the record, by its own headers; None where it is none of ours."""
    transactional_id: str | None
    """By the broker; where it does not tell, by the record's headers."""
    producer_id: int | None
    epoch: int | None
    state: str | None
    """By its coordinator; None where none knows it: then nobody will end it."""
    timeout_s: float | None
    """The age at which Kafka ends it by itself, within 10 s."""
    coordinator: str | None
    remedy: str
    """How to end it now."""


class Lag(msgspec.Struct, frozen=True):
    """Where an application stands at one moment."""

    inputs: list[InputLag]
    tasks: list[TaskLag]
    transactions: list[OpenTransaction]


def lag_of(selection: Selection, settings: EngineSettings) -> Lag:
    """Look once; raises KafkaException when the broker does not answer, or topics are missing.

    Positions are asked for before ends: a lag is never less than it was.
    """
    selection = planned_selection(selection, settings)
    kafka = {"bootstrap.servers": settings.bootstrap, **settings.kafka, "log_level": 2}
    logs = {settings.changelog(sub.name): settings.tasks_of(sub) for sub in selection.run}
    stands = last_positions(kafka, logs)
    places = sorted(
        {Place(t.name, p) for sub in selection.run for t in sub.inputs
         for p in range(settings.count_of(t))}
    )  # fmt: skip
    hints = _hints(selection, settings, kafka, places)
    stable, ends = _ends(kafka, places, committed=True), _ends(kafka, places, committed=False)
    new = [
        Place(topic.name, partition)
        for sub in selection.run
        for partition in range(settings.tasks_of(sub))
        for topic in sub.inputs
        if topic.name not in _position(stands.get(Place(settings.changelog(sub.name), partition)))
    ]
    firsts = _ends(kafka, new, committed=True, what=EARLIEST) if new else {}
    inputs: list[InputLag] = []
    tasks: list[TaskLag] = []
    for sub in selection.run:
        for partition in range(settings.tasks_of(sub)):
            stand = stands.get(Place(settings.changelog(sub.name), partition))
            task = _Task(selection, sub, partition, settings, stand, firsts)
            inputs += [task.input(t.name, ends, stable, hints) for t in sub.inputs]
            tasks.append(task.task())
    open_ = [place for place in places if stable[place] < ends[place]]
    return Lag(inputs, tasks, _transactions(kafka, settings, [(p, stable[p]) for p in open_]))


class _Task:
    """One task as its last checkpoint describes it."""

    def __init__(
        self,
        selection: Selection,
        sub: SubTopology,
        partition: int,
        settings: EngineSettings,
        stand: Mapping[str, Any] | None,
        firsts: Mapping[Place, int],
    ) -> None:
        self.sub, self.partition, self.settings = sub, partition, settings
        self.position, self.firsts = _position(stand), firsts
        self.counts = {} if stand is None else stand["counts"]
        self.void: dict[str, int] = {} if stand is None else stand.get("void", {})
        self.published: int = NEG_INF if stand is None else stand["published"]
        writers = {
            t.name: tuple(w.name for w in selection.topology.writers(t.name)) for t in sub.inputs
        }
        self.progress = Progress(sub, writers, partition, settings)
        if stand is not None:
            self.progress.load(stand)
        self.holding = holding(self.progress)
        self.ahead = self.progress.ahead()

    def task(self) -> TaskLag:
        """The task as a whole."""
        mark, declared = _known(self.progress.watermark), _known(self.published)
        delay = None if mark is None or declared is None else round((mark - declared) / 1000, 3)
        return TaskLag(
            self.sub.name,
            self.partition,
            mark,
            _age(mark),
            declared,
            delay,
            sorted(self.ahead),
            self.void,
        )

    def input(
        self,
        topic: str,
        ends: Mapping[Place, int],
        stable: Mapping[Place, int],
        hints: Mapping[tuple[str, Place], int],
    ) -> InputLag:
        place = Place(topic, self.partition)
        position, mark, idle = self._stands(topic), *self._time(topic)
        counts = Counts(**self.counts.get(topic, {}))
        return InputLag(
            self.sub.name,
            topic,
            self.partition,
            position,
            ends[place],
            max(0, ends[place] - position),
            ends[place] - stable[place],
            hints.get((self.sub.name, place)),
            mark,
            _age(mark),
            idle,
            self.holding.get(topic, ""),
            topic in self.ahead,
            counts.late,
            counts.late_retracts,
            counts.void_retracts,
        )

    def _stands(self, topic: str) -> int:
        """Its position, or where it will begin."""
        told = self.settings.start_of(topic, self.partition)
        return self.position.get(topic, max(told, self.firsts.get(Place(topic, self.partition), 0)))

    def _time(self, topic: str) -> tuple[int | None, bool]:
        if topic not in self.progress.timed:
            return None, False
        clock = self.progress.clock
        mark = _known(clock.partition_watermark(topic, self.partition))
        return mark, clock.is_idle(topic, self.partition)


def _position(stand: Mapping[str, Any] | None) -> Mapping[str, int]:
    return {} if stand is None else stand["position"]


def _known(ts: int) -> int | None:
    return ts if NEG_INF < ts < POS_INF else None


def _age(mark: int | None) -> float | None:
    return None if mark is None else round(time.time() - mark / 1000, 1)


def _ends(
    kafka: Mapping[str, Any], places: list[Place], committed: bool, what: int = LATEST
) -> dict[Place, int]:
    asking = Ends(kafka, committed)
    try:
        return asking.ask(places, TIMEOUT_SECONDS, what)
    finally:
        asking.close()


def _hints(
    selection: Selection, settings: EngineSettings, kafka: Mapping[str, Any], places: list[Place]
) -> dict[tuple[str, Place], int]:
    """What the groups that run these sub-topologies have committed, the greatest where several."""
    found: dict[tuple[str, Place], int] = {}
    for group in groups(selection, settings):
        own = group.name == selection.application
        names = selection.names if own else selection.shared_with(group.name)
        for place, offset in (_committed(kafka, group.name, places) if names else {}).items():
            for sub in selection.run:
                if sub.name in names and any(t.name == place.topic for t in sub.inputs):
                    key = (sub.name, place)
                    found[key] = max(offset, found.get(key, 0))
    return found


def _committed(kafka: Mapping[str, Any], group: str, places: list[Place]) -> dict[Place, int]:
    # a consumer that does not join: the admin client's way crashes when a broker comes back
    consumer = Consumer({**kafka, "group.id": group, "enable.auto.commit": False})
    try:
        asked = [TopicPartition(*place) for place in places]
        found = consumer.committed(asked, timeout=TIMEOUT_SECONDS)
        return {Place(tp.topic, tp.partition): tp.offset for tp in found if tp.offset >= 0}
    finally:
        consumer.close()


def _transactions(
    kafka: Mapping[str, Any], settings: EngineSettings, open_: list[tuple[Place, int]]
) -> list[OpenTransaction]:
    """Look at the first record of each open transaction: its headers name who wrote it."""
    if not open_:
        return []
    consumer = Consumer({**READ, **kafka, "isolation.level": "read_uncommitted"})
    try:
        consumer.assign([TopicPartition(*place, offset) for place, offset in open_])
        first: dict[Place, Message] = {}
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while len(first) < len(open_) and time.monotonic() < deadline:
            for message in consumer.consume(100, 0.2):
                if message.error() is None:
                    first.setdefault(
                        Place(message.topic() or "", message.partition() or 0), message
                    )
        who = _holders(kafka, list(first))
        return [
            _transaction(place, first[place], who.get(place), settings)
            for place, _ in open_
            if place in first
        ]
    except KafkaException:
        return []  # it has ended meanwhile
    finally:
        consumer.close()


def _holders(kafka: Mapping[str, Any], places: list[Place]) -> dict[Place, Holder]:
    try:
        return holders(kafka, places)
    except CannotAsk:
        return {}


def _transaction(
    place: Place, first: Message, holder: Holder | None, settings: EngineSettings
) -> OpenTransaction:
    writer, offset = texts(headers_of(first)).get(WRITER), first.offset() or 0
    age = max(0.0, time.time() - first.timestamp()[1] / 1000)
    named = None if writer is None else transactional_id(writer, settings)
    known = None if holder is None else holder.transaction
    return OpenTransaction(
        *place,
        offset,
        round(age, 1),
        age > hung_after(settings, known),
        writer,
        named if known is None else known.transactional_id,
        None if holder is None else holder.producer_id,
        None if holder is None else holder.epoch,
        None if known is None else known.state,
        None if known is None else known.timeout_s,
        None if known is None else known.coordinator,
        remedy(settings.bootstrap, place, offset, holder),
    )


def hung_after(settings: EngineSettings, known: Transaction | None) -> float:
    """The age (s) at which a transaction is nobody's work any more.

    >>> hung_after(EngineSettings(transaction_timeout_ms=4000), None)
    14.0
    """
    ours = settings.transaction_timeout_ms / 1000
    return (ours if known is None else known.timeout_s) + LATE_SECONDS


def transactional_id(writer: str, settings: EngineSettings) -> str:
    """The transactional id of a writer's header: ``sub-topology/generation/task/count``.

    >>> transactional_id("by_txid/0/2/4", EngineSettings())
    'streams-by_txid-2'
    >>> transactional_id("source:bitcoin/0/0/1", EngineSettings())
    'streams-source-bitcoin'
    """
    name, _, rest = writer.partition("/")
    task = rest.split("/")[1] if rest.count("/") == 2 else "0"
    if name.startswith("source:"):
        return source_id(settings.application, name.removeprefix("source:"))
    return settings.transactional_id(name, int(task))
