"""A DWN client: one tenant's DWN at one server, asked in the name of one signer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from schemas.dwn import message as build
from schemas.dwn.message import AS_TENANT, Author, Authority, Message, Record
from sinks.dwn.clock import Clock
from sinks.dwn.reply import Reply
from sinks.dwn.subscription import Subscription
from sinks.dwn.transport import DwnTransport


class DwnClient:
    """Signed messages to ``tenant``'s DWN; without ``tenant`` it is the signer's own.

    Every method raises DwnRefused (a status from 300 on) or DwnUnavailable (no answer). Writing is
    idempotent: the same message again is refused with 409 and has no effect.
    """

    def __init__(
        self,
        transport: DwnTransport,
        signer: Author,
        tenant: str | None = None,
        clock: Callable[[], str] | None = None,
    ) -> None:
        self.transport, self.signer = transport, signer
        self.tenant = tenant or signer.did
        self._clock = clock or Clock()

    async def process(self, message: Mapping[str, Any], data: bytes | None = None) -> Reply:
        """Send any message with its data."""
        return await self.transport.process(self.tenant, message, data)

    async def write(self, data: bytes, record: Record, authority: Authority = AS_TENANT) -> Message:
        """Create a record; returns its initial write, which later updates need."""
        message = build.records_write(self.signer, data, record, self._clock(), authority)
        await self.process(message, data)
        return message

    async def update(
        self,
        initial: Mapping[str, Any],
        data: bytes,
        record: Record,
        authority: Authority = AS_TENANT,
    ) -> Message:
        """Write the record of ``initial`` again; tags must be repeated."""
        at = self._clock()
        message = build.records_update(self.signer, initial, data, record, at, authority=authority)
        await self.process(message, data)
        return message

    async def delete(
        self, record_id: str, *, prune: bool = False, authority: Authority = AS_TENANT
    ) -> Message:
        """Delete a record."""
        at = self._clock()
        message = build.records_delete(self.signer, record_id, at, prune=prune, authority=authority)
        await self.process(message)
        return message

    async def configure(self, definition: Mapping[str, Any]) -> Message:
        """Install a protocol."""
        message = build.protocols_configure(self.signer, definition, self._clock())
        await self.process(message)
        return message

    async def query(
        self,
        match: Mapping[str, Any],
        *,
        date_sort: str | None = None,
        pagination: Mapping[str, Any] | None = None,
        authority: Authority = AS_TENANT,
    ) -> Reply:
        """Records by a filter; data up to 30,000 bytes comes with them as ``encodedData``."""
        message = build.records_query(
            self.signer,
            match,
            self._clock(),
            date_sort=date_sort,
            pagination=pagination,
            authority=authority,
        )
        return await self.process(message)

    async def read(
        self, record_id: str, authority: Authority = AS_TENANT, *, by_socket: bool = False
    ) -> Reply:
        """One record with its data; refused with 404 when absent or deleted.

        Over a WebSocket without data.
        """
        match = {"recordId": record_id}
        message = build.records_read(self.signer, match, self._clock(), authority)
        return await self._ask(message, by_socket)

    async def messages_query(
        self,
        filters: Sequence[Mapping[str, Any]],
        cursor: Mapping[str, Any] | None = None,
        authority: Authority = AS_TENANT,
    ) -> Reply:
        """CIDs of all messages after ``cursor``, and the next cursor."""
        at = self._clock()
        message = build.messages_query(self.signer, filters, at, cursor=cursor, authority=authority)
        return await self.process(message)

    async def messages_read(
        self, cid: str, authority: Authority = AS_TENANT, *, by_socket: bool = False
    ) -> Reply:
        """One message by its CID with its data; over a WebSocket without data."""
        message = build.messages_read(self.signer, cid, self._clock(), authority)
        return await self._ask(message, by_socket)

    async def _ask(self, message: Message, by_socket: bool) -> Reply:
        if by_socket:
            return await self.transport.process_by_socket(self.tenant, message)
        return await self.process(message)

    async def records_subscribe(
        self, match: Mapping[str, Any], authority: Authority = AS_TENANT
    ) -> Subscription:
        """Events of records by a filter, from now on."""
        message = build.records_subscribe(self.signer, match, self._clock(), authority)
        return await self.transport.subscribe(self.tenant, message)

    async def messages_subscribe(
        self, filters: Sequence[Mapping[str, Any]], authority: Authority = AS_TENANT
    ) -> Subscription:
        """Events of all messages that match one of the filters, from now on."""
        message = build.messages_subscribe(self.signer, filters, self._clock(), authority)
        return await self.transport.subscribe(self.tenant, message)
