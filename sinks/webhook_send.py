"""One request of the webhook sink: sent, timed, judged by its answer, and sent again."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from schemas.addresses import http_address
from sinks.base import Permanent, SinkError
from sinks.drivers import need
from sinks.secrets import hidden
from sinks.webhook_answer import SHOWN, Later, judged
from sinks.webhook_sign import Delivery, headers

if TYPE_CHECKING:
    import httpx2
    from standardwebhooks import Webhook

FIRST_SECONDS, LONGEST_SECONDS = 0.2, 10.0
"""Shortest and longest pause between two attempts, unless the receiver asks for more."""


class Limits(msgspec.Struct, frozen=True):
    """How much a receiver is asked at once, and how long."""

    concurrency: int
    timeout_seconds: float
    retry_seconds: float


class Sender:
    """Posts to one address."""

    def __init__(
        self, url: str, signing: Sequence[Webhook], stop_on: frozenset[int], limits: Limits
    ) -> None:
        self._http, self._tenacity = need("httpx2", "webhook"), need("tenacity", "webhook")
        self.place = place(url)
        try:
            self._http.URL(url)
        except self._http.InvalidURL as error:
            raise _no_address() from error
        self.identity = url.replace(f"{urlsplit(url).netloc.rpartition('@')[0]}@", "", 1)
        self._url, self._signing, self._stop_on, self._limits = url, signing, stop_on, limits
        self._client: httpx2.AsyncClient | None = None

    async def send(self, delivery: Delivery, enough: Callable[[], bool]) -> None:
        """Return when the receiver has the request; raises Later, Stop, or Permanent."""
        tenacity = self._tenacity
        longest = tenacity.stop_before_delay(self._limits.retry_seconds)
        async for attempt in tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(Later),
            wait=_pause,
            stop=lambda state: longest(state) or enough(),
            reraise=True,
        ):
            with attempt:
                await self._attempt(delivery)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    async def _attempt(self, delivery: Delivery) -> None:
        sent, seconds = headers(delivery, self._signing, int(time.time())), self._limits
        try:
            async with asyncio.timeout(seconds.timeout_seconds):
                error = await self._answer(delivery.body, sent)
        except TimeoutError as late:
            words = f"{self.place} gives no answer within {seconds.timeout_seconds:g} s"
            raise Later(words, "see what slows the receiver, or raise `timeout_seconds`") from late
        except (self._http.TransportError, OSError) as broken:
            words = hidden(str(broken) or type(broken).__name__, [self._url])
            raise Later(f"{self.place} cannot be reached: {words}", "see that it runs") from broken
        if error is not None:
            raise error

    async def _answer(self, body: bytes, sent: dict[str, str]) -> SinkError | None:
        async with self._open().stream("POST", self._url, content=body, headers=sent) as answer:
            first = b""
            async for part in answer.aiter_raw(SHOWN):
                first += part
                if len(first) >= SHOWN:  # the rest is not read: the connection is given up
                    break
            wait = answer.headers.get("retry-after")
            return judged(self.place, answer.status_code, first, self._stop_on, wait, time.time())

    def _open(self) -> httpx2.AsyncClient:
        if self._client is None:
            most = self._limits.concurrency
            made: httpx2.AsyncClient = self._http.AsyncClient(
                trust_env=False,
                follow_redirects=False,
                timeout=self._limits.timeout_seconds,
                limits=self._http.Limits(max_connections=most, max_keepalive_connections=most),
            )
            self._client = made
        return self._client


def _pause(state: Any) -> float:
    """Seconds until the next attempt: what the receiver asks for, else longer each time."""
    asked: float = state.outcome.exception().seconds
    grown = min(FIRST_SECONDS * 2.0 ** (state.attempt_number - 1), LONGEST_SECONDS)
    return max(random.uniform(grown / 2, grown), asked)


def place(url: str) -> str:
    """Return scheme, host and port of an address; raises Permanent if it cannot be one.

    >>> place("https://user:secret@example.org:8443/hook?token=7")
    'https://example.org:8443'
    """
    parts = http_address(url)
    if parts is None:
        raise _no_address()
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _no_address() -> Permanent:
    return Permanent("the setting 'url' is no address", "write https://HOST:PORT/PATH")
