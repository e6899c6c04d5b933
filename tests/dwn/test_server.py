"""The client against a real DWN server: every kind of message, and what the server refuses."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable

import pytest

from schemas.dwn.encoding import b64decode
from schemas.dwn.message import Authority, Record, message_cid
from schemas.dwn.signer import Signer
from schemas.dwn.verify import verify
from sinks.dwn import DwnClient, DwnRefused, DwnTransport, DwnUnavailable, Limits

from .actors import LINK, LINKS, PERMISSIONS, link, someone

pytestmark = pytest.mark.dwn


def on(server, story: Callable[[DwnTransport], Awaitable[None]], **limits) -> None:
    """Run a story against the server."""

    async def run() -> None:
        async with DwnTransport(server.url, Limits(**limits)) as transport:
            await story(transport)

    asyncio.run(asyncio.wait_for(run(), 60))


def test_write_and_read(server):
    """A record that was written is read back with its data, and verifies."""

    async def story(transport):
        alice = DwnClient(transport, someone())
        written = await alice.write(b"hello", Record(data_format="text/plain"))
        reply = await alice.read(written["recordId"])
        found = verify(reply.entry()["recordsWrite"], reply.data, alice.tenant)
        assert (reply.data, found.message_cid) == (b"hello", message_cid(written))

    on(server, story)


@pytest.mark.parametrize("size", [1, 262_144, 262_145, 786_439])
def test_data_cid_agrees_with_the_server(server, size):
    """The server takes our CID of data of one chunk, of exactly one, and of several."""

    async def story(transport):
        alice = DwnClient(transport, someone())
        data = os.urandom(size)
        written = await alice.write(data, Record(data_format="application/octet-stream"))
        assert (await alice.read(written["recordId"])).data == data

    on(server, story)


def test_update_and_delete(server):
    """An update is what a read gives; after a delete the read is refused with its initial write."""

    async def story(transport):
        alice = DwnClient(transport, someone())
        first = await alice.write(b"{}", Record(tags={"n": 1}))
        await alice.update(first, b"[]", Record(tags={"n": 2}))
        entry = (await alice.read(first["recordId"])).entry()
        initial = verify(entry["initialWrite"], None, alice.tenant)
        later = verify(entry["recordsWrite"], b"[]", alice.tenant, initial=initial)
        assert later.tags == {"n": 2}
        await alice.delete(first["recordId"])
        with pytest.raises(DwnRefused) as refused:
            await alice.read(first["recordId"])
        assert refused.value.status == 404
        entry = refused.value.reply["entry"]
        gone = verify(entry["recordsDelete"], None, alice.tenant, initial=initial)
        assert gone.record_id == first["recordId"]

    on(server, story)


def test_query_by_tags_and_pages(server):
    """A query finds records by tag, oldest first, page by page, with small data inline."""

    async def story(transport):
        alice = DwnClient(transport, someone())
        await alice.configure(LINKS)
        written = [await alice.write(*link(f"bc1q{n}", "regtest")) for n in range(3)]
        match = {"protocol": LINK, "tags": {"network": "regtest"}}
        found, page = [], {"limit": 2}
        while page is not None:
            reply = await alice.query(match, date_sort="createdAscending", pagination=page)
            found += reply.entries()
            page = {"limit": 2, "cursor": reply.cursor()} if reply.cursor() else None
        assert [e["recordId"] for e in found] == [w["recordId"] for w in written]
        for entry in found:
            verify(entry, b64decode(entry["encodedData"]), alice.tenant)

    on(server, story)


def test_a_repeated_write_is_refused_without_effect(server):
    """The same message twice is refused with 409: a retry does no harm."""

    async def story(transport):
        alice = DwnClient(transport, someone())
        written = await alice.write(b"once", Record())
        with pytest.raises(DwnRefused) as refused:
            await alice.process(written, b"once")
        assert refused.value.status == 409

    on(server, story)


def test_tampering_is_refused_by_the_server_too(server):
    """A descriptor changed after signing is refused with 400, a foreign signer with 401."""

    async def story(transport):
        alice, mallory = (DwnClient(transport, someone()) for _ in range(2))
        good = await alice.write(b"x", Record(tags={"n": 1}))
        bad = {**good, "descriptor": {**good["descriptor"], "tags": {"n": 2}}}
        with pytest.raises(DwnRefused) as refused:
            await alice.process(bad, b"x")
        assert refused.value.status == 400
        mallory.tenant = alice.tenant
        with pytest.raises(DwnRefused) as refused:
            await mallory.write(b"x", Record())
        assert refused.value.status == 401

    on(server, story)


def test_anyone_may_write_where_the_protocol_says_so(server):
    """Bob, with a secp256k1 did:key, writes a link into Alice's DWN."""

    async def story(transport):
        alice = DwnClient(transport, someone())
        await alice.configure(LINKS)
        bob = DwnClient(transport, Signer.generate_secp256k1(os.urandom(32)), alice.tenant)
        written = await bob.write(*link("bc1qbob", "regtest"))
        reply = await alice.read(written["recordId"])
        found = verify(reply.entry()["recordsWrite"], reply.data, alice.tenant)
        assert (found.author, found.protocol) == (bob.signer.did, LINK)

    on(server, story)


