"""Building messages and checking them: what holds is accepted with what it says."""

from __future__ import annotations

import copy

from schemas.dwn.cid import cid_of, data_cid
from schemas.dwn.encoding import (
    b64encode,
    compact,
)
from schemas.dwn.jws import sign_jws
from schemas.dwn.message import (
    Record,
    message_cid,
    protocols_configure,
    records_delete,
    records_update,
    records_write,
)
from schemas.dwn.verify import verify

from .notes import (
    ALICE,
    BOB,
    DATA,
    NOTE,
    NOTES,
    T0,
    T1,
    WRITE,
    changed,
    refusal,
    resigned,
)


def test_a_write_is_accepted_with_what_it_says():
    """A built write verifies, and its fields are those that were given."""
    found = verify(WRITE, DATA, ALICE.did)
    assert (found.author, found.is_initial, found.record_id) == (
        ALICE.did,
        True,
        WRITE["recordId"],
    )
    assert (found.protocol, found.protocol_path) == (NOTES, "note")
    assert (found.message_ts, found.data_cid) == (1_700_000_000_000, data_cid(DATA))


def test_another_author_may_write_in_a_protocol():
    """A record of Bob (secp256k1) in a protocol of Alice's DWN is Bob's."""
    assert verify(records_write(BOB, DATA, NOTE, T0), DATA, ALICE.did).author == BOB.did


def test_another_author_may_not_write_outside_protocols():
    """A record of Bob outside any protocol cannot be in Alice's DWN."""
    assert refusal(records_write(BOB, DATA, Record(), T0)) == "not_authorised"


def test_encoded_data_is_no_part_of_the_message_cid():
    """The same message with inline data has the same message CID."""
    inline = {**WRITE, "encodedData": b64encode(DATA)}
    assert message_cid(inline) == message_cid(WRITE)
    assert verify(inline, DATA, ALICE.did) == verify(WRITE, DATA, ALICE.did)


def test_a_child_record_names_its_parent():
    """A record below another one has its parent's context and id."""
    note = Record(protocol=NOTES, protocol_path="note/reply", parent_context=WRITE["contextId"])
    reply = records_write(BOB, DATA, note, T1)
    assert verify(reply, DATA, ALICE.did).record_id == reply["recordId"]
    assert reply["contextId"] == f"{WRITE['recordId']}/{reply['recordId']}"


def test_an_update_keeps_the_record():
    """A later write keeps record id and context, and holds against its initial write."""
    after = records_update(ALICE, WRITE, b"{}", Record(tags={"n": 1}), T1)
    found = verify(after, b"{}", ALICE.did, initial=verify(WRITE, DATA, ALICE.did))
    assert (found.is_initial, found.record_id, found.tags) == (False, WRITE["recordId"], {"n": 1})


def test_an_update_may_not_change_what_is_fixed():
    """A later write with another schema than the initial write is refused."""
    after = changed(records_update(ALICE, WRITE, DATA, Record(), T1), schema="https://other.test")
    cause = refusal(after, initial=verify(WRITE, DATA, ALICE.did))
    assert cause == "initial_write"


def test_an_update_is_not_its_own_initial_write():
    """A later write cannot stand in for the initial write."""
    after = verify(records_update(ALICE, WRITE, DATA, Record(), T1), DATA, ALICE.did)
    assert refusal(after.message, initial=after) == "initial_write"


def test_publication_date_is_kept():
    """An update of a published record keeps the date of its publication."""
    public = records_write(ALICE, DATA, Record(published=True), T0)
    after = records_update(ALICE, public, DATA, Record(published=True), T1)
    assert after["descriptor"]["datePublished"] == T0


def test_a_delete_learns_its_protocol_from_the_initial_write():
    """A delete names a record only; the initial write says of which protocol it is."""
    delete = records_delete(ALICE, WRITE["recordId"], T1)
    alone = verify(delete, None, ALICE.did)
    known = verify(delete, None, ALICE.did, initial=verify(WRITE, None, ALICE.did))
    assert (alone.protocol, known.protocol) == (None, NOTES)
    assert alone.record_id == WRITE["recordId"]


def test_only_the_tenant_installs_a_protocol():
    """A protocol configured by another DID than the tenant is refused."""
    definition = {"protocol": NOTES, "published": True, "types": {}, "structure": {}}
    mine = protocols_configure(ALICE, definition, T0)
    assert verify(mine, None, ALICE.did).protocol == NOTES
    assert refusal(mine, None, BOB.did) == "not_authorised"


def test_the_owner_may_countersign():
    """Alice may keep Bob's record outside protocols when she signs it too; Bob cannot for her."""
    flat = records_write(BOB, DATA, Record(), T0)
    payload = compact({"descriptorCid": cid_of(flat["descriptor"])}).encode()
    kept = copy.deepcopy(flat)
    kept["authorization"]["ownerSignature"] = sign_jws(payload, ALICE)
    assert verify(kept, DATA, ALICE.did).owner == ALICE.did
    kept["authorization"]["ownerSignature"] = sign_jws(payload, BOB)
    assert refusal(kept) == "not_authorised"


def test_attestation_must_be_of_this_descriptor():
    """An attestation counts when it is signed over this descriptor and named in the payload."""
    good = sign_jws(compact({"descriptorCid": cid_of(WRITE["descriptor"])}).encode(), BOB)
    bad = sign_jws(compact({"descriptorCid": cid_of({})}).encode(), BOB)
    attested = resigned({**WRITE, "attestation": good}, attestationCid=cid_of(good))
    assert verify(attested, DATA, ALICE.did).author == ALICE.did
    assert refusal({**WRITE, "attestation": good}) == "attestation"
    wrong = resigned({**WRITE, "attestation": bad}, attestationCid=cid_of(bad))
    assert refusal(wrong) == "attestation"
