"""Statements about addresses: read from verified records, replaced and withdrawn."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.dwn.encoding import timestamp
from schemas.dwn.errors import DwnInvalid
from schemas.dwn.event import to_event
from schemas.dwn.message import Record, records_delete, records_update, records_write
from schemas.dwn.signer import Signer
from schemas.dwn.verify import verify
from schemas.ids import digest_id
from streams.chain.links import ADDRESS_LINK, links_of, replaces, verify_record

ALICE = Signer.generate_ed25519(b"a" * 32)
BOB = Signer.generate_secp256k1(b"b" * 32)
START = 1_700_000_000_000
ADDRESS = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"


def at(ms: int) -> str:
    """The DWN timestamp ``ms`` after the start."""
    return timestamp((START + ms) * 1000)


def said(data: object, tags=None, signer=ALICE, ms=0, protocol=ADDRESS_LINK):
    """The event of a link record with this data (bytes as they are, else as JSON)."""
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    record = Record(protocol=protocol, protocol_path="link", tags=tags)
    message = records_write(signer, raw, record, at(ms))
    return to_event(ALICE.did, message, raw, START + 5), message


def statement(data: object, tags=None, **more):
    """The only statement of such a record, or None."""
    found = links_of(said(data, tags, **more)[0].value)
    assert len(found) < 2
    return found[0] if found else None


def test_event_of_a_message():
    """The event's key is the tenant, its time the author's, its id that of tenant and message."""
    event, message = said({"address": ADDRESS}, signer=BOB)
    value = event.value
    assert (event.key, event.ts, event.ingest_ts) == (ALICE.did, START, START + 5)
    assert event.id == digest_id("web5.record", ALICE.did, value.message_cid)
    assert (event.op, event.type) == ("assert", "web5.record.v1")
    assert (value.author, value.record_id) == (BOB.did, message["recordId"])
    assert json.loads(value.message) == message


def test_one_message_in_two_dwns_is_two_events():
    """The same message in the DWNs of two tenants gives two ids: an id has one key."""
    message = said({"address": ADDRESS})[1]
    data = json.dumps({"address": ADDRESS}).encode()
    ids = {to_event(tenant, message, data, 0).id for tenant in (ALICE.did, BOB.did)}
    assert len(ids) == 2


def test_a_statement_in_data():
    """Data with address and network is a claim of the record's author, not of the tenant."""
    found = statement({"address": ADDRESS, "network": "mainnet"}, signer=BOB)
    assert (found.did, found.address, found.network) == (BOB.did, ADDRESS, "mainnet")
    assert (found.strength, found.proof_kind, found.revoked) == ("claimed", "did_statement", False)


def test_a_statement_in_tags():
    """Tags speak where data is none of ours, as with encrypted data."""
    found = statement(b"\x00\xff", {"address": ADDRESS, "network": "mainnet"})
    assert (found.address, found.network) == (ADDRESS, "mainnet")


def test_data_and_tags_that_differ_say_nothing():
    """A record that says two things says none."""
    assert statement({"address": ADDRESS}, {"address": ADDRESS[:-1] + "p"}) is None


def test_expiry():
    """A statement may end by its own words; an end that is no time makes it say nothing."""
    assert statement({"address": ADDRESS, "expires": at(9)}).valid_to == START + 9
    assert statement({"address": ADDRESS, "expires": "soon"}) is None


NOT_SAID = [
    {},
    [],
    5,
    {"address": 5},
    {"address": ""},
    {"address": "short"},
    {"address": "x" * 129},
    {"address": "bc1q with space"},
    {"address": "bc1qé0srrr7xfkvy5l643"},
    {"address": ADDRESS + "\n"},
    {"address": ADDRESS, "network": "Main Net"},
    {"address": ADDRESS, "network": 1},
    {"address": [ADDRESS]},
]


@pytest.mark.parametrize("data", NOT_SAID)
def test_what_is_no_statement(data):
    """Data without a short plain address says nothing."""
    assert statement(data) is None


def test_other_protocols_say_nothing():
    """The same data in another protocol is no statement, unless that one is configured."""
    event = said({"address": ADDRESS}, protocol="https://other.test")[0]
    assert links_of(event.value) == []
    assert len(links_of(event.value, "https://other.test")) == 1


@given(st.binary(max_size=200))
def test_any_data_is_taken(data):
    """Whatever bytes a record holds, reading it raises nothing."""
    assert statement(data) is None or True


def test_update_and_delete_replace():
    """
    The author's later write and delete take the place of what was said before.

        t:  0          1           2
            claims A   claims B    deletes
    """
    first, message = said({"address": ADDRESS})
    other = ADDRESS[:-1] + "p"
    raw = json.dumps({"address": other}).encode()
    update = records_update(ALICE, message, raw, Record(), at(1))
    delete = records_delete(ALICE, message["recordId"], at(2))
    initial = verify(message, None, ALICE.did)
    one, two, three = (
        links_of(event.value)[0]
        for event in (
            first,
            to_event(ALICE.did, update, raw, 0, initial=initial),
            to_event(ALICE.did, delete, None, 0, initial=initial),
        )
    )
    assert (one.address, two.address, three.address) == (ADDRESS, other, None)
    assert three.revoked
    assert [replaces(two, one), replaces(three, two), replaces(three, one)] == [True] * 3
    assert [replaces(one, two), replaces(two, three), replaces(one, one)] == [False] * 3


def test_only_author_and_tenant_withdraw():
    """Bob's delete does not withdraw what Alice said; the tenant's delete withdraws Bob's word."""

    def delete(signer, message):
        initial = verify(message, None, ALICE.did)
        gone = records_delete(signer, message["recordId"], at(1))
        return links_of(to_event(ALICE.did, gone, None, 0, initial=initial).value)[0]

    of_alice, message_of_alice = said({"address": ADDRESS})
    of_bob, message_of_bob = said({"address": ADDRESS}, signer=BOB)
    claim_of_alice, claim_of_bob = links_of(of_alice.value)[0], links_of(of_bob.value)[0]
    assert not replaces(delete(BOB, message_of_alice), claim_of_alice)
    assert replaces(delete(ALICE, message_of_bob), claim_of_bob)


def test_a_delete_without_its_initial_write_is_of_no_protocol():
    """A delete whose record is unknown withdraws nothing by itself."""
    delete = records_delete(ALICE, said({})[1]["recordId"], at(1))
    assert links_of(to_event(ALICE.did, delete, None, 0).value) == []


def test_verify_record():
    """A stored record verifies again; changed in any field that its message proves, it does not."""
    value = said({"address": ADDRESS}, {"network": "mainnet"})[0].value
    assert verify_record(value).message_cid == value.message_cid
    changes = {
        "author": BOB.did,
        "record_id": value.message_cid,
        "message_ts": value.message_ts + 1,
        "message_cid": value.record_id,
        "tags": '{"network":"testnet"}',
        "protocol": "https://other.test",
        "data": b'{"address":"x"}',
        "data_cid": value.message_cid,
        "message": "[]",
        "tenant": "nobody",
    }
    for name, changed in changes.items():
        with pytest.raises(DwnInvalid):
            verify_record(msgspec.structs.replace(value, **{name: changed}))
