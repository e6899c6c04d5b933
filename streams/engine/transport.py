"""The Faust transport: aiokafka is the group member, the mover brings the bytes, tasks do the work.

Found by Faust through the entry point ``faust.transports`` as the URL scheme ``streams://``. Faust
keeps what it is good at: application, group membership, co-partitioned assignment, rebalances,
command line. Its acks, offsets, tables and windows are not used.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import msgspec
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    InvalidSessionTimeoutError,
    KafkaError,
)
from faust.exceptions import ConsumerNotStarted
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from mode import Service

from schemas.wire import Codec
from streams.engine.guard import attempt, attempt_async
from streams.engine.mover import (
    EXIT_BROKEN_CHAIN,
    EXIT_MOVER,
    EXIT_STALLED,
    Chunk,
    Mover,
    Place,
    end_process,
)
from streams.engine.recovery import Firsts
from streams.engine.remade import Remade, topic_ids
from streams.engine.runner import Report, Runner
from streams.engine.settings import EngineSettings
from streams.engine.settling import settle
from streams.engine.stages import Stage
from streams.engine.topology import Topology
from streams.engine.unable import unable
from streams.wire.errors import no_right

if TYPE_CHECKING:
    from streams.engine.standby import Standby

GC_THRESHOLDS = (50_000, 20, 100)
"""State is large and free of cycles: the defaults would walk through it all the time."""
BAD_SESSION = (
    "the brokers allow no session of {0.session_timeout_ms} ms: set engine.session_timeout_ms to "
    "what lies between their group.min.session.timeout.ms and group.max.session.timeout.ms"
)


class Flow(msgspec.Struct):
    """What the application tells the transport."""

    topology: Topology
    settings: EngineSettings
    codec: Codec
    report: Report


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """The group member: it holds partitions and fetches nothing."""

    async def on_partitions_assigned(self, assigned: Any, generation_id: int = 0) -> None:
        self._ensure_consumer().pause(*map(driver.ensure_aiokafka_TP, assigned))
        await _or_end(super().on_partitions_assigned(assigned, generation_id))

    async def on_partitions_revoked(self, revoked: Any) -> None:
        await _or_end(super().on_partitions_revoked(revoked))

    async def _commit(self, offsets: Any) -> bool:
        """Offsets are a hint: a broker that is away for a while must not end the worker."""
        held = self.assignment()
        known = {driver.ensure_aiokafka_TP(tp): n for tp, n in offsets.items() if tp in held}
        try:
            await self._ensure_consumer().commit(known)
        except GroupAuthorizationFailedError:
            self._forbidden()
        except KafkaError:
            return False
        return True

    def look_at_rights(self) -> None:
        """aiokafka waits for somebody to ask before it tells that it cannot join, for ever."""
        coordinator = getattr(self._consumer, "_coordinator", None)
        error = getattr(coordinator, "_pending_exception", None)
        if isinstance(error, GroupAuthorizationFailedError):
            self._forbidden()
        if isinstance(error, InvalidSessionTimeoutError):
            end_process(EXIT_MOVER, BAD_SESSION.format(self.consumer.flow.settings))  # type: ignore[attr-defined]
        if error is not None:
            end_process(EXIT_MOVER, f"cannot be in group {self.app.conf.id}: {error!r}")

    def _forbidden(self) -> None:
        """Who may not be in the group any more has no partitions: end, and say so."""
        group = self.app.conf.id
        end_process(
            EXIT_MOVER,
            f"we have no right to READ on group {group}: `streams topics acls worker` prints what "
            "a worker needs; give it to our principal",
        )

    def highwater(self, tp: Any) -> int:
        """How far a partition was read: nobody may wait on the mover for its true end."""
        known: int = self.consumer.read_to(tp)  # type: ignore[attr-defined]
        return known


class Consumer(driver.Consumer):
    """Faust's consumer with the fetching replaced and a task behind every partition."""

    flow: Flow
    mover: Mover

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def assignment(self) -> set[TP]:
        """What the group has given to this worker: nothing before its thread has begun."""
        try:
            held: set[TP] = super().assignment()
        except ConsumerNotStarted:
            return set()
        return held

    def verify_event_path(self, now: float, tp: Any) -> None:
        """Faust's own stall detector looks at acks, which are not used."""

    async def on_start(self) -> None:
        gc.freeze()  # what was imported stays: no collection need look at it
        gc.set_threshold(*GC_THRESHOLDS)
        await super().on_start()
        self.flow = self.app.flow  # type: ignore[attr-defined]
        self.pool = ThreadPoolExecutor(16, "checkpoint")
        self.openers = ThreadPoolExecutor(16, "recovery")  # no checkpoint waits for a replay
        self.tasks: dict[Place, Runner] = {}
        self.parked: dict[Place, Runner] = {}
        self.starting: dict[Place, asyncio.Future[None]] = {}
        self.opening: dict[Place, Runner] = {}
        self.known: asyncio.Future[dict[str, str]] | None = None
        self.firsts: Firsts | None = None
        self.settled = True
        self.inputs = {topic.name: sub for sub in self.flow.topology.subs for topic in sub.inputs}
        settings = self.flow.settings
        self.kafka = {"bootstrap.servers": settings.bootstrap, **settings.kafka}
        only = next(iter(self.inputs)) if len(self.inputs) == 1 else ""
        self.mover = Mover(self.kafka, asyncio.get_running_loop(), only)
        self.mover.start()
        self.standby = self._standby()

    # Data: mover -> Faust's conductor -> stream -> agent -> task ----------------------------------

    async def _drain_messages(self, fetcher: Any) -> None:
        while not self.should_stop and not fetcher.should_stop:
            for chunk in await self.mover.chunks():
                if chunk.session is self.mover.session:
                    await self.callback(self._message(chunk))

    def _message(self, chunk: Chunk) -> ConsumerMessage:
        """A chunk as what Faust passes on."""
        tp, body = TP(*chunk.place), cast(Any, chunk)
        generation = self.app.consumer_generation_id
        return ConsumerMessage(
            tp.topic, tp.partition, chunk.next - 1, 0.0, 0, [], None, body, None, 0, 0, tp,
            generation_id=generation,
        )  # fmt: skip

    def process(self, chunk: Chunk) -> None:
        """Called by the agent for each chunk; drops what was fetched before a revoke."""
        runner = self.tasks.get(self._task_of(chunk.place))
        if chunk.session is self.mover.session and runner is not None:
            runner.process(chunk)
            self._hold(runner)
        chunk.free()

    def _hold(self, runner: Runner) -> None:
        """Let inputs wait that are too far ahead of their task, and go on when it caught up."""
        pause, resume = runner.skew()
        if pause:
            self.mover.pause(pause)
        if resume:
            self.mover.resume(resume)

    def read_to(self, tp: Any) -> int:
        """The position of the task that reads a partition."""
        runner = self.tasks.get(self._task_of(tp))
        return 0 if runner is None else runner.task.position.get(tp.topic, 0)

    def _task_of(self, place: Any) -> Place:
        sub = self.inputs.get(place.topic)
        return Place(sub.name if sub is not None else "", place.partition)

    # Group: revoke = stop, checkpoint, park; assign = reuse or recover, then read on --------------

    async def on_partitions_revoked(self, revoked: set[Any]) -> None:
        self.settled = False
        await self.mover.clear()
        await self._end_starting()
        self.known = self.firsts = None
        await settle(list(self.tasks.values()), self.flow.report)
        for runner in self.tasks.values():
            if runner.timer is not None:
                runner.timer.cancel()
        left = [runner for runner in self.tasks.values() if runner.abandoned]
        await asyncio.gather(*[runner.close() for runner in left], return_exceptions=True)
        self.parked |= {place: r for place, r in self.tasks.items() if not r.abandoned}
        self.tasks.clear()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[Any], generation_id: int = 0) -> None:
        kept = {self._task_of(tp) for tp in assigned}
        gone = [self.parked.pop(place) for place in set(self.parked) - kept]
        await asyncio.gather(*[runner.close() for runner in gone], return_exceptions=True)
        self.settled = True
        self.flow.report("assigned", {"partitions": len(assigned)})
        await super().on_partitions_assigned(assigned, generation_id)

    async def perform_seek(self) -> None:
        """Faust calls it where stock seeks to committed offsets: here the tasks begin."""
        if not self.settled:
            return
        wanted = {self._task_of(tp) for tp in self.assignment() if tp.topic in self.inputs}
        for place in wanted - set(self.tasks):
            earlier = self.starting.get(place)
            work = asyncio.ensure_future(self._begin(place, self.mover.session, earlier))
            work.add_done_callback(_must_not_fail)
            self.starting[place] = work

    async def _begin(self, place: Place, session: Any, earlier: Any) -> None:
        if earlier is not None:  # two starts of one task would fence each other
            await asyncio.wait([earlier])
        ids = await self._topic_ids(session)
        if place in self.tasks or session is not self.mover.session:
            return
        runner = self.parked.pop(place, None)
        if runner is None:
            loop = asyncio.get_running_loop()  # a client with a token waits for it as it is made
            runner = await loop.run_in_executor(self.openers, self._runner, place)
            self.opening[place] = runner
            runner.stands_on(ids)
            runner.firsts = self._firsts()
            error = await attempt_async(runner.open(lambda: session is self.mover.session))
            del self.opening[place]
        else:
            error = attempt(partial(runner.stands_on, ids))
        if error is not None and session is self.mover.session:
            self._refused(runner, error)
        if session is not self.mover.session or not self.settled or self.should_stop:
            await runner.close()  # revoked meanwhile
            return
        self.tasks[place] = runner
        runner.wanted = lambda: session is self.mover.session
        with Stage.SEEK:
            added = self.mover.add(runner.places)
            runner.begin()
            self._hold(runner)
            await added
        with Stage.RESUME:  # a revoke meanwhile waits for us: it ends the timer afterwards
            work = runner.keep_checkpointing(self._settle, self._hold, lambda: len(self.tasks))
            runner.timer = asyncio.ensure_future(work)
            runner.timer.add_done_callback(_must_not_fail)

    async def _topic_ids(self, session: Any) -> dict[str, str]:
        """Kafka's ids of what we were given to read, asked for once an assignment."""
        if self.known is None:
            self.known = asyncio.ensure_future(self._ask_topic_ids(session))
        return await asyncio.shield(self.known)

    async def _ask_topic_ids(self, session: Any) -> dict[str, str]:
        names = {tp.topic for tp in self.assignment()} & self.inputs.keys()
        ask = partial(topic_ids, self.flow.settings, names, lambda: session is self.mover.session)
        found = await asyncio.get_running_loop().run_in_executor(self.openers, ask)
        if names - found.keys() and session is self.mover.session:
            self.flow.report("topic_ids_unknown", {"topics": sorted(names - found.keys())})
        return found

    def _firsts(self) -> Firsts:
        """Where our inputs begin: one question for all tasks of an assignment."""
        if self.firsts is None:
            ours = [Place(*tp) for tp in self.assignment() if tp.topic in self.inputs]
            self.firsts = Firsts(self.kafka, ours)
        return self.firsts

    def _refused(self, runner: Runner, error: BaseException) -> None:
        """End, and name the right, the ability or the topic that is missing, if it is one."""
        if isinstance(error, Remade):
            end_process(EXIT_BROKEN_CHAIN, f"task {runner}: {error}")
        settings = self.flow.settings
        id = settings.transactional_id(runner.sub.name, runner.partition)
        refused = no_right(error, f"begin task {runner} (transactional id {id})") or unable(
            error, settings.transaction_timeout_ms
        )
        if refused is not None:
            end_process(EXIT_MOVER, str(refused))
        end_process(EXIT_BROKEN_CHAIN, f"task {runner} cannot start: {error!r}")

    async def _end_starting(self) -> None:
        """Tasks that begin see that the session is over; none may fence once we have let go."""
        await asyncio.gather(*self.starting.values(), return_exceptions=True)
        self.starting.clear()

    def _runner(self, place: Place) -> Runner:
        flow = self.flow
        sub = next(s for s in flow.topology.subs if s.name == place.topic)
        return Runner(
            flow.topology,
            sub,
            place.partition,
            flow.settings,
            flow.codec,
            self.pool,
            self.openers,
            flow.report,
        )

    async def _settle(self, runners: list[Runner]) -> None:
        await settle(runners, self.flow.report)

    # Offsets are a hint for lag tools -------------------------------------------------------------

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        offsets = {}
        for tp in self.assignment():
            runner = self.tasks.get(self._task_of(tp))
            if runner is not None and runner.saved.get(tp.topic):
                offsets[tp] = runner.saved[tp.topic]
        return bool(offsets) and bool(await self._commit(offsets))

    @Service.task
    async def _pulse(self) -> None:
        """Keeps max.poll.interval honest, and surfaces group errors.

        Also without an assignment: a spare member that never fetches would leave for good.
        """
        while not self.should_stop:
            await self.sleep(1.0)
            cast(ConsumerThread, self._thread).look_at_rights()
            if self.flow_active:
                await self._getmany(self.assignment(), timeout=0.0)

    def _standby(self) -> Standby | None:
        """Who follows the tasks that other workers have, if that is wanted."""
        settings = self.flow.settings
        if not settings.standby_ms:
            return None
        from streams.engine.standby import Standby  # noqa: PLC0415

        places = [
            Place(sub.name, partition)
            for sub in self.app.selection.run  # type: ignore[attr-defined]
            for partition in range(settings.tasks_of(sub))
        ]
        found = Standby(places, settings, self._is_ours, self.flow.report)
        found.start()
        return found

    def _is_ours(self, place: Place) -> bool:
        held = (self.tasks, self.starting, self.opening, self.parked)
        return not self.settled or any(place in tasks for tasks in held)

    async def on_stop(self) -> None:
        if self.standby is not None:
            await asyncio.get_running_loop().run_in_executor(self.pool, self.standby.stop)
        await self.mover.clear()
        await self._end_starting()
        await settle(list(self.tasks.values()), self.flow.report)
        runners = [*self.tasks.values(), *self.parked.values()]
        await asyncio.gather(*[runner.close() for runner in runners], return_exceptions=True)
        self.mover.stop()
        self.pool.shutdown(wait=False, cancel_futures=True)
        self.openers.shutdown(wait=False, cancel_futures=True)
        await super().on_stop()


async def _or_end(work: Awaitable[None]) -> None:
    """A rebalance that fails half way is only logged by aiokafka: nobody would work any more."""
    error = await attempt_async(work)
    if error is not None:
        end_process(EXIT_STALLED, f"a part of the worker failed: {error!r}")


def _must_not_fail(work: asyncio.Future[Any]) -> None:
    """Work that nobody waits for has ended: with an error, nothing would go on any more."""
    error = None if work.cancelled() else work.exception()
    if error is not None:
        end_process(EXIT_STALLED, f"a part of the worker failed: {error!r}")


class Transport(driver.Transport):
    """The transport behind ``streams://host:port``."""

    Consumer = Consumer
