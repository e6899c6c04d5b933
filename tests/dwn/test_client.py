"""The client against servers that misbehave: whatever they answer, the error is a typed one."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from schemas.dwn.encoding import timestamp_us
from sinks.dwn import DwnClient, DwnGarbled, DwnRefused, DwnTransport, DwnUnavailable, Limits
from sinks.dwn.clock import Clock
from sinks.dwn.reply import reply_of
from sinks.dwn.subscription import MAX_BUFFERED

from .actors import LINK, someone

OK = {"result": {"reply": {"status": {"code": 200, "detail": "OK"}}}}


@asynccontextmanager
async def serving(handler, timeout_s=2.0, **limits):
    """A client of a server whose every request goes to ``handler``."""
    app = web.Application()
    app.router.add_route("*", "/", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with DwnTransport(url, Limits(timeout_s=timeout_s, **limits)) as transport:
            yield DwnClient(transport, someone())
    finally:
        await runner.cleanup()


def answer(**how):
    """A handler that always answers the same."""

    async def handler(request):
        return web.Response(**how)

    return handler


def asked(handler, **limits):
    """What a query to such a server raises."""

    async def story():
        async with serving(handler, **limits) as client:
            await client.query({"protocol": LINK})

    with pytest.raises((DwnRefused, DwnUnavailable)) as caught:
        asyncio.run(asyncio.wait_for(story(), 20))
    return caught.value


BAD = {
    "not json": (answer(text="hello"), DwnGarbled),
    "a list": (answer(text="[]"), DwnGarbled),
    "deep": (answer(text='{"a":' + "[" * 100_000), DwnGarbled),
    "no status": (answer(text='{"result":{"reply":{}}}'), DwnGarbled),
    "status of text": (answer(text='{"result":{"reply":{"status":{"code":"200"}}}}'), DwnGarbled),
    "no result": (answer(text="{}"), DwnGarbled),
    "null": (answer(text='{"result":null}'), DwnGarbled),
    "error without code": (answer(text='{"error":5}'), DwnGarbled),
    "error": (answer(text='{"error":{"code":-32602,"message":"no"}}'), DwnRefused),
    "inner error": (answer(text='{"error":{"code":-32603,"message":"no"}}'), DwnUnavailable),
    "failed inside": (
        answer(text='{"result":{"reply":{"status":{"code":500,"detail":"x"}}}}'),
        DwnUnavailable,
    ),
    "http 502": (answer(status=502, text="bad gateway"), DwnUnavailable),
    "http 431": (answer(status=431), DwnRefused),
    "http 404": (answer(status=404, text="no such page"), DwnRefused),
    "redirect": (answer(status=302, headers={"Location": "http://127.0.0.1:1/"}), DwnRefused),
    "bad header": (answer(headers={"dwn-response": "{"}, body=b"x"), DwnGarbled),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_answers(name):
    """Each kind of bad answer is refused or unavailable, by its kind."""
    handler, kind = BAD[name]
    assert type(asked(handler)) is kind


def test_no_answer():
    """A server that never answers is given up after the timeout."""

    async def handler(request):
        await asyncio.Event().wait()

    assert "no answer within 0.2 s" in str(asked(handler, timeout_s=0.2))


def test_a_status_by_itself():
    """The reply to the end of a subscription has a bare number as its status."""
    assert reply_of({"result": {"reply": {"status": 200}}}).status == 200


def socket_server(*frames, close=False):
    """A handler that confirms a subscription, sends frames, and perhaps closes."""

    async def handler(request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        asked = json.loads((await socket.receive()).data)
        await socket.send_str(json.dumps({"id": asked["id"], **OK}))
        for frame in frames:
            text = frame if isinstance(frame, str) else json.dumps(frame)
            await socket.send_str(text.replace("SUBSCRIPTION", asked["subscription"]["id"]))
        if not close:
            await socket.receive()
        await socket.close()
        return socket

    return handler


def subscribed(handler, story) -> None:
    """Run a story with a subscription to such a server."""

    async def run():
        async with serving(handler) as client:
            events = await client.messages_subscribe([{"protocol": LINK}])
            try:
                await story(events)
            finally:
                await events.close()

    asyncio.run(asyncio.wait_for(run(), 20))


EVENT = {"id": "SUBSCRIPTION", "result": {"event": {"message": {"n": 1}}}}


@pytest.mark.parametrize("frame", ["garbage", "[1]"])
def test_garbage_ends_a_subscription(frame):
    """A frame that is no JSON object ends the subscription; what came before it is still given."""

    async def story(events):
        assert (await anext(events)).message == {"n": 1}
        with pytest.raises(DwnUnavailable):
            await anext(events)

    subscribed(socket_server(EVENT, frame), story)


def test_a_closed_line_ends_a_subscription():
    """A server that hangs up ends the iteration with an error, never in silence."""

    async def story(events):
        with pytest.raises(DwnUnavailable, match="closed the WebSocket"):
            await anext(events)

    subscribed(socket_server(close=True), story)


def test_unknown_frames_are_passed_over():
    """Answers that nobody asked for and frames without an event change nothing."""

    async def story(events):
        assert (await anext(events)).message == {"n": 1}

    frames = ({"id": "other", "result": 5}, {"result": {"event": 5}}, {}, EVENT)
    subscribed(socket_server(*frames), story)


def test_a_flood_is_bounded():
    """More events than fit are dropped, and the subscription says so."""
    flood = [EVENT] * (MAX_BUFFERED + 10)

    async def story(events):
        while not events.overflowed:
            await asyncio.sleep(0)
        assert len(await events.wait()) == MAX_BUFFERED

    subscribed(socket_server(*flood), story)


def test_waiting_has_an_end():
    """Waiting for events with a limit gives none when there are none."""

    async def story(events):
        assert await events.wait(0.05) == []

    subscribed(socket_server(), story)


def test_a_refused_subscription():
    """A server that answers a subscription with a plain page is unavailable."""

    async def story():
        async with serving(answer(text="no")) as client:
            with pytest.raises(DwnUnavailable, match="no WebSocket"):
                await client.messages_subscribe([{"protocol": LINK}])

    asyncio.run(story())


def test_outside_async_with():
    """Using a transport that is not open says what to do."""
    client = DwnClient(DwnTransport("http://127.0.0.1:9"), someone())
    with pytest.raises(RuntimeError, match="async with"):
        asyncio.run(client.query({}))


def test_clock_never_repeats():
    """Timestamps increase even when the clock stands or goes back."""
    now = iter([5, 5, 3, 9])
    clock = Clock(lambda: next(now))
    assert [timestamp_us(clock()) for _ in range(4)] == [5, 6, 7, 9]
