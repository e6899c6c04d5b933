"""The DWN source: verified messages of several tenants, each from its cursor, and on as they come.

It knows nothing of Kafka: whoever runs it stores each item's event (or refusal) and its cursor
together, and starts the next run from the stored cursors. A message may be read twice after a
crash; its event has the same id then.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack

import msgspec

from schemas.dwn.event import to_event
from sinks.dwn import DwnClient, DwnRefused, DwnTransport, DwnUnavailable, Limits
from streams.sources.dwn_reader import TenantReader
from streams.sources.dwn_tenant import (
    Counts,
    DwnItem,
    Grants,
    Refused,
    State,
    Tenant,
    place_of,
)
from streams.sources.errors import SourceError

MAX_DATA_BYTES = 524_288
"""Default for the largest record data read; an event must fit into one Kafka record."""
_QUEUED = 64


class Patience(msgspec.Struct, frozen=True):
    """How long to try and how often to look."""

    poll_s: float = 15.0
    """Following, how long to wait for news before the log is asked anyway."""
    first_pause_s: float = 0.5
    longest_pause_s: float = 30.0
    attempts: int = 5
    """Not following: unavailable that often in a row, the tenant is given up. Following: never."""
    refused_pause_s: float = 60.0
    """Following, how long after a refusal a tenant is asked again."""
    away_s: float = 30.0
    """Unavailable for so long, a server holds up nobody's time any longer."""


class DwnSource:
    """All tenants together; ``items`` is the whole of it."""

    def __init__(
        self,
        tenants: Sequence[Tenant],
        cursors: Mapping[str, str] | None = None,
        *,
        follow: bool = False,
        limits: Limits | None = None,
        patience: Patience | None = None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        say: Callable[[str], None] = lambda words: None,
    ) -> None:
        self._tenants, self._cursors = _merged(tenants), dict(cursors or {})
        self._follow, self._now_ms, self._say = follow, now_ms, say
        self._limits = limits or Limits(max_data_bytes=MAX_DATA_BYTES)
        self._patience = patience or Patience()
        self._refused: dict[int, str] = {}
        self.counts: dict[str, Counts] = {}
        """Of each tenant, by its DID."""

    @property
    def places(self) -> dict[str, tuple[str, ...]]:
        """The names of all logs, by the DID of their tenant."""
        found: dict[str, tuple[str, ...]] = {}
        for tenant in self._tenants:
            found[tenant.did] = found.get(tenant.did, ()) + tenant.places
        return found

    async def items(self) -> AsyncIterator[DwnItem]:
        """The messages of all tenants, each log's in its order.

        Ends at the end of every log, or never when following. A tenant that fails is named, by an
        item and by ``say``, and does not stop the others; SourceError is raised when all have
        ended and some of them failed, or when every one is refused.
        """
        queue: asyncio.Queue[DwnItem | int] = asyncio.Queue(_QUEUED)
        async with AsyncExitStack() as stack:
            urls = {tenant.url for tenant in self._tenants}
            transports = {
                url: await stack.enter_async_context(DwnTransport(url, self._limits))
                for url in urls
            }
            tasks = [
                asyncio.create_task(self._run(number, transports[tenant.url], queue))
                for number, tenant in enumerate(self._tenants)
            ]
            try:
                async for item in self._until_all_ended(tasks, queue):
                    yield item
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _until_all_ended(
        self, tasks: list[asyncio.Task[None]], queue: asyncio.Queue[DwnItem | int]
    ) -> AsyncIterator[DwnItem]:
        running = len(tasks)
        while running:
            item = await queue.get()
            if isinstance(item, DwnItem):
                yield item
                if item.state == "lost" and len(self._refused) == len(tasks):
                    break
                continue
            running -= 1
            await tasks[item]
        if self._refused:
            words = "; ".join(self._refused.values())
            raise SourceError(words, "check the signer, its grants, the protocols and the address")

    async def _run(
        self, number: int, transport: DwnTransport, queue: asyncio.Queue[DwnItem | int]
    ) -> None:
        """Read one tenant to its end, and say that it has come, also of an error."""
        try:
            await self._follow_up(number, transport, queue)
        finally:
            task = asyncio.current_task()
            if task is None or not task.cancelling():  # then nobody reads the queue
                await queue.put(number)

    async def _follow_up(
        self, number: int, transport: DwnTransport, queue: asyncio.Queue[DwnItem | int]
    ) -> None:
        tenant = self._tenants[number]
        client = DwnClient(transport, tenant.signer, tenant.did)
        reader = TenantReader(client, tenant, self._cursors, self._now_ms, self._say)
        self.counts[tenant.did] = reader.counts
        while True:
            try:
                await self._read(number, reader, queue)
                return
            except DwnRefused as refused:
                words = f"the DWN of {tenant.did} refused: {refused}"
                await self._lose(number, tenant, words, queue)
            if not self._follow:
                return
            await asyncio.sleep(self._patience.refused_pause_s * random.uniform(0.5, 1))

    async def _lose(
        self, number: int, tenant: Tenant, words: str, queue: asyncio.Queue[DwnItem | int]
    ) -> None:
        """Name a tenant that cannot be read; the others go on."""
        if number not in self._refused:
            self._say(words)
        self._refused[number] = words
        await queue.put(DwnItem(tenant.did, state="lost", words=words))

    async def _read(
        self, number: int, reader: TenantReader, queue: asyncio.Queue[DwnItem | int]
    ) -> None:
        """Read to the end, or for ever; try again after a pause while the server is away."""
        outage = _Outage(self._patience)
        while True:
            try:
                items = reader.follow(self._patience.poll_s) if self._follow else reader.catch_up()
                async for item in items:
                    await queue.put(item)
                    self._refused.pop(number, None)
                    outage.end()
                return
            except DwnUnavailable as unavailable:
                words = f"the DWN of {reader.tenant.did} did not answer: {unavailable}"
            outage.failed += 1
            if not self._follow and outage.failed >= self._patience.attempts:
                await self._lose(number, reader.tenant, words, queue)
                return
            state = outage.state()
            if state != "":
                self._say(words)
                await queue.put(DwnItem(reader.tenant.did, state=state, words=words))
            await asyncio.sleep(outage.pause_s())


class _Outage:
    """How long a server has been away."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self.failed = 0
        self._since: float | None = None
        self._lost = False

    def end(self) -> None:
        self.failed, self._since, self._lost = 0, None, False

    def state(self) -> State:
        """``away`` at the first failure, ``lost`` once it has lasted; else nothing new."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
            return "away"
        if not self._lost and now - self._since > self._patience.away_s:
            self._lost = True
            return "lost"
        return ""

    def pause_s(self) -> float:
        """Twice as long each time, between half of it and the whole."""
        doubled = self._patience.first_pause_s * 2 ** min(self.failed, 16)
        longest = min(self._patience.longest_pause_s, doubled)
        return random.uniform(longest / 2, longest)


def _merged(tenants: Sequence[Tenant]) -> tuple[Tenant, ...]:
    """Each tenant of a server once, with all its protocols."""
    found: dict[tuple[str, str], Tenant] = {}
    for tenant in tenants:
        key = tenant.url.rstrip("/"), tenant.did
        other = found.get(key)
        known = other.protocols if other is not None else ()
        protocols = tuple(dict.fromkeys((*known, *tenant.protocols)))
        found[key] = msgspec.structs.replace(tenant, protocols=protocols)
    return tuple(found.values())


__all__ = [
    "Counts",
    "DwnItem",
    "DwnSource",
    "Grants",
    "Patience",
    "Refused",
    "Tenant",
    "place_of",
    "to_event",
]
