"""What a server may do to a source is bounded: bytes, time, pages; and each bound is said."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing, asynccontextmanager

import pytest
from aiohttp import web

from schemas.dwn.message import message_cid
from sinks.dwn import Limits
from streams.sources import dwn_log
from streams.sources.dwn import DwnSource, Patience, Tenant
from streams.sources.errors import SourceError

from .actors import LINK, link, someone
from .reading import NEWS_S, QUICK, alice_at, cids, everything, message, run, source
from .test_source_lies import liar

pytestmark = pytest.mark.dwn
CID = "bafyreig2fduvcgbwwm3wprczypzzstjy7jwhjbyqk7anfyqewdeunn7cri"


@asynccontextmanager
async def answering(handler):
    """A server whose every request goes to ``handler``."""
    app = web.Application(handler_args={"max_field_size": 1_000_000})
    app.router.add_post("/", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def page(entries, cursor):
    """The answer to a query."""
    body = {"status": {"code": 200, "detail": "OK"}, "entries": entries}
    if cursor is not None:
        body["cursor"] = {"messageCid": CID, "value": cursor}
    return web.json_response({"result": {"reply": body}})


def method(request) -> str:
    """What a request asks for."""
    asked = json.loads(request.headers["dwn-request"])
    return asked["params"]["message"]["descriptor"]["method"]


def failure(handler, **limits) -> str:
    """How a source that reads to the end of such a server fails."""

    async def story():
        async with answering(handler) as url:
            me = someone()
            tenant = Tenant(me.did, url, me, (LINK,))
            source = DwnSource([tenant], patience=QUICK, limits=Limits(**limits))
            with pytest.raises(SourceError) as caught:
                await everything(source)
            assert me.did in caught.value.cause
            return caught.value.cause

    return asyncio.run(asyncio.wait_for(story(), 60))


def test_a_log_without_end_is_given_up(monkeypatch):
    """A new cursor with every answer ends after a number of pages, not never."""
    monkeypatch.setattr(dwn_log, "MAX_PAGES", 25)
    asked = []

    async def endless(request):
        asked.append(method(request))
        return page([CID], len(asked)) if asked[-1] == "Query" else web.Response(status=404)

    assert "has no end: 25 pages were read" in failure(endless)
    assert QUICK.attempts * 25 >= asked.count("Query")


def test_a_cursor_in_circles_is_given_up():
    """A cursor that comes back to where it was ends the reading of the log."""
    asked = []

    async def circle(request):
        asked.append(method(request))
        return (
            page([CID], asked.count("Query") % 3)
            if asked[-1] == "Query"
            else web.Response(status=404)
        )

    assert "goes in circles" in failure(circle)
    assert len(asked) < 50


def test_a_huge_answer_is_not_taken_in():
    """An answer beyond the limit is broken off, and the limit is said."""

    async def huge(request):
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" " * 65_536)

    assert "exceeds 100000 bytes" in failure(huge, max_query_bytes=100_000)


def test_an_answer_that_drips_is_broken_off():
    """A byte now and then keeps nobody longer than the time for one answer."""

    async def drip(request):
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.01)

    assert "no answer within 0.3 s" in failure(drip, timeout_s=0.3)


def test_a_message_beyond_the_limit_is_refused(server):
    """One message that is too large is a refusal; the others are read."""

    read = []

    def swell(kind, head, body):
        if kind == "Read" and body:
            record = head["result"]["reply"]["entry"]["message"]["recordId"]
            read.append(record)
            if record == read[0]:
                head["result"]["reply"]["padding"] = "x" * 100_000
                return head, None
        return head, body

    async def story():
        async with alice_at(server.url) as alice, liar(server.url, swell) as lying:
            for n in range(3):
                await alice.write(*link(f"bc1qswell{n:03}", "regtest"))
            reading = source(lying, alice, limits=Limits(max_reply_bytes=50_000))
            items = await everything(reading)
            assert ["unreadable"] == [i.refused.cause for i in items if i.refused]
            assert "exceeds 50000 bytes" in next(i.refused.detail for i in items if i.refused)
            assert 3 == len(cids(items))

    run(story())


def test_a_refused_message_is_kept_byte_for_byte(server):
    """What does not hold goes on as it came: spaces, order and odd numbers of its JSON included."""
    odd = '{ "descriptor" : {"method":"Write",  "n": 1.50e1, "t":"\\u00e9"} , "x":[ ] }'

    def other(kind, head, body):
        if kind != "Read":
            return head, body
        status = '{"status": {"code": 200, "detail": "OK"}, "entry": {"message":'
        return f'{{"jsonrpc": "2.0", "result": {{"reply": {status}{odd}}} }} }} }}', b"{}"

    async def story():
        async with alice_at(server.url) as alice, liar(server.url, other) as lying:
            await alice.write(*link("bc1qbytes000", "regtest"))
            items = await everything(source(lying, alice))
            assert [odd.encode()] * 2 == [item.refused.raw for item in items]

    run(story())


def test_another_tenants_messages_are_refused(server):
    """A server that gives Bob's installation of a protocol as Alice's is caught."""

    async def story():
        async with alice_at(server.url) as alice, alice_at(server.url) as bob:

            async def impostor(request):
                asked = json.loads(request.headers["dwn-request"])["params"]["message"]
                if asked["descriptor"]["method"] == "Query":
                    reply = await bob.messages_query([{"protocol": LINK}])
                else:
                    reply = await bob.messages_read(asked["descriptor"]["messageCid"])
                return web.json_response({"result": {"reply": reply.body}})

            async with answering(impostor) as lying:
                items = await everything(source(lying, alice))
            assert ["not_authorised"] == [item.refused.cause for item in items]

    run(story())


def test_a_server_without_subscriptions_is_polled(server):
    """Where no WebSocket is to be had, news come by asking the log; it is said."""

    async def story():
        async with alice_at(server.url) as alice, liar(server.url, lambda *it: it[1:]) as plain:
            said = []
            tenant = Tenant(alice.tenant, plain, alice.signer, (LINK,))
            patience = Patience(poll_s=0.1)
            following = DwnSource([tenant], follow=True, patience=patience, say=said.append)
            async with aclosing(following.items()) as items:
                await message(items)
                new = [await alice.write(*link(f"bc1qpolled{n:02}", "regtest")) for n in range(3)]
                found = [await message(items) for _ in new]
            assert [message_cid(one) for one in new] == cids(found)
            assert ["no subscription"] == [words[:15] for words in said]

    run(story())


def test_a_refusing_tenant_does_not_stop_those_that_follow(server):
    """Following, a stranger's refusal is named once, and the others' news still come."""

    async def story():
        async with alice_at(server.url) as alice:
            said, stranger = [], someone()
            tenants = [
                Tenant(stranger.did, server.url, someone(), (LINK,)),
                Tenant(alice.tenant, server.url, alice.signer, (LINK,)),
            ]
            patience = Patience(refused_pause_s=0.05)
            following = DwnSource(tenants, follow=True, patience=patience, say=said.append)
            lost = []
            async with aclosing(following.items()) as items:
                await message(items)
                while len(lost) < 3:
                    item = await asyncio.wait_for(anext(items), NEWS_S)
                    lost += [item.tenant] if item.state == "lost" else []
                new = await alice.write(*link("bc1qothers00", "regtest"))
                assert [message_cid(new)] == cids([await message(items)])
            assert {stranger.did} == set(lost)
            assert 1 == sum(stranger.did in words for words in said)

    run(story())


def test_an_away_server_is_told_and_then_given_up_for_the_time_being():
    """Away at once, lost after a while: what waits for this tenant need not wait for ever."""

    async def story():
        me = someone()
        tenant = Tenant(me.did, "http://127.0.0.1:9", me, (LINK,))
        patience = Patience(first_pause_s=0.02, longest_pause_s=0.05, away_s=0.2)
        async with aclosing(DwnSource([tenant], follow=True, patience=patience).items()) as items:
            found = [(await asyncio.wait_for(anext(items), NEWS_S)).state for _ in range(2)]
        assert ["away", "lost"] == found

    run(story())


@pytest.mark.parametrize("stop", [1, 3, 8, 17, 30])
def test_a_page_is_gone_on_with_in_its_middle(server, stop):
    """
    From the position behind any message of a page, the next run gives the rest and nothing twice.

        page of 31:   1 2 ... stop | stop+1 ... 31
    """

    async def story():
        async with alice_at(server.url) as alice:
            for n in range(30):
                await alice.write(*link(f"bc1qmiddle{n:02}", "regtest"))
            whole = await everything(source(server.url, alice))
            first = []
            async with aclosing(source(server.url, alice).items()) as items:
                while len(first) < stop:
                    first.append(await message(items))
            rest = await everything(source(server.url, alice, first[-1].cursor))
            assert cids(whole) == cids(first) + cids(rest)

    run(story())


def test_a_page_whose_last_read_message_is_gone(server):
    """
    A message that was replaced since leaves the log; the one read before it still marks the place.

        1 2 3 | 3 is replaced by 3' | 4 5 3'
    """

    async def story():
        async with alice_at(server.url) as alice:
            made = [await alice.write(*link(f"bc1qgone{n:04}", "regtest")) for n in range(4)]
            updated = await alice.update(made[1], *link("bc1qgoneagain", "regtest"))
            first = []
            async with aclosing(source(server.url, alice).items()) as items:
                while updated["recordId"] != (first and first[-1].event.value.record_id):
                    first.append(await message(items))
            await alice.update(made[1], *link("bc1qgonethird", "regtest"))
            rest = await everything(source(server.url, alice, first[-1].cursor))
            assert set(cids(first)).isdisjoint(cids(rest))
            assert message_cid(made[3]) in cids(first) + cids(rest)

    run(story())


def test_a_protocol_added_later_is_read_from_its_beginning(server):
    """Each protocol has a position of its own, so that a new one misses nothing."""
    other = "https://streams.example/protocols/other"

    async def story():
        async with alice_at(server.url) as alice:
            definition = {"protocol": other, "published": True, "types": {}, "structure": {}}
            await alice.configure(definition)
            await alice.write(*link("bc1qlater000", "regtest"))
            first = [item async for item in source(server.url, alice).items()]
            cursors = {item.place: item.cursor for item in first if item.cursor}
            both = Tenant(alice.tenant, server.url, alice.signer, (LINK, other))
            second = await everything(DwnSource([both], cursors, patience=QUICK))
            assert [other] == [item.event.value.protocol for item in second]

    run(story())
