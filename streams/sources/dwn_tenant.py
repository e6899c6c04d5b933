"""Read one tenant's DWN: from a cursor to the end of its log, then on as its server tells of more.

The log of messages (MessagesQuery) is the truth and gives the cursor. A subscription only says that
there is more: its events carry no data and no cursor, and are lost while nobody listens.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from schemas.dwn.cid import check_cid
from schemas.dwn.encoding import MAX_MESSAGE_BYTES, compact, parse_json, plain
from schemas.dwn.errors import DwnInvalid
from schemas.dwn.event import event_of
from schemas.dwn.message import AS_TENANT, Author, Authority, message_cid
from schemas.dwn.verify import Verified, verify, with_initial
from schemas.envelope import Event
from sinks.dwn import DwnClient, DwnError, DwnGarbled, DwnRefused, DwnUnavailable
from sinks.dwn.reply import Reply
from sinks.dwn.subscription import Event as Told

PERMISSIONS = "https://tbd.website/dwn/permissions"
"""Protocol of grants and revocations (dwn-sdk-js 0.5); a tag names the protocol they are for."""
_REMEMBERED_CIDS = 100_000
_REMEMBERED_RECORDS = 2_000
_READ_AHEAD = 8
_ATTEMPTS = 3
_MAX_CURSOR = 2048
FUTURE_CAP_MS = 3_600_000
"""A message dated further ahead of its reading is refused: its time is its author's word."""


class Grants(msgspec.Struct, frozen=True):
    """Record ids of the grants by which a signer who is not the tenant may read."""

    query: str | None = None
    read: str | None = None
    subscribe: str | None = None
    records_read: str | None = None
    """For first writes of records changed later; without it such changes are refused."""


class Tenant(msgspec.Struct, frozen=True):
    """Whose DWN to read, where, as whom, and which protocols of it."""

    did: str
    url: str
    signer: Author
    protocols: tuple[str, ...]
    """Never empty: an empty filter would give everything, beyond what a grant allows."""
    grants: Grants = Grants()

    def __post_init__(self) -> None:
        if not self.protocols:
            raise ValueError(f"no protocols given for {self.did}: name those to read")


class Refused(msgspec.Struct, frozen=True):
    """Something that the server gave and that does not hold: for the dead letters."""

    cause: str
    detail: str
    raw: bytes
    """The message as it came, JSON, cut at 256 KiB; empty when it could not be read."""
    origin: str
    """Address of the server."""
    message_id: str | None
    """The CID under which the server offered it."""


class DwnItem(msgspec.Struct, frozen=True):
    """One message read: an event or a refusal, and the cursor to go on from once it is stored.

    An item with neither only brings the news that the end of the log was reached.
    """

    tenant: str
    event: Event | None
    refused: Refused | None
    cursor: str | None
    """Opaque JSON text; None as long as nothing was read to its end."""
    caught_up: bool = False
    """Whether this is the last of what the log held when it was asked."""


class Counts(msgspec.Struct):
    """What became of the messages that a tenant's server offered."""

    events: int = 0
    refused: int = 0
    foreign: int = 0
    """Of other protocols than asked for; dropped."""
    gone: int = 0
    """Deleted or replaced between the list and the reading; their successors are listed too."""
    repeated: int = 0
    data_left: int = 0
    """With more data than is read; the event then has none."""


