"""A task: partition n of a sub-topology, with its state, clock, positions and counts.

Everything belongs to a task, nothing to a worker. A task is plain Python: it takes records and
gives snapshots, so the same object runs on Kafka and in ``TopologyDriver``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec

from joins.clock import NEG_INF, SideTime, TaskClock
from joins.outcome import Late
from schemas.envelope import Event
from schemas.errors import BadHeaders, SchemaError
from schemas.headers import WATERMARK, WRITER, texts
from schemas.wire import Codec
from streams import topics
from streams.engine.emit import Pending, Snapshot
from streams.engine.guard import (
    Counts,
    Decoded,
    Letter,
    Message,
    attempt,
    dead_letter,
    decode,
    letter,
    origin_headers,
)
from streams.engine.intake import Intake
from streams.engine.settings import EngineSettings
from streams.engine.step import Batch, Step
from streams.engine.stores import TaskStore, scoped
from streams.engine.topology import SubTopology, Topology
from streams.engine.writers import Declared, Writer
from streams.topics import Topic


class StepFailed(RuntimeError):
    """A step failed without an input record to blame (a timer): the worker cannot go on."""


class Task:
    """The processing of one partition of one sub-topology."""

    def __init__(
        self, topology: Topology, sub: SubTopology, partition: int, settings: EngineSettings,
        codec: Codec,
    ) -> None:  # fmt: skip
        self.sub, self.partition, self.settings, self.codec = sub, partition, settings, codec
        self.store = TaskStore()
        self.position: dict[str, int] = {topic.name: 0 for topic in sub.inputs}
        self.counts: dict[str, Counts] = {topic.name: Counts() for topic in sub.inputs}
        self.intake = Intake(scoped(self.store, "intake"))
        self.declared = {
            t.name: Declared(tuple(s.name for s in topology.writers(t.name)))
            for t in sub.inputs
            if t.declared
        }
        timed = [topic for topic in sub.inputs if not topic.table]
        self.clock = TaskClock(
            {t.name: SideTime(t.declared, settings.lateness_ms, settings.grace_ms) for t in timed},
            [(t.name, partition) for t in timed],
            max(settings.grace_ms, settings.retract_grace_ms),
        )
        self.writer = Writer(sub.name, settings.generation, partition, settings.partitions)
        self.pending: list[Pending] = []
        self.sequence = 0
        self.advanced = NEG_INF
        self.said: int | None = NEG_INF
        self.published = NEG_INF
        self._emit = TaskEmit(self)
        self._scopes = {step.name: scoped(self.store, step.name) for step in sub.steps}
        self._inner = {t.name for s in sub.steps for t in s.reads} - set(self.position)

    # Records --------------------------------------------------------------------------------------

    def process(
        self, topic_name: str, messages: Sequence[Message], after: int, position: int
    ) -> None:
        """Take the records of one input from position ``after`` to ``position`` over."""
        if after != self.position[topic_name]:
            raise StepFailed(f"{topic_name}: got {after} after {self.position[topic_name]}")
        topic = self.sub.input(topic_name)
        run: list[Message] = []
        for message in messages:
            if message.value() is None and message.key() is None and self._is_control(message):
                self._run(topic, run)
                self._control(topic, message)
                run = []
            else:
                run.append(message)
        self._run(topic, run)
        self.position[topic_name] = position
        self.advance()

    @staticmethod
    def _is_control(message: Message) -> bool:
        return any(name == WATERMARK for name, _ in message.headers() or ())

    def _control(self, topic: Topic, message: Message) -> None:
        declared = self.declared.get(topic.name)
        if declared is None:
            return
        try:
            found = texts(message.headers())
            declared.declare(Writer.parse(found.get(WRITER, "")), found[WATERMARK])
        except BadHeaders as error:
            self._dead(topic, message, "watermark", error.cause, str(error))
            return
        self.settle_declared(topic.name)

    def settle_declared(self, topic_name: str) -> None:
        """Tell the clock what the writers of an input have declared."""
        if self.sub.input(topic_name).table:
            return
        bound = self.declared[topic_name].watermark()
        if bound is None:
            self.clock.idle(topic_name, self.partition)
        elif bound > NEG_INF:
            self.clock.declare(topic_name, self.partition, bound)

    def _run(self, topic: Topic, messages: list[Message]) -> None:
        """Process a run of records at once; on failure one by one, so that only poison is lost."""
        if not messages:
            return
        if self._try(topic, messages) is None:
            return
        for message in messages:
            self._isolate(topic, message)

    def _isolate(self, topic: Topic, message: Message) -> None:
        error: Exception | None = None
        for _ in range(self.settings.retries + 1):
            error = self._try(topic, [message])
            if error is None:
                return
        detail = f"{type(error).__name__}: {error}"
        self._dead(topic, message, self._emit.step, "step_failed", detail)

    def _try(self, topic: Topic, messages: list[Message]) -> Exception | None:
        before = self._mark()
        error = attempt(lambda: self._take(topic, messages))
        if error is None:
            self.store.settle()
        else:
            self._restore(before)
        return error

    def _mark(self) -> tuple[Any, ...]:
        counts = {name: msgspec.structs.replace(c) for name, c in self.counts.items()}
        return len(self.pending), self.sequence, counts, self.clock.dump()

    def _restore(self, before: tuple[Any, ...]) -> None:
        size, self.sequence, self.counts, clock = before
        del self.pending[size:]
        self.clock.load(clock)
        self.store.undo()

    def _take(self, topic: Topic, messages: list[Message]) -> None:
        counts = self.counts[topic.name]
        events: list[Event] = []
        origins: dict[int, Message] = {}
        for message in messages:
            try:
                item = decode(message, topic, self.codec)
            except SchemaError as error:
                self._dead(topic, message, "decode", error.cause, str(error))
                continue
            if self._accept(topic, item):
                events.append(item.event)
                origins[id(item.event)] = message
        counts.read += len(events)
        counts.used += len(events)
        if events:
            self._emit.begin(topic, origins)
            self._steps(topic, events)
            self._emit.end()

    def _accept(self, topic: Topic, item: Decoded) -> bool:
        """Whether the event is in time and has an effect; what is not goes where it belongs."""
        event, counts = item.event, self.counts[topic.name]
        cap = self._future_cap(topic)
        if event.ingest_ts is not None and event.ts > event.ingest_ts + cap:
            ahead = event.ts - event.ingest_ts
            self._dead(topic, item.message, "clock", "future", f"{ahead} ms ahead of its arrival")
            return False
        if not topic.table:
            late = self.clock.late(
                topic.name,
                self.partition,
                event,
                retracted=topic.source and self.intake.was_retracted(topic.name, event.id),
                written=item.carries_writer,
            )
            if late is not None:
                self._late(topic, item.message, late)
                return False
            self.clock.seen(topic.name, self.partition, event.ts)
        if topic.source and not self.intake.effect(topic.name, event, item.digest):
            counts.read += 1
            counts.duplicates += 1
            return False
        return True

    def _future_cap(self, topic: Topic) -> int:
        if topic.by in ("network", "txid"):
            return self.settings.block_future_cap_ms
        return self.settings.future_cap_ms

    # Steps ----------------------------------------------------------------------------------------

    def _steps(self, topic: Topic, events: list[Event]) -> None:
        inbox: dict[str, list[Event]] = {topic.name: events}
        self._emit.inbox = inbox
        for step in self.sub.steps:
            for read in step.reads:
                arrived = inbox.get(read.name)
                if arrived:
                    self._emit.enter(step)
                    batch = Batch(read, arrived, self.advanced)
                    step.process(batch, self._scopes[step.name], self._emit)

    def advance(self) -> None:
        """Pass a new watermark on to the steps: timers fire, results come before expiry."""
        watermark = self.clock.watermark
        if watermark <= self.advanced:
            return
        inbox: dict[str, list[Event]] = {}
        self._emit.inbox = inbox
        for step in self.sub.steps:
            self._emit.enter(step)
            for read in step.reads:
                if inbox.get(read.name):
                    batch = Batch(read, inbox[read.name], self.advanced)
                    scope = self._scopes[step.name]
                    self._require(step, attempt(partial(step.process, batch, scope, self._emit)))
            if step.advance is not None:
                scope = self._scopes[step.name]
                self._require(step, attempt(partial(step.advance, watermark, scope, self._emit)))
        keep = max(self.settings.grace_ms, self.settings.retract_grace_ms)
        self.intake.expire(watermark - keep)
        self.store.settle()
        self.advanced = watermark

    def _require(self, step: Step, error: Exception | None) -> None:
        if error is not None:
            raise StepFailed(f"step {step.name} failed on a timer: {error!r}") from error

    def route(self, topic: Topic, event: Event, inbox: dict[str, list[Event]]) -> None:
        """Write an event a step emitted, and hand it to the fused steps that read its topic."""
        self.sequence += 1
        event.version = self.sequence
        if self.published != NEG_INF and event.ts < self.published:
            event.correction = True
        if topic.stored:
            self.pending.append(Pending(topic, event))
        if topic.name in self._inner and not topic.broadcast:
            inbox.setdefault(topic.name, []).append(event)

    # Letters --------------------------------------------------------------------------------------

    def _dead(self, topic: Topic, message: Message, step: str, cause: str, detail: str) -> None:
        counts = self.counts[topic.name]
        counts.read += 1
        counts.dead_letters += 1
        self.pending.append(Pending(topics.dead_letters, dead_letter(message, step, cause, detail)))

    def refused(self, topic: Topic, message: Message, step: str, cause: str, detail: str) -> None:
        """A step refused one of its input events: the record becomes a dead letter."""
        counts = self.counts[topic.name]
        counts.read -= 1
        counts.used -= 1
        self._dead(topic, message, step, cause, detail)

    def left_out(self, topic: Topic) -> None:
        """A step left one of its input events out by a named rule."""
        counts = self.counts[topic.name]
        counts.used -= 1
        counts.filtered += 1

    def _late(self, topic: Topic, message: Message, late: Late) -> None:
        counts = self.counts[topic.name]
        counts.read += 1
        counts.late += 1
        why = [
            ("late.step", self.sub.steps[0].name.encode()),
            ("late.watermark", b"%d" % late.watermark),
            ("late.by", b"%d" % late.by),
            ("late.idle", b"true" if late.idle else b"false"),
            *origin_headers("late", message),
        ]
        own = list(message.headers() or [])
        content = letter(message.key(), message.value(), own, why)
        self.pending.append(Pending(topics.late_records, content))

    # Time and checkpoints -------------------------------------------------------------------------

    def idle(self, topic_name: str) -> None:
        """Nothing came from this input for the idle timeout, and its end is reached."""
        topic = self.sub.input(topic_name)
        if topic.table:
            return
        declared = self.declared.get(topic_name)
        if declared is not None and declared.watermark() not in (None, NEG_INF):
            return
        if declared is not None and declared.expected:
            return
        self.clock.idle(topic_name, self.partition)
        self.advance()

    def own_watermark(self) -> int:
        """What this task may declare: nothing below it will be published, corrections excepted."""
        bound = self.clock.watermark
        if bound == NEG_INF:
            return NEG_INF
        bound -= self.settings.grace_ms
        for step in self.sub.steps:
            if step.holdback is not None:
                held = step.holdback(self._scopes[step.name])
                if held is not None:
                    bound = min(bound, held)
        return bound

    def snapshot(self) -> Snapshot:
        """Take everything since the last snapshot: it is one transaction's content."""
        said = None if self._all_idle() else self.own_watermark()
        declares = said != self.said and said != NEG_INF
        snapshot = Snapshot(
            self.pending, self.store.take_changes(), self._position(), said, declares
        )
        self.pending = []
        if declares:
            self.said = said
            if said is not None:
                self.published = max(self.published, said)
        return snapshot

    def _all_idle(self) -> bool:
        timed = [topic.name for topic in self.sub.inputs if not topic.table]
        return all(self.clock.is_idle(name, self.partition) for name in timed)

    def put_back(self, snapshot: Snapshot) -> None:
        """The checkpoint failed: its content goes with the next one."""
        self.pending = snapshot.outputs + self.pending
        self.store.put_back(snapshot.changes)
        if snapshot.declares:
            self.said = NEG_INF

    def _position(self) -> dict[str, Any]:
        return {
            "position": dict(self.position),
            "clock": self.clock.dump(),
            "declared": {name: d.dump() for name, d in self.declared.items()},
            "counts": {name: msgspec.structs.asdict(c) for name, c in self.counts.items()},
            "sequence": self.sequence,
            "advanced": self.advanced,
            "published": self.published,
            "steps": {step.name: step.version for step in self.sub.steps},
        }

    def restore(self, position: dict[str, Any]) -> None:
        """Stand where the position record stands; the store has been loaded before."""
        self.position.update(position["position"])
        self.clock.load(position["clock"])
        for name, said in position["declared"].items():
            if name in self.declared:
                self.declared[name].load(said)
        for name, counts in position["counts"].items():
            self.counts[name] = Counts(**counts)
        self.sequence = position["sequence"]
        self.advanced = position["advanced"]
        self.published = position["published"]
        self._check_versions(position["steps"])

    def _check_versions(self, versions: dict[str, int]) -> None:
        for step in self.sub.steps:
            known = versions.get(step.name, step.version)
            if known != step.version:
                raise StepFailed(
                    f"the state of step {step.name} is of version {known}, the code of version "
                    f"{step.version}: replay into a new application id"
                )

    @property
    def dirty(self) -> bool:
        """Whether there is anything to write that a reader could see."""
        return bool(self.pending)


