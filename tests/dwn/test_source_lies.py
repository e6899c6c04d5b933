"""A server that lies to the source: what it changed comes out as a refusal."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from schemas.dwn.message import message_cid

from .actors import link
from .reading import alice_at, cids, everything, run, source

pytestmark = pytest.mark.dwn


@asynccontextmanager
async def liar(url, change):
    """A server that passes requests on to a real one, and changes the answers to MessagesRead."""
    async with aiohttp.ClientSession(max_field_size=1_000_000) as session:

        async def pass_on(request):
            asked = json.loads(request.headers["dwn-request"])
            headers = {"dwn-request": request.headers["dwn-request"]}
            async with session.post(url, headers=headers, data=await request.read()) as answer:
                body, reply = await answer.read(), answer.headers.get("dwn-response")
                head = json.loads(reply or body)
            method = asked["params"]["message"]["descriptor"]["method"]
            head, body = change(method, head, body if reply else None)
            text = head if isinstance(head, str) else json.dumps(head)
            if body is None:
                return web.Response(text=text, content_type="application/json")
            return web.Response(body=body, headers={"dwn-response": text})

        app = web.Application(handler_args={"max_field_size": 1_000_000})
        app.router.add_post("/", pass_on)
        runner = web.AppRunner(app, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


def _entry(head):
    return head["result"]["reply"]["entry"]["message"]


def _other_data(method, head, body):
    return head, b"{}" if method == "Read" and body else body


def _other_tag(method, head, body):
    if method == "Read" and body:
        _entry(head)["descriptor"]["tags"]["address"] = "bc1qmallory0"
    return head, body


def _junk_member(method, head, body):
    if method == "Read" and body:
        _entry(head)["extra"] = 1
    return head, body


def _no_message(method, head, body):
    if method == "Read" and body:
        head["result"]["reply"]["entry"] = {"message": [1]}
    return head, body


def _odd_cid(method, head, body):
    if method == "Query":
        head["result"]["reply"]["entries"].append({"not": "a cid"})
    return head, body


LIES = {
    "data_size": (_other_data, 1),
    "descriptor_cid": (_other_tag, 1),
    "shape": (_junk_member, 1),
    "shape ": (_no_message, 1),
    "shape  ": (_odd_cid, 2),
}


@pytest.mark.parametrize("cause", LIES)
def test_a_lying_server_is_refused(server, cause):
    """What a server changed comes out as a refusal with its cause, its bytes and its origin."""
    change, events = LIES[cause]

    async def story():
        async with alice_at(server.url) as alice, liar(server.url, change) as lying:
            await alice.write(*link("bc1qtruth000", "regtest"))
            items = await everything(source(lying, alice))
            refused = [item.refused for item in items if item.refused]
            assert [(r.cause, r.origin) for r in refused] == [(cause.strip(), f"{lying}/")]
            assert len(cids(items)) == events

    run(story())


def test_a_server_that_breaks_off_loses_nothing(server):
    """Answers that break off are asked for again: each message comes once, in order."""
    count = iter(range(10_000))

    def sometimes(method, head, body):
        if method == "Read" and body and next(count) % 7 == 3:
            raise web.HTTPBadGateway
        return head, body

    async def story():
        async with alice_at(server.url) as alice, liar(server.url, sometimes) as flaky:
            written = [await alice.write(*link(f"bc1qflaky{n:03}", "regtest")) for n in range(30)]
            items = await everything(source(flaky, alice))
            assert cids(items)[1:] == [message_cid(message) for message in written]

    run(story())


def test_another_message_than_asked_for_is_refused(server):
    """A server that answers each reading with the same message is caught by the CID."""
    kept: list = []

    def always_the_first(method, head, body):
        if method == "Read" and body:
            kept.append((head, body))
            return kept[0]
        return head, body

    async def story():
        async with alice_at(server.url) as alice, liar(server.url, always_the_first) as lying:
            for n in range(3):
                await alice.write(*link(f"bc1qswapped{n}", "regtest"))
            items = await everything(source(lying, alice))
            assert [i.refused.cause for i in items if i.refused] == ["message_cid"] * 2

    run(story())