class TenantReader:
    """The state of reading one tenant: cursor, what has been seen, first writes."""

    def __init__(
        self, client: DwnClient, tenant: Tenant, cursor: str | None, now_ms: Callable[[], int]
    ) -> None:
        self.client, self.tenant, self.cursor = client, tenant, cursor
        self.counts = Counts()
        self._now_ms = now_ms
        self._filters = [{"protocol": protocol} for protocol in tenant.protocols]
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._initial: OrderedDict[str, Verified] = OrderedDict()
        self._failures: dict[str, int] = {}
        self._told: list[Told] = []
        self._caught_up = False

    async def catch_up(self) -> AsyncIterator[DwnItem]:
        """Everything from the cursor to the end of the log, in its order.

        Raises DwnUnavailable or DwnRefused; a new call goes on where this one stopped.
        """
        cursor = None if self.cursor is None else parse_json(self.cursor)
        authority = _authority(self.tenant.grants.query)
        reply = await self.client.messages_query(self._filters, cursor, authority)
        after = _cursor_text(reply) or self.cursor
        cids = [cid for cid in reply.entries() if not self._known(cid)]
        told = False
        async for items, last in self._read_all(cids):
            for item in items[:-1]:
                yield item
            for item in items[-1:]:
                told = last
                yield msgspec.structs.replace(item, cursor=after, caught_up=True) if last else item
        if not told and (after != self.cursor or not self._caught_up):
            yield DwnItem(self.tenant.did, None, None, after, caught_up=True)
        self.cursor, self._caught_up = after, True

    async def follow(self, poll_s: float) -> AsyncIterator[DwnItem]:
        """Catch up, then go on whenever the server tells of more, at the latest each ``poll_s``.

        Polling finds what a subscription never tells, and a grant that was revoked: the server goes
        on telling then, but refuses the query. Never returns; raises as ``catch_up``.
        """
        authority = _authority(self.tenant.grants.subscribe)
        subscription = await self.client.messages_subscribe(self._filters, authority)
        try:
            while True:
                async for item in self.catch_up():
                    yield item
                async for item in self._missed(self._told):
                    yield item
                self._told = await subscription.wait(poll_s)
        finally:
            await subscription.close()

    async def _missed(self, told: list[Told]) -> AsyncIterator[DwnItem]:
        """What the server told of and its log did not have: a log may be late by a write."""
        cids = []
        for event in told:
            try:
                cid = message_cid(plain_object(event.message))
            except DwnInvalid as invalid:
                yield self._refuse(invalid.cause, invalid.detail, event.message, None)
                continue
            if cid not in self._seen:
                cids.append(cid)
        async for items, _ in self._read_all(cids):
            for item in items:
                yield item

    async def _read_all(self, cids: list[Any]) -> AsyncIterator[tuple[list[DwnItem], bool]]:
        """The items of all messages in their order, some at a time, and whether these are the last.

        What was read before a failure is given before it is raised.
        """
        for start in range(0, len(cids), _READ_AHEAD):
            some = cids[start : start + _READ_AHEAD]
            replies = await asyncio.gather(*map(self._read, some), return_exceptions=True)
            items, failure = await self._items(some, replies)
            yield items, failure is None and start + _READ_AHEAD >= len(cids)
            if failure is not None:
                raise failure

    async def _items(
        self, cids: list[Any], replies: list[Reply | DwnItem | BaseException | None]
    ) -> tuple[list[DwnItem], BaseException | None]:
        items: list[DwnItem] = []
        for cid, reply in zip(cids, replies, strict=True):
            if isinstance(reply, BaseException):
                return items, reply
            try:
                item = reply if isinstance(reply, DwnItem) else await self._item(cid, reply)
            except DwnError as error:
                return items, error
            self._remember(cid)
            items += [item] if item is not None else []
        return items, None

    async def _read(self, cid: Any) -> Reply | DwnItem | None:
        """The reply for one message; None when it is gone; an item when it cannot be had."""
        authority = _authority(self.tenant.grants.read)
        try:
            check_cid(cid)
            return await self._read_either_way(cid, authority)
        except DwnInvalid as invalid:
            return self._refuse(invalid.cause, invalid.detail, None, None)
        except DwnRefused as refused:
            if refused.status == 404:
                self.counts.gone += 1
                return None
            if refused.status == 401:
                raise
            return self._refuse("unreadable", str(refused), None, cid)
        except DwnUnavailable as unavailable:
            return self._unreadable(cid, unavailable)

    def _unreadable(self, cid: str, why: DwnUnavailable) -> DwnItem:
        """A refusal once it failed often enough: one message must not hold up all others."""
        self._failures[cid] = self._failures.get(cid, 0) + 1
        if self._failures[cid] < _ATTEMPTS:
            raise why
        del self._failures[cid]
        return self._refuse("unreadable", str(why), None, cid)

    async def _read_either_way(self, cid: str, authority: Authority) -> Reply:
        try:
            return await self.client.messages_read(cid, authority)
        except DwnUnavailable:
            # A server cannot put text beyond Latin-1 into a header and then never answers
            return await self.client.messages_read(cid, authority, by_socket=True)

    async def _item(self, cid: str, reply: Reply | None) -> DwnItem | None:
        if reply is None:
            return None
        self.counts.data_left += reply.data_cut
        message = reply.entry().get("message")
        try:
            checked = await self._checked(cid, message, reply.data)
        except DwnInvalid as invalid:
            return self._refuse(invalid.cause, invalid.detail, message, cid)
        except DwnUnavailable as unavailable:
            return self._unreadable(cid, unavailable)
        self._failures.pop(cid, None)
        if not self._in_scope(checked):
            self.counts.foreign += 1
            return None
        now_ms = self._now_ms()
        if checked.message_ts > now_ms + FUTURE_CAP_MS:
            ahead_s = (checked.message_ts - now_ms) // 1000
            return self._refuse("future", f"dated {ahead_s} s ahead of its reading", message, cid)
        self.counts.events += 1
        event = event_of(self.tenant.did, checked, reply.data, now_ms)
        return DwnItem(self.tenant.did, event, None, self.cursor)

    async def _checked(self, cid: str, message: Any, data: bytes | None) -> Verified:
        checked = verify(plain_object(message), data, self.tenant.did)
        if checked.message_cid != cid:
            raise DwnInvalid("message_cid", "the server gave another message than asked for")
        if checked.is_initial:
            self._keep_initial(checked)
        elif checked.interface == "Records":
            checked = with_initial(checked, await self._initial_write(checked))
        return checked

    async def _initial_write(self, later: Verified) -> Verified:
        record = str(later.record_id)
        if record not in self._initial:
            entry = await self._record_entry(record)
            found = entry.get("initialWrite") or entry.get("recordsWrite")
            initial = verify(plain_object(found), None, self.tenant.did)
            if not initial.is_initial or initial.record_id != record:
                raise DwnInvalid("initial_write", "the server has no initial write of the record")
            self._keep_initial(initial)
        return self._initial[record]

    async def _record_entry(self, record: str) -> dict[str, Any]:
        authority = _authority(self.tenant.grants.records_read)
        try:
            return (await self.client.read(record, authority, by_socket=True)).entry()
        except DwnRefused as refused:
            entry = refused.reply.get("entry")
            if refused.status == 404 and isinstance(entry, dict):
                return entry
            raise DwnInvalid("initial_write", f"cannot be read: {refused}") from None

    def _keep_initial(self, initial: Verified) -> None:
        self._initial[str(initial.record_id)] = initial
        if len(self._initial) > _REMEMBERED_RECORDS:
            self._initial.popitem(last=False)

    def _in_scope(self, checked: Verified) -> bool:
        if checked.protocol == PERMISSIONS:
            return (checked.tags or {}).get("protocol") in self.tenant.protocols
        return checked.protocol in self.tenant.protocols

    def _known(self, cid: Any) -> bool:
        known = isinstance(cid, str) and cid in self._seen
        self.counts.repeated += known
        return known

    def _remember(self, cid: Any) -> None:
        if isinstance(cid, str):
            self._seen[cid] = None
        if len(self._seen) > _REMEMBERED_CIDS:
            self._seen.popitem(last=False)

    def _refuse(self, cause: str, detail: str, message: Any, cid: str | None) -> DwnItem:
        self.counts.refused += 1
        raw = b"" if message is None else _raw(message)
        refused = Refused(cause, detail, raw, self.client.transport.url, cid)
        return DwnItem(self.tenant.did, None, refused, self.cursor)


def plain_object(value: Any) -> dict[str, Any]:
    """``value`` when it is a JSON object; raises DwnInvalid."""
    if not isinstance(value, dict):
        raise DwnInvalid("shape", "a message is a JSON object")
    return value


def _raw(message: Any) -> bytes:
    return msgspec.json.encode(message)[:MAX_MESSAGE_BYTES]


def _authority(grant: str | None) -> Authority:
    return AS_TENANT if grant is None else Authority(permission_grant=grant)


def _cursor_text(reply: Reply) -> str | None:
    cursor = reply.cursor()
    if cursor is None:
        return None
    try:
        text = compact(plain(cursor))
    except DwnInvalid as invalid:
        raise DwnGarbled(f"the cursor is not plain: {invalid}") from None
    if len(text) > _MAX_CURSOR:
        raise DwnGarbled(f"a cursor of {len(text)} characters")
    return text
