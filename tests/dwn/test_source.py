"""The source against a real DWN server: catching up, following, resuming, grants."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import NamedTuple

import pytest

from schemas.dwn.message import Authority, Record, message_cid
from sinks.dwn import DwnClient, DwnTransport, Limits
from streams.chain.links import links_of, verify_record
from streams.sources.dwn import DwnSource, Grants, Patience, Tenant
from streams.sources.errors import SourceError

from .actors import LINK, PERMISSIONS, link, someone
from .reading import QUICK, alice_at, cids, everything, message, run, source
from .server import dwn_server

pytestmark = pytest.mark.dwn


def test_catch_up_and_resume(server):
    """
    A source reads what is there, with data, in order; from its last cursor it reads only the rest.

        configure  write  write | update  delete
        first run ------------->| second run --->
    """

    async def story():
        async with alice_at(server.url) as alice:
            one = await alice.write(*link("bc1qaddress1", "regtest"))
            two = await alice.write(*link("bc1qaddress2", "regtest"))
            first = await everything(source(server.url, alice))
            assert cids(first)[1:] == [message_cid(one), message_cid(two)]
            assert [item.event.value.data for item in first[1:]] == [
                link(f"bc1qaddress{n}", "regtest")[0] for n in (1, 2)
            ]
            three = await alice.update(one, *link("bc1qaddress3", "regtest"))
            four = await alice.delete(two["recordId"])
            second = await everything(source(server.url, alice, first[-1].cursor))
            assert cids(second) == [message_cid(three), message_cid(four)]
            assert [item.event.value.protocol for item in second] == [LINK, LINK]
            assert [links_of(item.event.value)[0].address for item in second] == [
                "bc1qaddress3",
                None,
            ]
            assert await everything(source(server.url, alice, second[-1].cursor)) == []

    run(story())


def test_every_event_verifies_again(server):
    """What the source gives can be verified from the stored record alone."""

    async def story():
        async with alice_at(server.url) as alice:
            one = await alice.write(*link("bc1qagain111", "regtest"))
            await alice.update(one, *link("bc1qagain222", "regtest"))
            items = await everything(source(server.url, alice))
            assert [verify_record(i.event.value).message_cid for i in items] == cids(items)
            assert len(items) == 3

    run(story())


def test_follow_gives_old_and_new_once(server):
    """Following gives what was there, then each new message once, with a cursor that moves on."""

    async def story():
        async with alice_at(server.url) as alice:
            old = await alice.write(*link("bc1qfollow00", "regtest"))
            following = source(server.url, alice, follow=True)
            async with aclosing(following.items()) as items:
                first = [await message(items) for _ in range(2)]
                assert cids(first)[1] == message_cid(old)
                new = [await alice.write(*link(f"bc1qfollow1{n}", "regtest")) for n in range(5)]
                gone = await alice.delete(new[0]["recordId"])
                rest = [await message(items) for _ in range(6)]
            wanted = [message_cid(m) for m in (*new, gone)]
            assert sorted(cids(rest)) == sorted(wanted)
            assert following.counts[alice.tenant].events == 8
            again = await everything(source(server.url, alice, rest[-1].cursor))
            assert again == []

    run(story())


def test_writes_in_a_storm_are_all_found(server):
    """Writes that arrive together while the source catches up and follows are each found."""

    async def story():
        async with alice_at(server.url) as alice:
            writes = [
                asyncio.create_task(alice.write(*link(f"bc1qstorm{n:03}", "regtest")))
                for n in range(40)
            ]
            found = []
            async with aclosing(source(server.url, alice, follow=True).items()) as items:
                while len(found) < 41:
                    found += cids([await message(items)])
            written = {message_cid(await task) for task in writes}
            assert written < set(found)
            assert len(found) == len(set(found))

    run(story())


def test_server_restart():
    """
    A source outlives its server: after a crash it goes on, and misses and repeats nothing.

        write a | kill, start | write b
    """
    with dwn_server() as server:

        async def story():
            async with alice_at(server.url) as alice:
                one = await alice.write(*link("bc1qbefore00", "regtest"))
                async with aclosing(source(server.url, alice, follow=True).items()) as items:
                    first = [await message(items) for _ in range(2)]
                    server.kill()
                    server.start()
                    two = await alice.write(*link("bc1qafter000", "regtest"))
                    rest = await message(items)
                assert cids(first)[1] == message_cid(one)
                assert cids([rest]) == [message_cid(two)]

        run(story())


def test_server_away():
    """Without following, a server that stays away ends the source with cause and remedy."""

    async def story():
        url = "http://127.0.0.1:9"
        async with DwnTransport(url) as transport:
            with pytest.raises(SourceError) as caught:
                await everything(source(url, DwnClient(transport, someone())))
            assert "did not answer" in caught.value.cause

    run(story())


def test_several_tenants(server):
    """Two tenants are read side by side, each with a cursor of its own."""

    async def story():
        async with alice_at(server.url) as alice, alice_at(server.url) as carol:
            await alice.write(*link("bc1qalice000", "regtest"))
            await carol.write(*link("bc1qcarol000", "regtest"))
            tenants = [Tenant(c.tenant, server.url, c.signer, (LINK,)) for c in (alice, carol)]
            items = await everything(DwnSource(tenants, patience=QUICK))
            keys = [item.event.key for item in items]
            assert sorted(keys) == sorted([alice.tenant, carol.tenant] * 2)
            assert len({item.place for item in items}) == 2

    run(story())


def test_a_refusing_tenant_is_named(server):
    """A signer without a grant ends with an error that names the tenant; the others are read."""

    async def story():
        async with alice_at(server.url) as alice:
            stranger = Tenant(someone().did, server.url, someone(), (LINK,))
            mine = Tenant(alice.tenant, server.url, alice.signer, (LINK,))
            found = []
            with pytest.raises(SourceError) as caught:
                async for item in DwnSource([stranger, mine], patience=QUICK).items():
                    found.append(item)
            assert stranger.did in caught.value.cause
            assert len(cids(found)) == 1

    run(story())


def test_a_bug_in_reading_one_tenant_is_raised_and_not_waited_for(server):
    """What nobody foresaw ends the source: else it would go on as if that tenant were silent."""

    class Broken(NamedTuple):
        did: str
        kid: str
        alg: str

        def sign(self, message: bytes) -> bytes:
            raise ZeroDivisionError(message)

    async def story():
        async with alice_at(server.url) as alice:
            broken = Broken(alice.signer.did, alice.signer.kid, alice.signer.alg)
            tenant = Tenant(alice.tenant, server.url, broken, (LINK,))
            with pytest.raises(ZeroDivisionError):
                await asyncio.wait_for(everything(DwnSource([tenant], patience=QUICK)), 10)

    run(story())


def test_no_protocols_is_refused():
    """A tenant without protocols is refused: an empty filter would read everything."""
    with pytest.raises(ValueError, match="no protocols"):
        Tenant(someone().did, "http://127.0.0.1:9", someone(), ())


def test_a_grantee_reads_until_the_grant_is_revoked(server):
    """
    With grants the pipeline's DID follows the protocol; the revocation ends it, with the tenant
    named, although the server goes on telling.
    """

    async def story():
        async with alice_at(server.url) as alice:
            pipeline = someone()
            written = await alice.write(*link("bc1qgranted0", "regtest"))
            methods = ("Query", "Read", "Subscribe")
            grants = [
                await alice.write(*PERMISSIONS.grant(pipeline.did, "Messages", method, LINK))
                for method in methods
            ]
            ids = Grants(*(grant["recordId"] for grant in grants))
            tenant = Tenant(alice.tenant, server.url, pipeline, (LINK,), ids)
            found = []
            with pytest.raises(SourceError) as caught:
                async for item in DwnSource([tenant], follow=True, patience=QUICK).items():
                    found.append(item)
                    if len(found) == 5:
                        context = grants[0]["contextId"]
                        await alice.write(*PERMISSIONS.revocation(context, LINK))
            assert message_cid(written) in cids(found)
            assert alice.tenant in caught.value.cause

    run(story())


def test_the_end_of_each_log_is_told_once(server):
    """Each log's end is told when it is reached, also where nothing was in it, and not again."""

    async def story():
        async with alice_at(server.url) as alice:
            await alice.write(*link("bc1qtheend00", "regtest"))
            nobody = someone()
            empty = Tenant(nobody.did, server.url, nobody, (LINK,))
            mine = Tenant(alice.tenant, server.url, alice.signer, (LINK,))
            items = [i async for i in DwnSource([empty, mine], patience=QUICK).items()]
            ends = [(i.tenant, i.state, i.event) for i in items if i.state]
            assert sorted([(did, "caught_up", None) for did in (empty.did, mine.did)]) == sorted(
                ends
            )
            assert (4, "caught_up") == (len(items), items[-1].state)
            eager = Patience(poll_s=0.05)
            following = DwnSource([empty, mine], follow=True, patience=eager).items()
            async with aclosing(following) as found:
                again = [await asyncio.wait_for(anext(found), 5) for _ in range(4)]
                assert 2 == sum(item.state == "caught_up" for item in again)
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(anext(found), 0.5)

    run(story())


