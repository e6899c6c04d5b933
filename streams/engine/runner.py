"""A task on Kafka: fence, recover, process, checkpoint."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from schemas.wire import Codec
from streams.engine.breaker import Breaker, Broken, Part
from streams.engine.checkpoint import Fenced, Transactions
from streams.engine.emit import Encoder, Snapshot
from streams.engine.guard import call_as
from streams.engine.mover import EXIT_BROKEN_CHAIN, Chunk, Place, end_process
from streams.engine.pace import Pace
from streams.engine.placing import Partitioner
from streams.engine.recovery import Firsts, Reader, Recovery, begin_unread, recover
from streams.engine.remade import agreed
from streams.engine.repeating import delivery_of
from streams.engine.retake import Signature, retaken
from streams.engine.settings import EngineSettings
from streams.engine.stages import Stage
from streams.engine.stores import StateLost
from streams.engine.task import StepFailed, Task
from streams.engine.topology import SubTopology, Topology

Report = Callable[[str, dict[str, Any]], None]
"""Told of what happens to a task: name of the event and its facts."""

MOST_PAUSE_SECONDS = 5.0
"""Between a checkpoint that failed and the next attempt."""
PATIENCE = 2
"""Checkpoints that may fail before no more is read: each one has more to write than the last."""


class Runner:
    """One task with its transactional producer, its checkpoint timer and its recovery."""

    def __init__(
        self,
        topology: Topology,
        sub: SubTopology,
        partition: int,
        settings: EngineSettings,
        codec: Codec,
        pool: ThreadPoolExecutor,
        openers: ThreadPoolExecutor,
        report: Report,
    ) -> None:
        self.sub, self.partition, self.settings = sub, partition, settings
        self.pool, self.openers, self.report = pool, openers, report
        self.kafka = {"bootstrap.servers": settings.bootstrap, **settings.kafka}
        self.task = Task(topology, sub, partition, settings, codec)
        self.changelog = settings.changelog(sub.name)
        counts = settings.partitions, settings.shared_partitions
        self.encoder = Encoder(self.changelog, partition, counts[0], self.task.writer, counts[1])
        timeout = {"transaction.timeout.ms": settings.transaction_timeout_ms}
        own_id = settings.transactional_id(sub.name, partition)
        self.tx = Transactions({**self.kafka, **timeout}, own_id)
        self.signature = Signature()
        self.wanted: Callable[[], bool] = lambda: True
        """Whether the group still has it that the task is ours."""
        self.delivery = delivery_of(settings, sub, self.encoder)
        self.lock = asyncio.Lock()
        self.timer: asyncio.Task[None] | None = None
        self.saved = dict(self.task.position)
        self.trying: float | None = None
        """Since when checkpoints have been tried and not committed (monotonic seconds)."""
        self.abandoned = False
        """Whether the group took the task back before its timeout was looked into."""
        self.at_end: dict[str, float] = {}
        self.declare_at = 0.0
        """When the task may declare its watermark again (monotonic seconds)."""
        self.behind: set[str] = set()
        """Inputs of which there was more when they were read last."""
        self.paused: set[str] = set()
        self.partitioner = Partitioner(sub, settings)
        self.opening = self.queued = False
        """Whether it takes its state over, and whether it waits for its turn to."""
        self.recovery, self.firsts = Recovery(self.task), Firsts(self.kafka, self.places)
        self.pace = Pace(settings.checkpoint_ms, settings.delivery == "at_least_once")
        self.checkpoints = 0
        """How many it has committed."""
        self.failures = 0
        """How many have failed since; each doubles the time until the next."""
        self.breaker = Breaker()
        self.working = False
        """Whether a chunk is being processed."""
        self.crowded = False
        """Whether they are paused since checkpoints cannot follow, not for ``max_skew``."""

    @property
    def places(self) -> dict[Place, int]:
        """Where to read on from."""
        return {Place(t, self.partition): offset for t, offset in self.task.position.items()}

    def stands_on(self, ids: Mapping[str, str]) -> None:
        """The inputs have these ids now; raises Remade where the task has read another topic."""
        own = {name: ids[name] for name in self.task.position if name in ids}
        self.task.topic_ids = agreed(self.task.topic_ids, own, self.task.position)

    # Start ----------------------------------------------------------------------------------------

    async def open(self, wanted: Callable[[], bool] = lambda: True) -> None:
        """Fence older owners, then read the changelog to its end.

        Returns early once it is not ``wanted`` any more: whoever has the partition then must not
        be fenced by us.
        """
        self.opening, self.wanted = True, wanted
        start = time.perf_counter()
        await self._in_turn(self._fence)
        fenced = time.perf_counter()
        try:
            await self._in_turn(self._replay)
        except StateLost as error:
            self.lost(error)
        self.opening = False
        if not wanted():
            return
        self.saved, self.signature.committed = self.task.stood(), self.recovery.by
        facts = {"entries": len(self.task.store), "fence_s": round(fenced - start, 3)}
        facts["replay_s"] = round(time.perf_counter() - fenced, 3)
        facts["replayed"] = self.recovery.records
        if self.recovery.records and self.task.store.why:
            self.report("state_rebuilt", {"task": str(self), "why": self.task.store.why})
        self.report("task_recovered", {"task": str(self), **facts})

    async def _in_turn(self, work: Callable[[Callable[[], bool]], None]) -> None:
        """Do it in a thread: there are fewer of these than there may be tasks that begin."""

        def begin() -> None:
            self.queued = False
            work(self.wanted)

        self.queued = True
        await asyncio.get_running_loop().run_in_executor(self.openers, begin)

    def _fence(self, wanted: Callable[[], bool]) -> None:
        with Stage.FENCE:
            self.tx.fence(wanted)

    def _replay(self, wanted: Callable[[], bool]) -> None:
        for step in self.sub.steps:
            if step.warm is not None:
                step.warm()
        reader = self._reader()
        try:
            recover(self.recovery, reader, wanted)
            for topic, first in begin_unread(self.task, self.firsts, wanted).items():
                self.report("begins_late", {"task": str(self), "topic": topic, "offset": first})
        finally:
            reader.close()

    @property
    def moves(self) -> int:
        """Grows with each record of the changelog that is read, then with each checkpoint."""
        return self.recovery.records + self.checkpoints

    @property
    def idle(self) -> bool:
        """Whether the last checkpoint holds everything that was done, or others have their turn."""
        if self.opening:
            return self.queued
        return not self.unsaved

    @property
    def unsaved(self) -> bool:
        """Whether there is anything for a checkpoint to write."""
        return self.task.position != self.saved or self.task.dirty or self.delivery.owes()

    # Work -----------------------------------------------------------------------------------------

    def process(self, chunk: Chunk) -> None:
        """Take a chunk over; atomic on the event loop."""
        topic = chunk.place.topic
        wrong = self.partitioner.look(chunk.place, chunk.messages)
        if wrong is not None:
            facts = {"task": str(self), "cause": wrong.cause, "remedy": wrong.remedy}
            self.report("misplaced", facts)
        part = Part(topic, chunk.messages, chunk.after, chunk.next)
        if self.breaker.broken is not None:
            self.breaker.parts.append(part)
        else:
            self._take(part)
        if chunk.at_end:
            self.at_end[topic] = time.monotonic()
        else:
            self.at_end.pop(topic, None)
        if chunk.more:
            self.behind.add(topic)
        else:  # all that was fetched has been read: under a steady load the end is never seen
            self.behind.discard(topic)
        self._write_ahead()

    def _write_ahead(self) -> None:
        """Write results as they come, where they may repeat and no more is waiting."""
        if not self.behind and not self.failures:
            self.delivery.ahead(self.task.outbox.waiting)

    def _take(self, part: Part) -> bool:
        """Process records; False: a step fails on all of them, and they are kept."""
        self.working, done = True, True
        try:
            self.task.process(*part)
        except Broken as broken:
            done = False
            if self.breaker.open(broken, part):
                self.report("breaker_open", {"task": str(self), **broken.facts})
        except StepFailed as error:
            end_process(EXIT_BROKEN_CHAIN, f"task {self}: {error}")
        except StateLost as error:
            self.lost(error)
        self.working = False
        return done

    def _try_again(self) -> None:
        """Give a step what it failed on, if it is time."""
        if not self.breaker.due:
            return
        while self.breaker.parts:
            if not self._take(self.breaker.parts.pop(0)):
                return
        self.breaker.close()
        self.report("breaker_closed", {"task": str(self)})

    def begin(self) -> None:
        """Its partitions are read from now on, from where it stands."""
        self.paused = set()
        self.at_end.clear()  # what was silent before it was parked may not be so any more
        self.breaker.close()

    @property
    def doing(self) -> str:
        """The step that works now; empty when none does."""
        return f"step {self.task.step} of task {self}" if self.working else ""

    def lost(self, error: BaseException) -> None:
        """The store failed: end, and have the state built again."""
        self.task.store.spoil()
        end_process(EXIT_BROKEN_CHAIN, f"task {self}: its state cannot be read or written: {error}")

    def skew(self) -> tuple[list[Place], list[Place]]:
        """What to pause and what to resume.

        An input waits that ran too far ahead (``max_skew``), and all of them wait while too many
        results do (``max_pending``), checkpoints fail, or a step fails on everything.
        """
        length, size = self.task.outbox.mark()
        waiting = length > self.settings.max_pending or size > self.settings.max_pending_bytes
        self.crowded = waiting or self.failures > PATIENCE
        stopped = self.crowded or self.breaker.broken is not None
        ahead = set(self.task.position) if stopped else self.task.ahead()
        pause = [Place(topic, self.partition) for topic in sorted(ahead - self.paused)]
        resume = [Place(topic, self.partition) for topic in sorted(self.paused - ahead)]
        for topic in (self.paused - ahead) & self.at_end.keys():
            self.at_end[topic] = time.monotonic()  # nobody looked at its end while it waited
        self.paused = ahead
        if pause or resume:
            facts = {"paused": [p.topic for p in pause], "resumed": [p.topic for p in resume]}
            self.report("task_skew", {"task": str(self), **facts})
        return pause, resume

    def watch_idleness(self) -> None:
        """Tell the task which inputs have been silent at their end for the idle timeout."""
        limit = time.monotonic() - self.settings.idle_timeout_ms / 1000
        for topic, since in list(self.at_end.items()):
            if since <= limit and topic not in self.paused:
                del self.at_end[topic]
                try:
                    self.task.idle(topic)
                except StateLost as error:
                    self.lost(error)

    # Checkpoints ----------------------------------------------------------------------------------

    async def keep_checkpointing(
        self,
        settle: Callable[[list[Runner]], Any],
        hold: Callable[[Runner], None],
        tasks: Callable[[], int],
    ) -> None:
        """One timer a task, out of step with the others; ``hold`` is told when time moved.

        ``tasks`` says how many there are in this worker.

        While the task is behind, the checkpoint waits for ``checkpoint_busy_ms``: nobody could see
        the newest results anyway, and the more events meet in one, the less is written.
        """
        last = written = time.perf_counter()
        busy = self.settings.checkpoint_busy_ms / 1000
        await asyncio.sleep(self.pace.pause(tasks()) * (self.partition * 0.618 % 1))
        while True:
            interval = self.pace.pause(tasks())
            pause = min(interval * 2 ** min(self.failures, 16), max(interval, MOST_PAUSE_SECONDS))
            await asyncio.sleep(max(0.001, pause - (time.perf_counter() - last)))
            last = time.perf_counter()
            self.watch_idleness()
            self._try_again()
            self.task.declaring.quiet = time.monotonic() < self.declare_at
            hold(self)
            if not self.behind or self.paused or last - written >= busy:
                written = last
                await settle([self])
                hold(self)

    async def checkpoint(self) -> None:
        """Write what happened since the last one; on failure it is put back and raised."""
        async with self.lock:
            if self.abandoned or not self.unsaved:
                return
            began = time.perf_counter()
            with Stage.SETTLE:
                self.task.store.settle()
            with Stage.SNAPSHOT:
                snapshot = self.task.snapshot()
                snapshot.position["by"] = self.signature.next()
            self.delivery.take()
            work = asyncio.ensure_future(self._write(snapshot))
            try:
                await asyncio.shield(work)
            finally:
                await asyncio.wait([work])  # a checkpoint is never left half way
                self._over(snapshot, work.exception(), time.perf_counter() - began)

    def _over(self, snapshot: Snapshot, error: BaseException | None, seconds: float) -> None:
        """Let the task know what became of its checkpoint."""
        self.delivery.over(error is not None)
        if error is None:
            with Stage.KEPT:
                self.task.store.kept()
                self.saved = snapshot.position["position"]
                self.checkpoints, self.failures = self.checkpoints + 1, 0
            self._write_ahead()  # what was said meanwhile
            if snapshot.declares:
                self.declare_at = time.monotonic() + self.settings.declare_ms / 1000
            self.pace.took(seconds)
            self.report("checkpoint", {"task": str(self), "seconds": seconds})
            return
        self.failures += 1
        if isinstance(error, StateLost):  # after the commit; whoever waited may have gone
            self.lost(error)
            return
        with Stage.PUT_BACK:
            self.task.put_back(snapshot)

    async def _write(self, snapshot: Snapshot) -> None:
        await asyncio.get_running_loop().run_in_executor(self.pool, self._commit, snapshot)

    def _commit(self, snapshot: Snapshot) -> None:
        records = self.delivery.records(snapshot)
        self.trying = time.monotonic() if self.trying is None else self.trying
        try:
            self.tx.commit(records)
        except Fenced as error:
            self.delivery.hold()  # somebody else may be at work
            self._retake(snapshot, error, time.monotonic() - self.trying)
        self.trying = None
        self.signature.committed = snapshot.position["by"]
        self.delivery.committed(snapshot)
        with Stage.KEEP:
            call_as(StateLost, self.task.store.keep, snapshot.changes)

    def _retake(self, snapshot: Snapshot, fenced: Fenced, seconds: float) -> None:
        """Go on if the transaction only timed out: returns if it had been committed all the same.

        Raises KafkaException where it was not, and Fenced where somebody else has the task.
        """
        if not fenced.broken and seconds * 1000 < self.settings.transaction_timeout_ms:
            raise fenced
        ours = (snapshot.position["by"], self.signature.committed)
        try:
            with Stage.RETAKE:
                last = retaken(self.tx, self._reader, ours, self.wanted, fenced)
        finally:
            self.abandoned = not self.wanted()
        if last == self.signature.committed:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "the transaction timed out"))

    def _reader(self) -> Reader:
        return Reader(self.kafka, self.changelog, self.partition)

    async def close(self) -> None:
        """Stop the timer and forget the producer."""
        if self.timer is not None:
            self.timer.cancel()
        await asyncio.get_running_loop().run_in_executor(self.pool, self._close)

    def _close(self) -> None:
        self.tx.close()
        self.delivery.close()
        self.task.store.close()

    def __str__(self) -> str:
        return f"{self.sub.name}/{self.partition}"