def test_messages_query_goes_on_from_its_cursor(server):
    """A query from a cursor gives only what came after it, writes and deletes alike."""

    async def story(transport):
        alice = DwnClient(transport, someone())
        await alice.configure(LINKS)
        first = await alice.write(*link("bc1qone", "regtest"))
        before = await alice.messages_query([{"protocol": LINK}])
        gone = await alice.delete(first["recordId"])
        second = await alice.write(*link("bc1qtwo", "regtest"))
        after = await alice.messages_query([{"protocol": LINK}], before.cursor())
        assert message_cid(first) in before.entries()
        assert after.entries() == [message_cid(gone), message_cid(second)]
        assert (await alice.messages_query([{"protocol": LINK}], after.cursor())).entries() == []

    on(server, story)


def test_subscription_tells_of_writes_and_deletes(server):
    """Events come in order, a delete with the initial write of its record, none with data."""

    async def story(transport):
        alice = DwnClient(transport, someone())
        await alice.configure(LINKS)
        events = await alice.messages_subscribe([{"protocol": LINK}])
        written = await alice.write(*link("bc1qlive", "regtest"))
        gone = await alice.delete(written["recordId"])
        first, second = [await asyncio.wait_for(anext(events), 10) for _ in range(2)]
        assert message_cid(first.message) == message_cid(written)
        assert message_cid(second.message) == message_cid(gone)
        assert message_cid(second.initial_write) == message_cid(written)
        await events.close()
        with pytest.raises(DwnUnavailable):
            await anext(events)

    on(server, story)


def test_subscription_is_refused_to_strangers(server):
    """A DID without a grant cannot subscribe to another one's DWN."""

    async def story(transport):
        alice = someone()
        mallory = DwnClient(transport, someone(), alice.did)
        with pytest.raises(DwnRefused) as refused:
            await mallory.messages_subscribe([{"protocol": LINK}])
        assert refused.value.status == 401

    on(server, story)


def test_a_grant_lets_another_did_query(server):
    """With a grant of the tenant, the pipeline's own DID may query, and without it not."""

    async def story(transport):
        alice, pipeline = DwnClient(transport, someone()), someone()
        await alice.configure(LINKS)
        written = await alice.write(*link("bc1qgrant", "regtest"))
        grant = await alice.write(*PERMISSIONS.grant(pipeline.did, "Messages", "Query", LINK))
        reader = DwnClient(transport, pipeline, alice.tenant)
        allowed = Authority(permission_grant=grant["recordId"])
        reply = await reader.messages_query([{"protocol": LINK}], authority=allowed)
        assert message_cid(written) in reply.entries()
        with pytest.raises(DwnRefused):
            await reader.messages_query([{"protocol": LINK}])

    on(server, story)


def test_data_beyond_the_limit_is_left(server):
    """Record data larger than the client's limit is not read, and the reply says so."""

    async def story(transport):
        alice = DwnClient(transport, someone())
        written = await alice.write(b"x" * 5000, Record())
        reply = await alice.messages_read(message_cid(written))
        assert (reply.data, reply.data_cut) == (None, True)

    on(server, story, max_data_bytes=4999)


def test_empty_data_is_data(server):
    """A record with no bytes is a record: it is found and read."""

    async def story(transport):
        alice = DwnClient(transport, someone())
        written = await alice.write(b"", Record())
        assert verify(written, b"", alice.tenant).is_initial
        assert len((await alice.query({"recordId": written["recordId"]})).entries()) == 1

    on(server, story)


@pytest.mark.parametrize("tag", ["é", "日本", "🟧"])
def test_text_outside_ascii(server, tag):
    """Tags in any script are written, and read back over a WebSocket where HTTP cannot."""

    async def story(transport):
        alice = DwnClient(transport, someone())
        written = await alice.write(b"{}", Record(tags={"word": tag}))
        reply = await alice.messages_read(message_cid(written), by_socket=True)
        assert verify(reply.entry()["message"], None, alice.tenant).tags == {"word": tag}

    on(server, story)


def test_too_large_for_http(server):
    """A message that no header takes is refused with its reason; over a WebSocket it passes."""

    async def story(transport):
        alice = DwnClient(transport, someone())
        many = {**LINKS, "types": {f"t{n}": {"schema": f"https://x.test/{n}"} for n in range(400)}}
        with pytest.raises(DwnRefused) as refused:
            await alice.configure(many)
        assert refused.value.status == 431

    on(server, story)


def test_nobody_there():
    """A server that is not there is unavailable, not an error of aiohttp."""

    async def story():
        async with DwnTransport("http://127.0.0.1:9") as transport:
            alice = DwnClient(transport, someone())
            with pytest.raises(DwnUnavailable):
                await alice.query({"protocol": LINK})
            with pytest.raises(DwnUnavailable):
                await alice.messages_subscribe([{"protocol": LINK}])

    asyncio.run(story())