def test_messages_dated_ahead_are_refused(server):
    """A message dated two hours ahead of its reading is refused: it would move time for all."""

    async def story():
        async with alice_at(server.url) as alice:
            await alice.write(*link("bc1qfuture00", "regtest"))
            clock = time.time_ns() // 1_000_000 - 7_200_000
            items = await everything(source(server.url, alice, now_ms=lambda: clock))
            assert [item.refused.cause for item in items] == ["future"] * 2

    run(story())


def test_records_outside_the_protocol_are_not_read(server):
    """A record of another protocol of the same tenant never comes out of the source."""

    async def story():
        async with alice_at(server.url) as alice:
            await alice.write(b"private", Record())
            items = await everything(source(server.url, alice))
            assert [item.event.value.protocol for item in items] == [LINK]

    run(story())


def test_text_outside_latin_1_holds_up_nothing(server):
    """A record that the server cannot give over HTTP comes over WebSocket, without its data."""

    async def story():
        async with alice_at(server.url) as alice:
            data, record = link("bc1qword0000", "regtest")
            tags = {**record.tags, "word": "日本"}
            odd = Record(protocol=LINK, protocol_path="link", tags=tags)
            await alice.write(data, odd)
            await alice.write(data, record)
            limits = Limits(timeout_s=1.5)
            items = await everything(source(server.url, alice, limits=limits))
            assert [item.event.value.data for item in items] == [None, None, data]
            assert links_of(items[1].event.value)[0].address == "bc1qword0000"

    run(story())


