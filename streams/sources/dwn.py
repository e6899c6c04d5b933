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
from streams.sources.dwn_tenant import (
    Counts,
    DwnItem,
    Grants,
    Refused,
    Tenant,
    TenantReader,
)
from streams.sources.errors import SourceError

MAX_DATA_BYTES = 524_288
"""Default for the largest record data read; an event must fit into one Kafka record."""
_QUEUED = 256


class Patience(msgspec.Struct, frozen=True):
    """How long to try and how often to look."""

    poll_s: float = 15.0
    """Following, how long to wait for news before the log is asked anyway."""
    first_pause_s: float = 0.5
    longest_pause_s: float = 30.0
    attempts: int = 5
    """Not following: unavailable that often in a row, the source gives up. Following: never."""


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
    ) -> None:
        self._tenants, self._cursors = tuple(tenants), dict(cursors or {})
        self._follow, self._now_ms = follow, now_ms
        self._limits = limits or Limits(max_data_bytes=MAX_DATA_BYTES)
        self._patience = patience or Patience()
        self.counts: dict[str, Counts] = {}
        """Of each tenant, by its DID."""

    @property
    def dids(self) -> tuple[str, ...]:
        """The tenants' DIDs."""
        return tuple(tenant.did for tenant in self._tenants)

    async def items(self) -> AsyncIterator[DwnItem]:
        """The messages of all tenants, each tenant's in the order of its log.

        Ends at the end of every log, or never when following. Raises SourceError when a tenant
        refuses or stays unavailable; other tenants are read to their end first unless following.
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
                async for item in self._merged(tasks, queue):
                    yield item
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _merged(
        self, tasks: list[asyncio.Task[None]], queue: asyncio.Queue[DwnItem | int]
    ) -> AsyncIterator[DwnItem]:
        running, failure = len(tasks), None
        while running:
            item = await queue.get()
            if isinstance(item, DwnItem):
                yield item
                continue
            running -= 1
            try:
                await tasks[item]
            except SourceError as error:
                failure = error
                if self._follow:
                    break
        if failure is not None:
            raise failure

    async def _run(
        self, number: int, transport: DwnTransport, queue: asyncio.Queue[DwnItem | int]
    ) -> None:
        tenant = self._tenants[number]
        try:
            client = DwnClient(transport, tenant.signer, tenant.did)
            reader = TenantReader(client, tenant, self._cursors.get(tenant.did), self._now_ms)
            self.counts[tenant.did] = reader.counts
            await self._read(reader, queue)
        except DwnRefused as refused:
            remedy = "check the signer, its grants and the protocols"
            raise SourceError(f"the DWN of {tenant.did} refused: {refused}", remedy) from refused
        finally:
            if not _is_cancelled():
                await queue.put(number)

    async def _read(self, reader: TenantReader, queue: asyncio.Queue[DwnItem | int]) -> None:
        """Read to the end, or for ever; try again after a pause while the server is away."""
        failed = 0
        while True:
            try:
                items = reader.follow(self._patience.poll_s) if self._follow else reader.catch_up()
                async for item in items:
                    await queue.put(item)
                    failed = 0
                return
            except DwnUnavailable as unavailable:
                failed += 1
                self._give_up(reader, failed, unavailable)
            await asyncio.sleep(self._pause_s(failed))

    def _give_up(self, reader: TenantReader, failed: int, why: DwnUnavailable) -> None:
        if not self._follow and failed >= self._patience.attempts:
            cause = f"the DWN of {reader.tenant.did} did not answer {failed} times: {why}"
            raise SourceError(cause, "start the server, or correct its address") from why

    def _pause_s(self, failed: int) -> float:
        longest = min(self._patience.longest_pause_s, self._patience.first_pause_s * 2**failed)
        return random.uniform(longest / 2, longest)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


__all__ = [
    "Counts",
    "DwnItem",
    "DwnSource",
    "Grants",
    "Patience",
    "Refused",
    "Tenant",
    "to_event",
]
