"""Webhook: each change of an event is one signed POST, retried until the receiver has it.

The body is the JSON form of an event (``schemas.jsonform``) in which ``version`` is the offset, as
in every sink. ``webhook-id`` is ``<event id>:<op>:<version>``: a repeat has the same id, an assert
and its retract have two. A receiver takes each ``webhook-id`` once, and of one event id what has
the highest ``version``; the one of op ``assert`` is live. With ``batch`` above 1 a body is a list.

Changes of one key arrive in their order; several keys at once. Where they stand is kept by the
consumer group, so after a crash the last second may come again.

The address is the operator's own and is used as it is: nothing of an event becomes part of it,
redirects are not followed, proxies of the environment are not used. Messages show no more of it
than host and port, since the rest may be a secret.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from sinks.base import Permanent, Positions, SinkError, SinkRecord, check_topic, locate
from sinks.coverage import Coverage
from sinks.loop import LoopThread
from sinks.secrets import required, reveal
from sinks.webhook_answer import Later, Stop, statuses
from sinks.webhook_send import Limits, Sender
from sinks.webhook_sign import Delivery, signers

SEVERITIES = ("info", "low", "medium", "high")
Severity = Literal["info", "low", "medium", "high"]


Lane = list[SinkRecord]
"""Records that are delivered one after the other."""


class WebhookConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the webhook sink."""

    url: Annotated[
        str, Meta(description="Where to POST; env:NAME or file:PATH where it is a secret.")
    ]
    secret: Annotated[
        str, Meta(description="env:NAME or file:PATH of the signing secret, whsec_ and base64.")
    ]
    second_secret: Annotated[
        str, Meta(description="A second one that signs too, while the first is replaced.")
    ] = ""
    batch: Annotated[
        int, Meta(description="Most events a request; above 1 each body is a list.", ge=1, le=1000)
    ] = 1
    concurrency: Annotated[
        int, Meta(description="Most requests at once; those of one key never are.", ge=1, le=256)
    ] = 8
    timeout_seconds: Annotated[
        float, Meta(description="Longest time of one request.", gt=0, le=300)
    ] = 10.0
    retry_seconds: Annotated[
        float, Meta(description="A request is tried so long before reading is paused.", ge=0)
    ] = 10.0
    stop_on: Annotated[
        str, Meta(description="Statuses that end the sink, as no event would be taken.")
    ] = "401,403,404,405,407,410"
    min_severity: Annotated[
        Severity, Meta(description="Events that have a severity below it are not sent.")
    ] = "info"


class WebhookSink:
    """Posts events to one address. A receiver's upsert key: event id, then version."""

    Config: ClassVar = WebhookConfig
    summary: ClassVar[str] = "One signed POST an event, retried, with an id that tells repeats."
    flush_seconds: ClassVar[float] = 1.0
    """The driver commits so often what was delivered."""

    def __init__(self, config: WebhookConfig) -> None:
        self._config = config
        secrets = [required("secret", config.secret)]
        if config.second_secret:
            secrets.append(required("second_secret", config.second_secret))
        self._sender = Sender(
            reveal("url", config.url),
            signers(secrets),
            statuses(config.stop_on),
            Limits(config.concurrency, config.timeout_seconds, config.retry_seconds),
        )
        self.place = self._sender.place
        """Host and port, as messages name them."""
        self.identity = self._sender.identity
        """What tells this target from others; it may hold a secret."""
        self._delivered = Coverage()
        self._loop = LoopThread("webhook")

    def write(self, records: Sequence[SinkRecord]) -> None:
        """Deliver what was not delivered yet; raises after everything under way has ended."""
        for topic in dict.fromkeys(record.topic for record in records):
            check_topic(topic)
        error: SinkError | None = None
        waiting = self._fresh(records)
        while waiting:
            count = len(waiting)
            error = self._loop.run(_Round(self._deliver, self._config).run(self._lanes(waiting)))
            waiting = [] if error is None else self._fresh(records)
            if error is not None and (len(waiting) == count or not _passes(error)):
                raise error
        for record in records:
            self._done(record)

    def flush(self) -> None:
        """Do nothing: what ``write`` has returned from was taken by the receiver."""

    def close(self) -> None:
        """Close the connections."""
        if self._loop.open:
            self._loop.run(self._sender.close())
            self._loop.close()

    def positions(self) -> Positions:
        """Return {}: the consumer group's offsets count."""
        return {}

    def _fresh(self, records: Sequence[SinkRecord]) -> Lane:
        """Records that are to be delivered and were not yet, those of a partition in order."""
        rows = self._delivered.fresh(records).values()
        return [record for row in rows for record in row if self._wanted(record)]

    def _wanted(self, record: SinkRecord) -> bool:
        """Whether an event is to be sent; a retract always is, as its value may be left out."""
        severity = getattr(record.event.value, "severity", None)
        if severity not in SEVERITIES or record.event.op == "retract":
            return True
        return SEVERITIES.index(severity) >= SEVERITIES.index(self._config.min_severity)

    def _done(self, record: SinkRecord) -> None:
        self._delivered.add((record.topic, record.partition), record.offset, record.offset + 1)

    def _lanes(self, records: Sequence[SinkRecord]) -> list[Lane]:
        """Records that must follow each other: those of one key, or, in lists, of a partition."""
        lanes: dict[tuple[object, ...], list[SinkRecord]] = {}
        for record in records:
            key = record.event.key if self._config.batch == 1 else ""
            lanes.setdefault((record.topic, record.partition, key), []).append(record)
        return list(lanes.values())

    async def _deliver(self, records: Lane, round: _Round) -> None:
        """Deliver one request; a list that is refused is halved until one event is left."""
        delivery = Delivery(records, as_list=self._config.batch > 1)
        try:
            await self._sender.send(delivery, lambda: round.error is not None)
        except Stop:
            raise
        except Permanent as error:
            if len(records) == 1:
                cause = f"{locate(records[0])}: {error.cause}"
                raise Permanent(cause, error.remedy, records[0]) from error
            half = len(records) // 2
            await self._deliver(records[:half], round)
            await self._deliver(records[half:], round)
            return
        for record in records:
            self._done(record)


Deliver = Callable[[Lane, "_Round"], Awaitable[None]]


class _Round:
    """The deliveries of one batch: lanes side by side; after an error none is begun any more."""

    def __init__(self, deliver: Deliver, config: WebhookConfig) -> None:
        self._deliver, self._size, self._most = deliver, config.batch, config.concurrency
        self.error: SinkError | None = None

    async def run(self, lanes: Sequence[Lane]) -> SinkError | None:
        """Deliver all; return the error that ended the round."""
        waiting = iter(lanes)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._most, len(lanes))):
                group.create_task(self._work(waiting))
        return self.error

    async def _work(self, waiting: Iterator[Lane]) -> None:
        for lane in waiting:
            for start in range(0, len(lane), self._size):
                if self.error is not None:
                    return
                try:
                    await self._deliver(lane[start : start + self._size], self)
                except SinkError as error:
                    self.error = self.error or error


def _passes(error: SinkError) -> bool:
    """Whether the next round may begin at once: some of this one was taken, and nobody asks us to
    wait."""
    return isinstance(error, Later) and not error.seconds