class TaskEmit:
    """What steps are given to write with."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self.inbox: dict[str, list[Event]] = {}
        self.step = "decode"
        self._writes: frozenset[str] = frozenset()
        self._topic: Topic | None = None
        self._origins: dict[int, Message] = {}

    def begin(self, topic: Topic, origins: dict[int, Message]) -> None:
        """A batch of input events follows."""
        self._topic, self._origins = topic, origins

    def end(self) -> None:
        """The batch is done."""
        self._origins = {}

    def enter(self, step: Step) -> None:
        """``step`` runs now."""
        self.step = step.name
        self._writes = frozenset(topic.name for topic in step.writes)

    def __call__(self, topic: Topic, event: Event) -> None:
        if topic.name not in self._writes:
            raise ValueError(f"step {self.step} does not declare that it writes {topic.name}")
        self._task.route(topic, event, self.inbox)

    def _origin(self, event: Event) -> tuple[Topic, Message]:
        message = self._origins.pop(id(event), None)
        if message is None or self._topic is None:
            raise ValueError(f"step {self.step} may only refuse or filter its input's events, once")
        return self._topic, message

    def refuse(self, event: Event, cause: str, detail: str) -> None:
        topic, message = self._origin(event)
        self._task.refused(topic, message, self.step, cause, detail)

    def filtered(self, event: Event, rule: str) -> None:
        topic, _ = self._origin(event)
        self._task.left_out(topic)


__all__ = ["Letter", "StepFailed", "Task"]
