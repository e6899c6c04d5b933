"""Liveness, readiness and metrics of a worker over HTTP, from its own event loop.

That the loop answers is half of the answer: a worker whose loop is stuck answers nothing.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import structlog
from aiohttp import web
from confluent_kafka import KafkaException
from mode import Service
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from streams.config import host_and_port
from streams.engine.ends import Ends
from streams.engine.mover import EXIT_MOVER, EXIT_STALLED, Place, end_process
from streams.engine.settings import EngineSettings
from streams.engine.watchdog import NOTICE_SECONDS
from streams.ops.admin import OpsError
from streams.ops.held import Held
from streams.ops.metrics import registry
from streams.ops.outage import Outage
from streams.ops.transactions import CannotAsk, holders
from streams.ops.watching import Stalls, Unread, Watch, Worker
from streams.wire.approach import refusal
from streams.wire.errors import no_right

LOOK_SECONDS = 1.0
PROBE_EVERY = 5
"""Looks between two questions to a broker that answers; one that is away is asked each time."""
PROBE_SECONDS = 2.0


class BadListen(OpsError):
    """The health endpoints cannot listen where they should."""

    code = 2


class Check(NamedTuple):
    """One thing that liveness or readiness depends on."""

    name: str
    ok: bool
    detail: str


def bind(address: str) -> socket.socket:
    """Take the address, so that a wrong one is an error before anything starts.

    Raises ConfigError or BadListen.
    """
    host, port = host_and_port(address)
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        taken = socket.socket(family, socket.SOCK_STREAM)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((host, port))
    except OSError as error:
        raise BadListen(
            f"cannot listen at {address} for health ({error.strerror})",
            "name a free address of this machine, such as 127.0.0.1:0, by --health",
        ) from error
    return taken


def alive(worker: Worker, stalls: Stalls, unread: Unread) -> list[Check]:
    """Whether the worker is worth keeping: false means that only a restart helps."""
    stuck, left = sorted(stalls.stuck().items()), unread.stuck()
    words = [f"{sub}/{partition} for {seconds:.0f} s" for (sub, partition), seconds in stuck]
    return [
        Check("event_loop", True, "answers"),
        _check("mover", worker.mover_runs(), "runs", "its thread has ended"),
        _check("checkpoints", not stuck, "progress", f"stuck: {', '.join(words)}"),
        _check("reading", not left, "progress", f"nothing comes of {_some(left)}"),
    ]


def ready(worker: Worker) -> list[Check]:
    """Whether the worker does its share of the work now."""
    wanted, running = worker.wanted, worker.tasks.keys()
    consumer = worker.consumer
    settled = worker.watch.assigned and consumer is not None and consumer.settled
    left = len(wanted - running)
    recovering = f"{left} of {len(wanted)} tasks are still recovering"
    joining = "the group is rebalancing" if worker.watch.assigned else "not yet in the group"
    broken = ", ".join(f"{sub}/{partition}" for sub, partition in sorted(worker.broken))
    return [
        _check("broker", not worker.outage.away, "answers", "does not answer"),
        _check("steps", not broken, "work", f"a step fails on everything in {broken}"),
        _check("assigned", settled, f"{len(wanted)} tasks", joining),
        _check("recovered", settled and not left, "all tasks", recovering if left else joining),
        Check("inputs", True, worker.held_inputs.words() or "nobody holds them"),
    ]


def _some(places: Iterable[Place]) -> str:
    names = [f"{name}/{partition}" for name, partition in sorted(places)]
    return ", ".join(names[:3]) + ", ..." * (len(names) > 3)


def _check(name: str, ok: bool, good: str, bad: str) -> Check:
    return Check(name, ok, good if ok else bad)


class Looking(Service):
    """Looks at the tasks every second and asks the broker whether it is there."""

    def __init__(
        self,
        worker: Worker,
        stalls: Stalls,
        unread: Unread,
        settings: EngineSettings,
        **more: Any,
    ) -> None:
        super().__init__(**more)
        self.worker, self.stalls, self.unread = worker, stalls, unread
        self._kafka = {"bootstrap.servers": settings.bootstrap, **settings.kafka}
        self._ends, self._stable = Ends(self._kafka), Ends(self._kafka, committed=True)
        self._stands: dict[Place, int] | None = None
        self._naming: asyncio.Task[None] | None = None
        self._first = Place(worker.selection.run[0].inputs[0].name, 0)

    @Service.task
    async def _look(self) -> None:
        number = 0
        while not self.should_stop:
            if number % PROBE_EVERY == 0 or self.worker.outage.away:
                inputs = [place for place, _ in self.worker.inputs()] or [self._first]
                await asyncio.get_running_loop().run_in_executor(None, self._probe, inputs)
            self.stalls.look()
            self.unread.look()
            self._end_if_stuck()
            self._look_who_holds()
            number += 1
            await self.sleep(LOOK_SECONDS)

    def _end_if_stuck(self) -> None:
        stuck, left = self.stalls.stuck(), self.unread.stuck()
        if stuck and not self.should_stop:
            end_process(
                EXIT_STALLED,
                f"{_some(stuck)}: nothing was checkpointed for {max(stuck.values()):.0f} s, though "
                "the broker answers: the log says why; brokers that are slower than that need a "
                "greater engine.stall_ms",
            )
        if left and not self.should_stop:
            end_process(
                EXIT_STALLED,
                f"{_some(left)}: nothing was read for {max(left.values()):.0f} s, though there are "
                "records and the broker answers (engine.stall_ms)",
            )

    def _probe(self, inputs: list[Place]) -> None:
        try:
            self.worker.ends = self._ends.ask(inputs, PROBE_SECONDS)
        except KafkaException as error:
            refused = no_right(error, "look at what this worker reads") or refusal(self._kafka)
            if refused is not None:  # waiting would not help
                end_process(EXIT_MOVER, str(refused))
            self.worker.outage.missed(error.args[0].name())
        else:
            self.worker.outage.answered()
            with suppress(KafkaException):  # the next look tells whether it is away
                self._stands = self.worker.stable = self._stable.ask(inputs, PROBE_SECONDS)

    def _look_who_holds(self) -> None:
        """Who keeps us waiting is asked beside the looks, which must not wait for it."""
        held, stands, self._stands = self.worker.held_inputs, self._stands, None
        if stands is None:
            return
        held.look(self.worker.ends, stands)
        if held.unnamed() and (self._naming is None or self._naming.done()):
            self._naming = asyncio.create_task(self._name(held))

    async def _name(self, held: Held) -> None:
        loop = asyncio.get_running_loop()
        try:
            held.tell(await loop.run_in_executor(None, holders, self._kafka, held.unnamed()))
        except CannotAsk as error:
            held.tell({}, error.cause)

    async def on_stop(self) -> None:
        for asking in (self._ends, self._stable):
            await asyncio.get_running_loop().run_in_executor(None, asking.close)


class Health(Service):
    """The HTTP server."""

    def __init__(
        self,
        taken: socket.socket,
        worker: Worker,
        alive: Callable[[], list[Check]],
        metrics: CollectorRegistry,
        **more: Any,
    ) -> None:
        super().__init__(**more)
        self.taken, self.worker, self.alive, self.metrics = taken, worker, alive, metrics
        self._runner: web.AppRunner | None = None

    async def on_start(self) -> None:
        served = web.Application()
        served.add_routes(
            [
                web.get("/livez", self._answering(self.alive)),
                web.get("/readyz", self._answering(lambda: ready(self.worker))),
                web.get("/metrics", self._metrics),
            ]
        )
        self._runner = web.AppRunner(served, access_log=None)
        await self._runner.setup()
        await web.SockSite(self._runner, self.taken).start()
        host, port = self.taken.getsockname()[:2]
        structlog.stdlib.get_logger("streams").info("health", listens=f"http://{host}:{port}")

    async def on_stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def _answering(self, checks: Callable[[], list[Check]]) -> Any:
        async def answer(request: web.Request) -> web.Response:
            found = checks()
            ok = all(check.ok for check in found)
            body = {
                "status": "ok" if ok else "failed",
                "checks": {c.name: {"ok": c.ok, "detail": c.detail} for c in found},
            }
            return web.json_response(body, status=200 if ok else 503)

        return answer

    async def _metrics(self, request: web.Request) -> web.Response:
        encode, kind = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self.metrics), headers={"Content-Type": kind})


def companions(
    taken: socket.socket | None, watch: Watch, outage: Outage, settings: EngineSettings
) -> list[Callable[[Any], Service]]:
    """The services that live beside an application: the look-out, and the server if wanted."""
    made: list[Any] = []

    def parts(app: Any) -> tuple[Worker, Stalls, Unread]:
        if not made:
            worker, limit = Worker(app, watch, outage), settings.stall_s - NOTICE_SECONDS
            stalls = Stalls(lambda: worker.held, outage, limit)
            made.extend((worker, stalls, Unread(worker.unread, outage, limit)))
        return made[0], made[1], made[2]

    def look(app: Any) -> Service:
        worker, stalls, unread = parts(app)
        return Looking(worker, stalls, unread, settings, loop=app.loop, beacon=app.beacon)

    def serve(app: Any) -> Service:
        worker, stalls, unread = parts(app)
        metrics = registry(worker, lambda: all(check.ok for check in ready(worker)))
        assert taken is not None
        living = partial(alive, worker, stalls, unread)
        return Health(taken, worker, living, metrics, loop=app.loop, beacon=app.beacon)

    return [look] if taken is None else [look, serve]
