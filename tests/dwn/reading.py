"""Running a source in a test: a fresh tenant, her source, its items."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

from sinks.dwn import DwnClient, DwnTransport, Limits
from streams.sources.dwn import DwnSource, Patience, Tenant, place_of

from .actors import LINK, LINKS, someone

NEWS_S = 20
QUICK = Patience(poll_s=60, first_pause_s=0.05, longest_pause_s=0.2, attempts=3)


def run(story) -> None:
    """Run a story with a limit on its time."""
    asyncio.run(asyncio.wait_for(story, 120))


@asynccontextmanager
async def alice_at(url, limits=None):
    """A new tenant with the link protocol, and her client."""
    async with DwnTransport(url, limits or Limits()) as transport:
        alice = DwnClient(transport, someone())
        await alice.configure(LINKS)
        yield alice


def source(url, alice, cursor=None, **more):
    """A source of Alice's links, read as herself."""
    tenant = Tenant(alice.tenant, url, alice.signer, (LINK,))
    cursors = {} if cursor is None else {place_of(url, alice.tenant, LINK): cursor}
    return DwnSource([tenant], cursors, patience=QUICK, **more)


async def everything(found) -> list:
    """All messages of a source that ends."""
    return [item async for item in found.items() if item.event or item.refused]


async def message(items):
    """The next message of a source that follows; news of its logs are passed over."""
    while True:
        item = await asyncio.wait_for(anext(items), NEWS_S)
        if item.event or item.refused:
            return item


def cids(items) -> list[str]:
    """The message CIDs of the events among the items."""
    return [item.event.value.message_cid for item in items if item.event]
