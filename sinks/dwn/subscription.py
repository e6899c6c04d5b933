"""A WebSocket to a DWN server: one request, then the events of a subscription as they come."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec

from sinks.dwn.errors import DwnUnavailable
from sinks.dwn.reply import Reply, parse_object, raw_event, reply_of

MAX_FRAME_BYTES = 8 * 1_048_576
MAX_BUFFERED = 10_000
"""Most events held for a reader that is busy; more are dropped and ``overflowed`` says so."""
MAX_BUFFERED_BYTES = 32 * 1_048_576
"""Most bytes of them, likewise."""


class Event(msgspec.Struct, frozen=True):
    """What a subscription tells: a message that the DWN took in, without its data."""

    message: Any
    initial_write: Any | None = None
    raw: bytes = b""
    """The message as it came, JSON text."""


class Subscription:
    """Events from now on: an async iterator that ends with DwnUnavailable when the line breaks.

    A task reads the socket all the time, so that the server's pings are answered while the reader
    is busy elsewhere.
    """

    def __init__(
        self, session: aiohttp.ClientSession, address: str, timeout_s: float, heartbeat_s: float
    ) -> None:
        self._session, self._address = session, address
        self._timeout_s, self._heartbeat_s = timeout_s, heartbeat_s
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._task: asyncio.Task[None] | None = None
        self._events: deque[Event] = deque()
        self._held = 0
        self._wake = asyncio.Event()
        self._answers: dict[str, asyncio.Future[tuple[dict[str, Any], bytes]]] = {}
        self._broken: str | None = None
        self.overflowed = False
        """Whether events were ever dropped: who needs all of them reads the log after each news."""

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Connect; raises DwnUnavailable."""
        try:
            async with asyncio.timeout(self._timeout_s):
                self._socket = await self._session.ws_connect(
                    self._address, heartbeat=self._heartbeat_s, max_msg_size=MAX_FRAME_BYTES
                )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            words = str(error) or type(error).__name__
            raise DwnUnavailable(f"no WebSocket at {self._address}: {words}") from error
        self._task = asyncio.create_task(self._read(self._socket))

    async def call(self, request: Mapping[str, Any]) -> Reply:
        """Send a JSON-RPC request and wait for its answer; raises as ``reply_of`` does."""
        if self._socket is None or self._broken is not None:
            raise DwnUnavailable(self._broken or "the WebSocket is not open")
        answer: asyncio.Future[tuple[dict[str, Any], bytes]]
        answer = asyncio.get_running_loop().create_future()
        self._answers[request["id"]] = answer
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._socket.send_str(msgspec.json.encode(request).decode())
                response, raw = await answer
                return reply_of(response, raw=raw)
        except TimeoutError:
            raise DwnUnavailable(f"no answer within {self._timeout_s} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise DwnUnavailable(f"the WebSocket broke: {error}") from error
        finally:
            self._answers.pop(request["id"], None)

    async def close(self) -> None:
        """Leave: the server ends the subscription with its socket."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()
        self._fail("closed")

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._events:
            if self._broken is not None:
                raise DwnUnavailable(f"the subscription ended: {self._broken}")
            self._wake.clear()
            await self._wake.wait()
        event = self._events.popleft()
        self._held -= len(event.raw)
        return event

    async def wait(self, timeout_s: float | None = None) -> list[Event]:
        """All events at hand, after waiting for one; none when the time is up."""
        try:
            async with asyncio.timeout(timeout_s):
                first = await anext(self)
        except TimeoutError:
            return []
        found = [first, *self._events]
        self._events.clear()
        self._held = 0
        return found

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        try:
            async for frame in socket:
                if frame.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                    data = frame.data
                    self._take(data.encode() if isinstance(data, str) else bytes(data))
            self._fail(f"the server closed the WebSocket ({socket.close_code})")
        except (aiohttp.ClientError, OSError, DwnUnavailable) as error:
            self._fail(str(error) or type(error).__name__)

    def _take(self, raw: bytes) -> None:
        response = parse_object(raw)
        answer = self._answers.get(str(response.get("id")))
        if answer is not None and not answer.done():
            answer.set_result((response, raw))
            return
        result = response.get("result")
        event = result.get("event") if isinstance(result, dict) else None
        if isinstance(event, dict):
            self._push(Event(event.get("message"), event.get("initialWrite"), raw_event(raw)))

    def _push(self, event: Event) -> None:
        full = self._held + len(event.raw) > MAX_BUFFERED_BYTES
        if full or len(self._events) >= MAX_BUFFERED:
            self.overflowed = True
        else:
            self._held += len(event.raw)
            self._events.append(event)
        self._wake.set()

    def _fail(self, why: str) -> None:
        self._broken = self._broken or why
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(DwnUnavailable(why))
        self._wake.set()
