"""A task: partition n of a sub-topology, with its state, clock, positions and counts.

Everything belongs to a task, nothing to a worker. A task is plain Python: it takes records and
gives snapshots, so the same object runs on Kafka and in ``TopologyDriver``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from operator import methodcaller
from typing import Any

import msgspec

from joins.clock import NEG_INF
from joins.outcome import Late
from schemas.envelope import Event
from schemas.errors import BadHeaders
from schemas.wire import Codec
from streams import topics
from streams.engine.admission import Admission
from streams.engine.breaker import Broken, Streaks
from streams.engine.declaring import Declaring
from streams.engine.emit import Fan, Outbox, Pending, Snapshot
from streams.engine.guard import (
    Counts,
    Message,
    attempt,
    dead_letter,
    is_control,
    late_letter,
    reader_headers,
)
from streams.engine.intake import Intake
from streams.engine.marks import Marks
from streams.engine.outlet import TaskEmit
from streams.engine.plan import planned
from streams.engine.position import position_of, stand_at
from streams.engine.progress import Progress
from streams.engine.reading import ELSEWHERE
from streams.engine.records import Records, in_time
from streams.engine.settings import EngineSettings
from streams.engine.step import Batch, Step, derived
from streams.engine.storing import new_store
from streams.engine.topology import SubTopology, Topology
from streams.engine.writers import Writer
from streams.topics import Topic

_VALUE = methodcaller("value")


class StepFailed(RuntimeError):
    """A step failed without an input record to blame (a timer): the worker cannot go on."""


class OneByOne(Exception):
    """A batch cannot be taken at once."""


class Task:
    """The processing of one partition of one sub-topology."""

    def __init__(
        self, topology: Topology, sub: SubTopology, partition: int, settings: EngineSettings,
        codec: Codec,
    ) -> None:  # fmt: skip
        topology = planned(topology, settings)
        sub = topology.sub(sub.name)
        self.sub, self.partition, self.settings, self.codec = sub, partition, settings, codec
        self.store = new_store(settings, sub.name, partition)
        self.position: dict[str, int] = {
            topic.name: settings.start_of(topic.name, partition) for topic in sub.inputs
        }
        self.unread = {
            name for name in self.position if f"{name}/{partition}" not in settings.starts
        }
        """Inputs in which it has no position yet, and is not told where to begin."""
        self.topic_ids: dict[str, str] = {}  # Kafka's of its inputs, as far as it told them
        self.counts: dict[str, Counts] = {topic.name: Counts() for topic in sub.inputs}
        self.void: Counter[str] = Counter()
        """By step: retracts that found nothing to withdraw."""
        self.intake = Intake(self.store.scope("intake"))
        writers = {t.name: tuple(s.name for s in topology.writers(t.name)) for t in sub.inputs}
        self.progress = Progress(sub, writers, partition, settings)
        self.writer = Writer(sub.name, settings.generation, partition, settings.tasks_of(sub))
        self.streaks = Streaks(settings.breaker)
        self.outbox = Outbox()
        self.sequence = 0
        self.advanced = NEG_INF
        self.declaring = Declaring()
        self._emit = TaskEmit(self.route, self.fan)
        self._scopes = {step.name: self.store.scope(step.name) for step in sub.steps}
        self.reader = f"{settings.application}-{sub.name}"
        self._admission = Admission(sub, codec, self.intake, self.progress, self._scopes, self)
        self.marks = Marks(sub.steps, self._scopes)
        self._inner = {t.name for s in sub.steps for t in s.reads} - set(self.position)

    @property
    def step(self) -> str:
        """Name of the step that was entered last."""
        return self._emit.step

    # Records --------------------------------------------------------------------------------------

    def process(
        self, topic_name: str, messages: Sequence[Message], after: int, position: int
    ) -> None:
        """Take the records of one input from position ``after`` to ``position`` over."""
        if after != self.position[topic_name]:
            raise StepFailed(f"{topic_name}: got {after} after {self.position[topic_name]}")
        topic = self.sub.input(topic_name)
        try:
            self._runs(topic, messages)
        except Broken as broken:
            self._reach(topic_name, broken.offset)
            raise
        self._reach(topic_name, position)

    def _reach(self, topic_name: str, position: int) -> None:
        self.position[topic_name] = position
        self.advance()

    def _runs(self, topic: Topic, messages: Sequence[Message]) -> None:
        """Take the records between two moves of time at once; original bytes hold none."""
        if topic.event_type is None or all(map(_VALUE, messages)):  # a control record has none
            self._run(topic, messages)
            return
        run: list[Message] = []
        for message in messages:
            if is_control(message):
                if self._hear(topic, message):  # most of many writers' say nothing new
                    self._run(topic, run)
                    self.progress.settle(topic)
                    run = []
            else:
                run.append(message)
        self._run(topic, run)

    def _hear(self, topic: Topic, message: Message) -> bool:
        try:
            return self.progress.hear(topic, message.headers())
        except BadHeaders as error:
            self.dead(topic, message, "watermark", error.cause, str(error))
            return False

    def _run(self, topic: Topic, messages: Sequence[Message]) -> None:
        """Process a run of records at once; on failure in parts, so that only poison is lost.

        Parts shrink where something fails and grow again behind it: so much poison costs each good
        record a few attempts at most.
        """
        self.streaks.settle()
        begin, size = 0, len(messages)
        while begin < len(messages):
            part = messages[begin : begin + size]
            if len(part) == 1:
                size = 2 if self._isolate(topic, part[0]) else 1
            elif self._try(topic, part) is None:
                size = 2 * len(part)
            else:
                size = len(part) // 2
                continue
            begin += len(part)

    def _isolate(self, topic: Topic, message: Message) -> bool:
        """Try one record until it goes through, or has to be put aside."""
        for _ in range(self.settings.retries + 1):
            error = self._try(topic, [message])
            if error is None:
                return True
        detail = f"{type(error).__name__}: {error}"
        length = self.streaks.add(self.step, message.offset() or 0, self._mark)
        if length:
            self._break(topic, detail, length)
        self.dead(topic, message, self.step, "step_failed", detail)
        return False

    def _break(self, topic: Topic, detail: str, length: int) -> None:
        """Go back to before the first record that failed; raises Broken."""
        streaks = self.streaks
        broken = Broken(self.step, detail, topic.name, streaks.first or 0, length)
        self._restore(streaks.mark)
        streaks.clear()
        raise broken

    def _try(self, topic: Topic, messages: Sequence[Message]) -> Exception | None:
        """Take records; on failure nothing has happened.

        A record that a step refuses leaves nothing but its letter: neither state nor a watermark
        nor a live id. So in a batch it may have misled those behind it.
        """
        before = self._mark()
        take = self._take if topic.event_type is not None else self._take_bytes
        error = attempt(partial(take, topic, messages))
        refused = self._emit.refused
        if error is None and not refused:
            self.store.settle()
            return None
        self._restore(before)
        if error is None and len(messages) == 1:
            self.dead(topic, messages[0], *refused[0])
            return None
        return error or OneByOne("a record of the batch was refused")

    def _mark(self) -> tuple[Any, ...]:
        counts = {name: msgspec.structs.replace(c) for name, c in self.counts.items()}
        return self.outbox.mark(), self.sequence, counts, self.progress.clock.dump(), self.void

    def _restore(self, before: tuple[Any, ...]) -> None:
        outputs, self.sequence, self.counts, clock, self.void = before
        self.outbox.back(outputs)
        self.progress.clock.load(clock)
        self.store.undo()

    def _take(self, topic: Topic, messages: Sequence[Message]) -> None:
        events: list[Event] = []
        self._emit.begin(events, {topic.name: events})
        events += self._admission.admit(topic, messages)
        self._use(topic, len(events))

    def _take_bytes(self, topic: Topic, messages: Sequence[Message]) -> None:
        """The same for a topic without envelopes."""
        records = Records(topic, messages, self.advanced)
        records = in_time(topic, records, self.progress, partial(self.late, topic))
        self._emit.begin(records, {topic.name: records})
        self._use(topic, len(records))

    def _use(self, topic: Topic, size: int) -> None:
        if size:
            self._steps()
            self.streaks.passed(self._emit.entered)
        counts, repeated = self.counts[topic.name], self._nothing(topic)
        counts.read += size
        counts.leave_out(self._emit.rules)
        counts.duplicates += repeated
        counts.used += size - len(self._emit.rules) - repeated

    def _nothing(self, topic: Topic) -> int:
        """Count what the steps said had no effect; how many of the records were repetitions."""
        said, readers = self._emit.nothing, self._admission.own_ids.get(topic.name, 0)
        if not said:
            return 0
        inputs = set(map(id, self._emit.inputs)) if readers else set()
        times: Counter[int] = Counter()
        void = Counter(self.void)
        for step, event in said:
            if id(event) not in inputs:
                void[step] += event.op == "retract"
                continue
            times[id(event)] += 1
            if times[id(event)] == readers:
                self.counts[topic.name].void_retracts += event.op == "retract"
        self.void = void
        return sum(count == readers for count in times.values())

    # Steps ----------------------------------------------------------------------------------------

    def _steps(self) -> None:
        inbox = self._emit.inbox
        for step in self.sub.steps:
            for read in step.reads:
                arrived = inbox.get(read.name)
                if arrived:
                    self._emit.enter(step)
                    batch = (
                        arrived
                        if type(arrived) is Records
                        else Batch(read, arrived, self.marks.told[step.name])
                    )
                    step.process(batch, self._scopes[step.name], self._emit)

    def advance(self) -> None:
        """Pass a new watermark on to the steps: timers fire, results come before expiry."""
        watermark = self.progress.watermark
        if watermark <= self.advanced and not self.marks.released(watermark):
            return
        inbox: dict[str, list[Event]] = {}
        self._emit.begin((), inbox)
        for step in self.sub.steps:
            self._emit.enter(step)
            scope, told = self._scopes[step.name], self.marks.told[step.name]
            for read in step.reads:
                if inbox.get(read.name):
                    batch = Batch(read, inbox[read.name], told)
                    self._require(step, attempt(partial(step.process, batch, scope, self._emit)))
            mark = self.marks.told[step.name] = self.marks.next(step, watermark)
            if step.advance is not None and mark > told:
                self._require(step, attempt(partial(step.advance, mark, scope, self._emit)))
        self.void = self.void + Counter(s for s, e in self._emit.nothing if e.op == "retract")
        self.intake.expire(watermark - self.progress.keep)
        self.store.settle()
        self.advanced = watermark

    def _require(self, step: Step, error: Exception | None) -> None:
        if error is not None:
            raise StepFailed(f"step {step.name} failed on a timer: {error!r}") from error

    def route(self, topic: Topic, event: Event, inbox: dict[str, list[Event]]) -> None:
        """Write an event a step emitted, and hand it to the fused steps that read its topic."""
        self.sequence += 1
        event.version = self.sequence
        if event.ts < self.declaring.published:
            event.correction = True
        if topic.stored:
            value = self.codec.encode(event.type, event.value)
            self.outbox.add(Pending(topic, event, value))
        if topic.name in self._inner and not topic.broadcast:
            inbox.setdefault(topic.name, []).append(event)

    def fan(
        self, step: str, topic: Topic, cause: Event, rows: list[tuple[str | int, Any]],
        inbox: dict[str, list[Event]],
    ) -> None:  # fmt: skip
        """Write what follows from ``cause`` alone; events are made only where a step reads them."""
        if topic.name in self._inner or topic.broadcast or not topic.stored:
            for part, value in rows:
                self.route(topic, derived(step, cause, topic, value, part), inbox)
            return
        key_of, encode = topic.key_of, self.codec.encoder(topic.event_type or "")
        content = [(part, key_of(value), encode(value)) for part, value in rows]
        late = cause.ts < self.declaring.published
        self.outbox.add(Fan(topic, step, cause, self.sequence + 1, late, content))
        self.sequence += len(content)

    # Letters --------------------------------------------------------------------------------------

    def repeated(self, topic: Topic, event: Event) -> None:
        """An event of a source has no effect."""
        counts = self.counts[topic.name]
        counts.read += 1
        counts.duplicates += 1
        counts.void_retracts += event.op == "retract"

    def elsewhere(self, topic: Topic) -> None:
        counts = self.counts[topic.name]
        counts.read += 1
        counts.leave_out([ELSEWHERE])

    def dead(self, topic: Topic, message: Message, step: str, cause: str, detail: str) -> None:
        counts = self.counts[topic.name]
        counts.read += 1
        counts.dead_letters += 1
        reader = reader_headers("dl", self.reader, self.sub.version(step))
        content = dead_letter(message, step, cause, detail, reader)
        self.outbox.add(Pending(topics.dead_letters, content))

    def late(self, topic: Topic, message: Message, late: Late) -> None:
        counts = self.counts[topic.name]
        counts.read += 1
        counts.late += 1
        counts.late_retracts += late.event.op == "retract"
        step = next(s.name for s in self.sub.steps if topic in s.reads)
        reader = reader_headers("late", self.reader, self.sub.version(step))
        content = late_letter(message, step, late, reader)
        self.outbox.add(Pending(topics.late_records, content))

    # Time and checkpoints -------------------------------------------------------------------------

    def idle(self, topic_name: str) -> None:
        """Nothing came from this input for the idle timeout, and its end is reached."""
        self.progress.idle(self.sub.input(topic_name))
        self.advance()

    def ahead(self) -> set[str]:
        """The inputs that must wait for the others (``max_skew``)."""
        return self.progress.ahead()

    def own_watermark(self) -> int:
        """What this task may declare: nothing below it will be published, corrections excepted."""
        return self.marks.declares()

    def snapshot(self) -> Snapshot:
        """Take everything since the last snapshot: it is one transaction's content."""
        before = self.declaring.stands
        declares = self.declaring.take(self.own_watermark(), self.progress.all_idle)
        changes = self.store.take_changes()
        return Snapshot(self.outbox.take(), changes, position_of(self), declares, before)

    def put_back(self, snapshot: Snapshot) -> None:
        """The checkpoint failed: its content goes with the next one."""
        self.outbox.put_back(snapshot.outputs)
        self.store.put_back(snapshot.changes)
        self.declaring.put_back(snapshot.before)

    def stood(self) -> dict[str, int]:
        """Its positions, of those inputs that it has read before."""
        return {name: at for name, at in self.position.items() if name not in self.unread}

    def restore(self, position: dict[str, Any]) -> None:
        """Stand where the position record stands; the store has been loaded before."""
        stand_at(self, position)

    @property
    def dirty(self) -> bool:
        """Whether there is anything to write beside positions: outputs, state, news of time."""
        news = self.declaring.news(self.own_watermark(), self.progress.all_idle)
        return bool(self.outbox.waiting or self.store.dirty or news)
