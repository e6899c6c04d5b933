"""One message of a tenant's DWN by its CID: read, verified, and made an event or a refusal."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from schemas.dwn.cid import check_cid
from schemas.dwn.errors import DwnInvalid
from schemas.dwn.event import event_of
from schemas.dwn.message import AS_TENANT, Authority
from schemas.dwn.verify import Verified, verify, with_initial
from schemas.envelope import Event
from sinks.dwn import DwnClient, DwnRefused, DwnUnavailable
from sinks.dwn.reply import Reply
from streams.sources.dwn_tenant import Counts, Refused, Tenant

PERMISSIONS = "https://tbd.website/dwn/permissions"
"""Protocol of grants and revocations (dwn-sdk-js 0.5); a tag names the protocol they are for."""
FUTURE_CAP_MS = 3_600_000
"""A message dated further ahead of its reading is refused: its time is its author's word."""
_REMEMBERED_RECORDS = 2_000
_ATTEMPTS = 3
Found = Event | Refused | None
"""What a message came to; None: it is gone, or of a protocol that was not asked for."""


class MessageReader:
    """Reads and checks messages of one tenant, and remembers first writes."""

    def __init__(self, client: DwnClient, tenant: Tenant, now_ms: Callable[[], int]) -> None:
        self.client, self.tenant, self.counts = client, tenant, Counts()
        self._now_ms = now_ms
        self._initial: OrderedDict[str, Verified] = OrderedDict()
        self._failures: dict[str, int] = {}

    async def fetch(self, cid: Any) -> Reply | Refused | None:
        """The server's answer for one message; None when it is gone.

        Raises DwnRefused when the reader may not read at all, DwnUnavailable to be tried again.
        """
        try:
            check_cid(cid)
            return await self._either_way(cid, authority_of(self.tenant.grants.read))
        except DwnInvalid as invalid:
            return self.refuse(invalid.cause, invalid.detail, b"", None)
        except DwnRefused as refused:
            if refused.status == 404:
                self.counts.gone += 1
                return None
            if refused.status == 401:
                raise
            return self.refuse("unreadable", str(refused), b"", cid)
        except DwnUnavailable as unavailable:
            return self._unreadable(cid, unavailable)

    async def judge(self, cid: str, reply: Reply) -> Found:
        """Verify what was fetched; raises DwnUnavailable when a first write cannot be had."""
        self.counts.data_left += reply.data_cut
        try:
            checked = await self._checked(cid, reply)
        except DwnInvalid as invalid:
            return self.refuse(invalid.cause, invalid.detail, reply.raw_message(), cid)
        except DwnUnavailable as unavailable:
            return self._unreadable(cid, unavailable)
        self._failures.pop(cid, None)
        if not self._in_scope(checked):
            self.counts.foreign += 1
            return None
        now_ms = self._now_ms()
        ahead_ms = checked.message_ts - now_ms
        if ahead_ms > FUTURE_CAP_MS:
            words = f"dated {ahead_ms // 1000} s ahead of its reading"
            return self.refuse("future", words, reply.raw_message(), cid)
        self.counts.events += 1
        return event_of(self.tenant.did, checked, reply.data, now_ms)

    def refuse(self, cause: str, detail: str, raw: bytes, cid: str | None) -> Refused:
        """Count and describe what does not hold."""
        self.counts.refused += 1
        return Refused(cause, detail, raw, self.client.transport.url, cid)

    def _unreadable(self, cid: str, why: DwnUnavailable) -> Refused:
        """A refusal once it failed often enough: one message must not hold up all others."""
        self._failures[cid] = self._failures.get(cid, 0) + 1
        if self._failures[cid] < _ATTEMPTS:
            raise why
        del self._failures[cid]
        return self.refuse("unreadable", str(why), b"", cid)

    async def _either_way(self, cid: str, authority: Authority) -> Reply:
        try:
            return await self.client.messages_read(cid, authority)
        except DwnUnavailable as unavailable:
            why = unavailable
        try:
            # A server cannot put text beyond Latin-1 into a header and then never answers
            return await self.client.messages_read(cid, authority, by_socket=True)
        except DwnUnavailable:
            raise why from None

    async def _checked(self, cid: str, reply: Reply) -> Verified:
        message = plain_object(reply.entry().get("message"))
        checked = verify(message, reply.data, self.tenant.did)
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
        authority = authority_of(self.tenant.grants.records_read)
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


def plain_object(value: Any) -> dict[str, Any]:
    """``value`` when it is a JSON object; raises DwnInvalid."""
    if not isinstance(value, dict):
        raise DwnInvalid("shape", "a message is a JSON object")
    return value


def authority_of(grant: str | None) -> Authority:
    """By which grant to ask; None: as the tenant."""
    return AS_TENANT if grant is None else Authority(permission_grant=grant)
