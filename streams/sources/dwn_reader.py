"""Read one tenant's DWN: from its positions to the end of its logs, then on as its server tells.

The logs of messages (MessagesQuery) are the truth and give the positions. A subscription only says
that there is more: its events carry no data and no cursor, and are lost while nobody listens. Where
a server has no subscriptions, the logs are asked from time to time.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import msgspec

from schemas.dwn.errors import DwnInvalid
from schemas.dwn.message import message_cid
from sinks.dwn import DwnClient, DwnError, DwnUnavailable
from sinks.dwn.reply import Reply
from sinks.dwn.subscription import Event as Told
from sinks.dwn.subscription import Subscription
from streams.sources.dwn_log import MAX_CID, Log, Position
from streams.sources.dwn_message import Found, MessageReader, authority_of, plain_object
from streams.sources.dwn_tenant import DwnItem, Refused, Tenant

_REMEMBERED_CIDS = 100_000
_READ_AHEAD = 8
_RARELY = 20
"""Polls between two tries to subscribe, at most."""


class TenantReader:
    """The state of reading one tenant: its logs, and what has been seen."""

    def __init__(
        self,
        client: DwnClient,
        tenant: Tenant,
        cursors: Mapping[str, str],
        now_ms: Callable[[], int],
        say: Callable[[str], None] = lambda words: None,
    ) -> None:
        self.client, self.tenant = client, tenant
        self.messages = MessageReader(client, tenant, now_ms)
        self.counts = self.messages.counts
        self._logs = [
            Log(client, tenant, protocol, cursors.get(place))
            for protocol, place in zip(tenant.protocols, tenant.places, strict=True)
        ]
        self._say = say
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._subscription: Subscription | None = None
        self._failed = self._polls = 0
        self._deaf = ""
        self._told: list[Told] = []
        self._ends: dict[str, str] = {}

    async def catch_up(self) -> AsyncIterator[DwnItem]:
        """Everything from the positions to the ends of the logs, in the order of each.

        Raises DwnUnavailable or DwnRefused; a new call goes on where this one stopped.
        """
        before, self._ends = self._ends, {}
        try:
            for log in self._logs:
                async for listed in log.pages():
                    async for item in self._page(log, listed):
                        yield item
                self._ends[log.place] = end = log.position.text()
                if before.get(log.place) != end:
                    cursor = end if log.position != Position() else None
                    yield DwnItem(
                        self.tenant.did, place=log.place, cursor=cursor, state="caught_up"
                    )
        except DwnError:
            self._ends = {}  # every end is told again once the server is back
            raise

    async def follow(self, poll_s: float) -> AsyncIterator[DwnItem]:
        """Catch up, then go on whenever the server tells of more, at the latest each ``poll_s``.

        Polling finds what a subscription never tells, and a grant that was revoked: the server goes
        on telling then, but refuses the query. Never returns; raises as ``catch_up``.
        """
        try:
            while True:
                await self._subscribe()
                async for item in self.catch_up():
                    yield item
                if self._deaf:  # the log can be read all the same
                    self._say(self._deaf)
                    self._deaf = ""
                async for item in self._missed():
                    yield item
                self._told = await self._news(poll_s)
        finally:
            await self._unsubscribe()

    async def _subscribe(self) -> None:
        """Listen, if the server lets us; before catching up, so that nothing falls between."""
        if self._subscription is not None or self._polls > 0:
            self._polls -= 1
            return
        filters = [one for log in self._logs for one in log.filters]
        authority = authority_of(self.tenant.grants.subscribe)
        try:
            self._subscription = await self.client.messages_subscribe(filters, authority)
            self._failed = self._polls = 0
        except DwnError as error:
            self._failed += 1
            self._polls = min(2**self._failed, _RARELY)
            if self._failed == 1:
                self._deaf = f"no subscription for {self.tenant.did}, it is polled: {error}"

    async def _unsubscribe(self) -> None:
        if self._subscription is not None:
            await self._subscription.close()
            self._subscription = None
        self._polls = 0

    async def _news(self, poll_s: float) -> list[Told]:
        """What the server tells of within ``poll_s``; nothing where it does not, or breaks off."""
        if self._subscription is None:
            await asyncio.sleep(poll_s)
            return []
        try:
            return await self._subscription.wait(poll_s)
        except DwnUnavailable:
            await self._unsubscribe()
            return []

    async def _missed(self) -> AsyncIterator[DwnItem]:
        """What the server told of and its logs did not have: a log may be late by a write."""
        told, self._told = self._told, []
        cids: list[str] = []
        for event in told:
            try:
                cid = message_cid(plain_object(event.message))
            except DwnInvalid as invalid:
                bad = self.messages.refuse(invalid.cause, invalid.detail, event.raw, None)
                yield DwnItem(self.tenant.did, refused=bad)
                continue
            if cid not in self._seen and cid not in cids:
                cids.append(cid)
        async for _, found in self._read_all(cids):
            if found is not None:
                yield self._item(found)

    async def _page(self, log: Log, listed: list[Any]) -> AsyncIterator[DwnItem]:
        """The messages of a page in their order, each with the position behind it."""
        new = [cid for cid in listed if not self._known(cid)]
        async for cid, found in self._read_all(new):
            cursor = log.passed(cid)
            if found is not None:
                yield self._item(found, log.place, cursor)

    async def _read_all(self, cids: list[Any]) -> AsyncIterator[tuple[Any, Found]]:
        """What each message comes to, in their order, read some at a time.

        What was read before a failure is given before it is raised.
        """
        for start in range(0, len(cids), _READ_AHEAD):
            some = cids[start : start + _READ_AHEAD]
            replies = await asyncio.gather(*map(self.messages.fetch, some), return_exceptions=True)
            for cid, reply in zip(some, replies, strict=True):
                if isinstance(reply, BaseException):
                    raise reply
                found = await self.messages.judge(cid, reply) if isinstance(reply, Reply) else reply
                self._remember(cid)
                yield cid, found

    def _item(self, found: Found, place: str = "", cursor: str | None = None) -> DwnItem:
        if isinstance(found, Refused):
            return DwnItem(self.tenant.did, None, found, place, cursor)
        return DwnItem(self.tenant.did, found, None, place, cursor)

    def _known(self, cid: Any) -> bool:
        known = _name(cid) in self._seen
        self.counts.repeated += known
        return known

    def _remember(self, cid: Any) -> None:
        self._seen[_name(cid)] = None
        if len(self._seen) > _REMEMBERED_CIDS:
            self._seen.popitem(last=False)


def _name(cid: Any) -> str:
    """What stands for a listed CID, whatever the server put in its place."""
    if isinstance(cid, str) and len(cid) <= MAX_CID:
        return cid
    return "?" + hashlib.sha256(msgspec.json.encode(cid)).hexdigest()
