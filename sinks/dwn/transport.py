"""JSON-RPC to a DWN server: requests over HTTP, subscriptions over WebSocket, all with timeouts.

Wire form of ``@web5/dwn-server`` 0.6: the request rides in the header ``dwn-request`` with record
data as the body; the reply is the body, or the header ``dwn-response`` with record data as body.
Some failures inside that server leave a request without any answer, hence a timeout on every call.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import aiohttp
import msgspec

from sinks.dwn.errors import DwnGarbled, DwnRefused, DwnUnavailable
from sinks.dwn.reply import Reply, read_reply
from sinks.dwn.subscription import Subscription

MAX_HEADER_BYTES = 1_048_576


class Limits(msgspec.Struct, frozen=True):
    """Bounds of one transport."""

    timeout_s: float = 10.0
    """For one request with its answer, and for a subscription to be confirmed."""
    max_data_bytes: int = 16 * 1_048_576
    """Larger record data is not read: the reply then has no data and says so."""
    heartbeat_s: float = 20.0
    """How often a subscription asks whether the server is still there."""
    max_query_bytes: int = 64 * 1_048_576
    """Largest answer to a query; a MessagesQuery gives every CID at once, 62 bytes each."""
    max_reply_bytes: int = 2 * 1_048_576
    """Largest answer to anything else, record data apart."""


class DwnTransport:
    """One server by its base URL; an async context manager that owns its connections."""

    def __init__(self, url: str, limits: Limits | None = None) -> None:
        self.url = url.rstrip("/") + "/"
        self.limits = limits or Limits()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=self.limits.timeout_s)
        self._session = aiohttp.ClientSession(
            timeout=timeout,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """The open HTTP session."""
        if self._session is None:
            raise RuntimeError("the DWN transport is closed: use it inside `async with`")
        return self._session

    async def process(
        self, tenant: str, message: Mapping[str, Any], data: bytes | None = None
    ) -> Reply:
        """Have ``tenant``'s DWN process a message, over HTTP; any status below 300 returns.

        Raises DwnRefused for a status from 300 on or a JSON-RPC error, DwnUnavailable when no
        usable answer came in time.
        """
        request = _request("dwn.processMessage", tenant, message)
        limit = self._limit(message)
        # In a header only ASCII is safe
        headers = {"dwn-request": json.dumps(request, separators=(",", ":"))}
        try:
            try:
                return await self._post(headers, data, limit)
            except aiohttp.ServerDisconnectedError:
                # A kept connection that died meanwhile; the same message twice has no effect
                return await self._post(headers, data, limit)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unavailable(error) from error

    def _limit(self, message: Mapping[str, Any]) -> int:
        descriptor = message.get("descriptor")
        is_query = isinstance(descriptor, Mapping) and descriptor.get("method") == "Query"
        return self.limits.max_query_bytes if is_query else self.limits.max_reply_bytes

    async def _post(self, headers: Mapping[str, str], data: bytes | None, limit: int) -> Reply:
        async with self.session.post(
            self.url, headers=headers, data=_body(data), allow_redirects=False
        ) as answer:
            return await self._answer(answer, limit)

    async def process_by_socket(self, tenant: str, message: Mapping[str, Any]) -> Reply:
        """The same over a WebSocket: for a message too large for a header; replies have no data.

        A server takes everything but RecordsWrite this way.
        """
        request = _request("dwn.processMessage", tenant, message)
        async with self._connected() as socket:
            return await socket.call(request)

    async def subscribe(self, tenant: str, message: Mapping[str, Any]) -> Subscription:
        """Open a subscription for a Subscribe message and wait until the server confirmed it.

        Close it with ``Subscription.close``. Raises as ``process`` does.
        """
        socket = self._connected()
        request = _request("rpc.subscribe.dwn.processMessage", tenant, message)
        request["subscription"] = {"id": str(uuid4())}
        try:
            await socket.open()
            await socket.call(request)
        except BaseException:
            await socket.close()
            raise
        return socket

    def _connected(self) -> Subscription:
        address = self.url.replace("http", "ws", 1)
        limits = self.limits
        return Subscription(self.session, address, limits.timeout_s, limits.heartbeat_s)

    async def _answer(self, answer: aiohttp.ClientResponse, limit: int) -> Reply:
        in_header = answer.headers.get("dwn-response")
        if in_header is not None:
            data, cut = await self._data(answer)
            return read_reply(_header_text(in_header), data=data, data_cut=cut)
        body = await _bounded(answer, limit)
        if body is None:
            answer.close()
            raise DwnGarbled(f"the reply of {self.url} exceeds {limit} bytes")
        if answer.status >= 300 and not body.startswith(b"{"):
            self._raise_http(answer.status, answer.reason or "")
        return read_reply(body)

    async def _data(self, answer: aiohttp.ClientResponse) -> tuple[bytes | None, bool]:
        data = await _bounded(answer, self.limits.max_data_bytes)
        if data is None:
            answer.close()
        return data, data is None

    def _raise_http(self, status: int, reason: str) -> None:
        if status == 431:
            reason = "the message is too large for HTTP headers (about 16 KB)"
        if 300 <= status < 500:
            raise DwnRefused(status, reason)
        raise DwnUnavailable(f"{self.url} answered {status} {reason}")

    def _unavailable(self, error: BaseException) -> DwnUnavailable:
        words = str(error) or type(error).__name__
        if isinstance(error, TimeoutError):
            words = f"no answer within {self.limits.timeout_s} s"
        return DwnUnavailable(f"{self.url}: {words}; is it a running DWN server?")


def _request(method: str, tenant: str, message: Mapping[str, Any]) -> dict[str, Any]:
    params = {"target": tenant, "message": dict(message)}
    return {"jsonrpc": "2.0", "id": str(uuid4()), "method": method, "params": params}


def _body(data: bytes | None) -> bytes | AsyncIterator[bytes] | None:
    # Without a body the server takes a write for one that has no data; a chunked empty body is data
    return _empty() if data == b"" else data


async def _empty() -> AsyncIterator[bytes]:
    nothing: tuple[bytes, ...] = ()
    for chunk in nothing:
        yield chunk


async def _bounded(answer: aiohttp.ClientResponse, limit: int) -> bytes | None:
    """The body, or None when it is larger than ``limit``."""
    if (answer.content_length or 0) > limit:
        return None
    body = bytearray()
    async for chunk in answer.content.iter_chunked(65_536):
        body += chunk
        if len(body) > limit:
            return None
    return bytes(body)


def _header_text(value: str) -> bytes:
    # Node writes headers in Latin-1; aiohttp reads UTF-8 and keeps other bytes as surrogates
    raw = value.encode("utf-8", "surrogateescape")
    try:
        raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1").encode()
    return raw
