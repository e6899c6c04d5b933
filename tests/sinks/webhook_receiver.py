"""A receiver of webhooks on loopback, as another party would write one: it checks and remembers."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from aiohttp import web
from sink_cases import Sample, record
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from sinks.webhook import WebhookSink

SECRET = "whsec_" + "QUJD" * 11
OTHER_SECRET = "whsec_" + "WFla" * 11


Open = Callable[..., WebhookSink]
LOG = [
    record(0, "a"),
    record(1, "b", Sample(text="\x00\ud7ff日本", count=2**70)),
    record(2, "a", op="retract"),
    record(4, "c", Sample(ratio=float("nan"))),
    record(5, "a", Sample(text="again")),
    record(6, "b", op="retract"),
]


class Got(NamedTuple):
    """One request that arrived."""

    id: str
    body: Any
    """Decoded JSON."""
    headers: dict[str, str]
    verified: bool
    request: web.Request


Answer = Callable[[Got, int], Awaitable[web.StreamResponse]]
"""What to answer to a request; the number counts requests from 0."""


async def fine(got: Got, number: int) -> web.StreamResponse:
    """Take the event."""
    return web.Response(status=204)


def always(status: int, **options: Any) -> Answer:
    """Answer with one status."""

    async def answer(got: Got, number: int) -> web.StreamResponse:
        return web.Response(status=status, **options)

    return answer


def first(statuses: list[int], **options: Any) -> Answer:
    """Answer the first requests with these statuses, and take all others."""

    async def answer(got: Got, number: int) -> web.StreamResponse:
        more = number < len(statuses)
        return await (always(statuses[number], **options) if more else fine)(got, number)

    return answer


async def _end_others() -> None:
    """End what a slow answer has left behind."""
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class Receiver:
    """An HTTP server in a thread of its own."""

    def __init__(self, answer: Answer = fine, secret: str = SECRET) -> None:
        self.answer, self.secret = answer, secret
        self.requests: list[Got] = []
        self.taken: list[Got] = []
        """Those that were answered with success."""
        self.at_once = self.most_at_once = 0
        self._loop = asyncio.new_event_loop()
        self._runner: web.AppRunner | None = None
        self.port = 0
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.start()

    @property
    def url(self) -> str:
        """Where to POST."""
        return f"http://127.0.0.1:{self.port}/hook/quite-secret"

    def start(self) -> None:
        """Listen; after ``stop`` at the same port again."""
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)

    async def _start(self) -> None:
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/hook/quite-secret", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    def stop(self) -> None:
        """Refuse connections from now on."""
        if self._runner is not None:
            asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
            self._runner = None

    def close(self) -> None:
        """Stop for good."""
        self.stop()
        asyncio.run_coroutine_threadsafe(_end_others(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        verified = self._verified(body, headers)
        got = Got(headers["webhook-id"], json.loads(body), headers, verified, request)
        number = len(self.requests)
        self.requests.append(got)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            answer = await self.answer(got, number)
        finally:
            self.at_once -= 1
        if 200 <= answer.status < 300:
            self.taken.append(got)
        return answer

    def _verified(self, body: bytes, headers: dict[str, str]) -> bool:
        try:
            Webhook(self.secret).verify(body, headers)
        except WebhookVerificationError:
            return False
        return True

    def live(self) -> dict[str, Any]:
        """The net set as a receiver keeps it: by event id, what has the highest version."""
        newest: dict[str, dict[str, Any]] = {}
        for got in self.taken:
            for event in got.body if isinstance(got.body, list) else [got.body]:
                known = newest.get(event["id"])
                if known is None or event["version"] > known["version"]:
                    newest[event["id"]] = event
        live = {id: e for id, e in newest.items() if e["metadata"]["op"] == "assert"}
        return {id: event["payload"] for id, event in live.items()}


def ids(found: list[Got]) -> list[str]:
    """The ids of requests."""
    return [got.id for got in found]