def test_large_data_is_left(server):
    """Data beyond the limit is left, and the event says so by having its CID but no data."""

    async def story():
        async with alice_at(server.url) as alice:
            record = link("bc1qlarge000", "regtest")[1]
            await alice.write(b"x" * 5000, record)
            reading = source(server.url, alice, limits=Limits(max_data_bytes=4999))
            items = await everything(reading)
            assert items[1].event.value.data is None
            assert items[1].event.value.data_cid is not None
            assert reading.counts[alice.tenant].data_left == 1

    run(story())


def test_refusals_of_a_grantee_without_initial_writes(server):
    """A delete whose first write may not be read is refused visibly, never given unscoped."""

    async def story():
        async with alice_at(server.url) as alice:
            pipeline = someone()
            written = await alice.write(*link("bc1qnoinit00", "regtest"))
            grants = [
                await alice.write(*PERMISSIONS.grant(pipeline.did, "Messages", method, LINK))
                for method in ("Query", "Read")
            ]
            ids = Grants(*(grant["recordId"] for grant in grants))
            tenant = Tenant(alice.tenant, server.url, pipeline, (LINK,), ids)
            first = await everything(DwnSource([tenant], patience=QUICK))
            await alice.delete(written["recordId"])
            cursors = {first[-1].place: first[-1].cursor}
            items = await everything(DwnSource([tenant], cursors, patience=QUICK))
            assert [item.refused.cause for item in items] == ["initial_write"]

    run(story())


def test_authority_is_part_of_what_is_signed():
    """The grant that a message names is in the signed payload."""
    assert Authority(permission_grant="x").claims() == {"permissionGrantId": "x"}
