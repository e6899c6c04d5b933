"""Building messages and checking them: what holds is accepted, what does not is named."""

from __future__ import annotations

import base64
import copy
import json

import coincurve
import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.dwn.cid import check_cid, cid_of, data_cid
from schemas.dwn.did import did_jwk, key_of, resolve
from schemas.dwn.encoding import (
    MAX_DEPTH,
    MAX_MESSAGE_BYTES,
    b64decode,
    b64encode,
    compact,
    parse_json,
    plain,
    timestamp,
    timestamp_us,
)
from schemas.dwn.errors import DwnInvalid
from schemas.dwn.jws import sign_jws, verify_bytes
from schemas.dwn.message import (
    Record,
    message_cid,
    protocols_configure,
    records_delete,
    records_update,
    records_write,
)
from schemas.dwn.signer import Signer
from schemas.dwn.verify import verify

ALICE = Signer.generate_ed25519(b"a" * 32)
BOB = Signer.generate_secp256k1(b"b" * 32)
NOTES = "https://example.test/notes"
NOTE = Record(protocol=NOTES, protocol_path="note", schema="https://example.test/note")
DATA = b'{"text":"hello"}'
T0, T1, T2 = (timestamp(1_700_000_000_000_000 + n) for n in range(3))
WRITE = records_write(ALICE, DATA, NOTE, T0)
SECP_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def refusal(message, data=DATA, tenant=ALICE.did, **more) -> str:
    """The cause for which a message is refused."""
    with pytest.raises(DwnInvalid) as caught:
        verify(message, data, tenant, **more)
    return caught.value.cause


def resigned(message, signer=ALICE, **claims):
    """The message with its signature made anew over its descriptor and ids."""
    ids = {name: message[name] for name in ("recordId", "contextId") if name in message}
    payload = {"descriptorCid": cid_of(message["descriptor"]), **ids, **claims}
    signature = sign_jws(compact(payload).encode(), signer)
    return {**message, "authorization": {"signature": signature}}


def changed(message, **descriptor):
    """The message with members of its descriptor changed (None: taken out) and signed again."""
    after = {**message["descriptor"], **descriptor}
    after = {k: v for k, v in after.items() if v is not None}
    return resigned({**message, "descriptor": after})


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


TAMPERED = {
    "data changed": ("data_cid", WRITE, DATA[:-1] + b"]"),
    "data cut": ("data_size", WRITE, DATA[:-1]),
    "descriptor changed": (
        "descriptor_cid",
        {**WRITE, "descriptor": {**WRITE["descriptor"], "dataFormat": "text/plain"}},
        DATA,
    ),
    "record id of another": (
        "record_id",
        resigned({**WRITE, "recordId": data_cid(b""), "contextId": data_cid(b"")}),
        DATA,
    ),
    "record id changed": ("context_id", {**WRITE, "recordId": data_cid(b"")}, DATA),
    "context of another": (
        "context_id",
        resigned({**WRITE, "contextId": f"{data_cid(b'')}/{WRITE['recordId']}"}),
        DATA,
    ),
    "context gone": ("context_id", {k: v for k, v in WRITE.items() if k != "contextId"}, DATA),
    "unsigned": ("signature", {**WRITE, "authorization": None}, DATA),
    "signed by another": ("record_id", resigned(WRITE, BOB), DATA),
    "member added": ("shape", {**WRITE, "extra": 1}, DATA),
    "null tag": ("shape", changed(WRITE, tags={"a": [None]}), DATA),
    "size as float": ("shape", changed(WRITE, dataSize=1.5), DATA),
    "size as bool": ("shape", changed(WRITE, dataSize=True), DATA),
    "short fraction": ("timestamp", changed(WRITE, messageTimestamp="2023-11-14T22:13:20Z"), DATA),
    "no such day": (
        "timestamp",
        changed(WRITE, dateCreated="2023-02-31T00:00:00.000000Z", messageTimestamp=T0),
        DATA,
    ),
    "created later": ("timestamp", changed(WRITE, dateCreated=T2), DATA),
    "delegated": (
        "unsupported",
        {**WRITE, "authorization": {**WRITE["authorization"], "authorDelegatedGrant": WRITE}},
        DATA,
    ),
    "deep": ("too_deep", {**WRITE, "descriptor": json.loads('{"a":' * 40 + "1" + "}" * 40)}, DATA),
    "wide": ("too_large", {**WRITE, "descriptor": {"a": [0] * 30_000}}, DATA),
    "long": ("too_large", {**WRITE, "descriptor": {"a": "x" * (MAX_MESSAGE_BYTES + 1)}}, DATA),
    "lone surrogate": ("shape", {**WRITE, "descriptor": {"a": "\ud800"}}, DATA),
    "not a number": ("shape", {**WRITE, "descriptor": {"a": float("nan")}}, DATA),
    "not a message": ("shape", [], DATA),
    "huge number": ("shape", {**WRITE, "descriptor": {"a": 10**400}}, DATA),
}


@pytest.mark.parametrize("case", TAMPERED)
def test_tampering_is_refused_by_its_cause(case):
    """Each kind of tampering is refused, and the cause names it."""
    cause, message, data = TAMPERED[case]
    found = refusal(message, data)
    assert found == cause or (case == "unsigned" and found == "shape")


@pytest.mark.parametrize("position", range(0, 86, 5))
def test_no_bit_of_a_signature_may_change(position):
    """A signature with one character changed is refused."""
    bad = copy.deepcopy(WRITE)
    one = bad["authorization"]["signature"]["signatures"][0]
    text = one["signature"]
    swapped = "B" if text[position] == "A" else "A"
    one["signature"] = text[:position] + swapped + text[position + 1 :]
    assert refusal(bad) in {"signature", "shape"}


def test_key_and_algorithm_must_agree():
    """A header that names another algorithm than the key's is refused."""

    class Liar:
        kid, alg, sign = ALICE.kid, "ES256K", staticmethod(ALICE.sign)

    assert refusal(resigned(WRITE, Liar())) == "signature"


def test_key_id_must_be_that_of_the_did():
    """A key id whose fragment the DID document lacks is refused."""
    with pytest.raises(DwnInvalid) as caught:
        key_of(ALICE.did + "#1")
    assert caught.value.cause == "did"


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=99))
def test_es256k_agrees_with_libsecp256k1(seed, message):
    """Key and signature of a seed are those that libsecp256k1 gives (both follow RFC 6979)."""
    if not 0 < int.from_bytes(seed) < SECP_ORDER:
        return
    ours, theirs = Signer.generate_secp256k1(seed), coincurve.PrivateKey(seed)
    r, s = decode_dss_signature(theirs.sign(message))
    found = ours.sign(message)
    assert ours.public_key.raw == theirs.public_key.format()
    assert int.from_bytes(found[:32]) == r
    assert int.from_bytes(found[32:]) in (s, SECP_ORDER - s)
    assert verify_bytes(ours.public_key, message, found)


def test_high_s_verifies_too():
    """ES256K takes both forms of s, as JOSE does."""
    message = records_write(BOB, DATA, NOTE, T0)
    one = message["authorization"]["signature"]["signatures"][0]
    raw = b64decode(one["signature"])
    high = SECP_ORDER - int.from_bytes(raw[32:])
    one["signature"] = b64encode(raw[:32] + high.to_bytes(32))
    assert verify(message, DATA, ALICE.did).author == BOB.did


DIDS = {
    "not text": 5,
    "empty": "",
    "no method": "did:",
    "other method": "did:web:example.test",
    "bad base58": "did:key:z0OIl",
    "long key": "did:key:z" + "6" * 2000,
    "not json": "did:jwk:" + b64encode(b"no"),
    "private": "did:jwk:" + b64encode(b'{"kty":"OKP","crv":"Ed25519","x":"AA","d":"AA"}'),
    "short": "did:jwk:" + b64encode(b'{"kty":"OKP","crv":"Ed25519","x":"AA"}'),
    "no point": "did:jwk:" + b64encode(b'{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}'),
    "for encryption": "did:jwk:" + b64encode(b'{"kty":"OKP","crv":"X25519","use":"enc","x":"AA"}'),
    "deep": "did:jwk:" + b64encode(b"[" * 1400),
}


@pytest.mark.parametrize("name", DIDS)
def test_bad_dids_are_refused(name):
    """What is no DID with a key of ours is refused with a cause, never another exception."""
    with pytest.raises(DwnInvalid):
        resolve(DIDS[name])


def test_signer_reads_a_jwk_and_a_portable_did():
    """A private JWK and a portable DID give the same key; a wrong pair is refused."""
    jwk = {"kty": "OKP", "crv": "Ed25519", "d": b64encode(b"a" * 32)}
    portable = {"uri": ALICE.did, "privateKeys": [jwk]}
    assert Signer.parse(json.dumps(jwk)).did == ALICE.did
    assert Signer.parse(json.dumps(portable)).kid == ALICE.kid
    with pytest.raises(DwnInvalid):
        Signer.parse(json.dumps({**portable, "uri": BOB.did}))


def test_signer_shows_no_secret():
    """The text form of a signer holds its DID and nothing of its key."""
    assert repr(ALICE) == f"Signer({ALICE.did!r})"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"privateKeys":[]}', '{"d":"AA"}', "5", "nul"])
def test_signer_refuses_what_is_no_key(text):
    """Text that holds no private key is refused with a cause."""
    with pytest.raises(DwnInvalid):
        Signer.parse(text)


def test_did_jwk_of_secp256k1():
    """A secp256k1 key can have a did:jwk too, and signs under it."""
    carol = Signer.generate_secp256k1(b"c" * 32, method="jwk")
    assert did_jwk(resolve(carol.did)) == carol.did
    assert verify(records_write(carol, DATA, NOTE, T0), DATA, ALICE.did).author == carol.did


@given(st.integers(0, 253_402_300_799_999_999))
def test_timestamps_round_trip(us):
    """A timestamp text reads back as the microseconds it was written from."""
    assert timestamp_us(timestamp(us)) == us


def test_leap_second():
    """A leap second counts as the next second."""
    assert timestamp_us("2016-12-31T23:59:60.000001Z") == timestamp_us(
        "2017-01-01T00:00:00.000001Z"
    )


@given(st.binary(max_size=64))
def test_base64url_has_one_text(data):
    """Decoding inverts encoding, and no other text of the standard decoder is taken."""
    text = b64encode(data)
    assert b64decode(text) == data
    if text and len(data) % 3:
        last = text[:-1] + chr(ord(text[-1]) + 1)
        same = base64.urlsafe_b64decode(last + "=" * (-len(last) % 4)) == data
        if same:
            with pytest.raises(DwnInvalid):
                b64decode(last)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_plain_is_stable(value):
    """What ``plain`` returns it returns again, and JSON text of it reads back with the same CID."""
    try:
        once = plain(value)
    except DwnInvalid:
        return
    assert plain(once) == once
    assert cid_of(parse_json(compact(once))) == cid_of(once)


def test_numbers_are_javascripts():
    """1.0 hashes as 1, and an integer that no double holds exactly hashes as a double."""
    assert cid_of({"n": 1.0}) == cid_of({"n": 1})
    assert cid_of({"n": 2**60}) == cid_of({"n": float(2**60)})


def test_depth_is_bounded():
    """Nesting to the limit is taken, one more is refused; deep text cannot crash the parser."""
    inner: object = 1
    for _ in range(MAX_DEPTH):
        inner = [inner]
    assert plain(inner) == inner
    with pytest.raises(DwnInvalid):
        plain([inner])
    with pytest.raises(DwnInvalid):
        parse_json("[" * 100_000)


NO_CIDS = [None, "", "bafy", "Qm" * 23, "b" * 300, "zb2rh", WRITE["recordId"][:-1]]


@pytest.mark.parametrize("text", NO_CIDS)
def test_check_cid(text):
    """What is no base32 CIDv1 is refused."""
    with pytest.raises(DwnInvalid):
        check_cid(text)


def _paths(value, path=()):
    yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _paths(inner, (*path, key))


TAGGED = {**WRITE, "descriptor": {**WRITE["descriptor"], "tags": {"a": [1]}}}
PATHS = [path for path in _paths(TAGGED) if path]


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(PATHS), JSON, st.booleans())
def test_nothing_but_a_typed_refusal(path, junk, remove):
    """Whatever stands at whatever place of a message, the check accepts it or raises DwnInvalid."""
    bad = copy.deepcopy(TAGGED)
    holder = bad
    for step in path[:-1]:
        holder = holder[step]
    if remove:
        del holder[path[-1]]
    else:
        holder[path[-1]] = junk
    again = resigned(bad) if isinstance(bad.get("descriptor"), dict) and _hashable(bad) else bad
    for message in (bad, again):
        try:
            verify(message, DATA, ALICE.did)
        except DwnInvalid as refused:
            assert refused.cause


def _hashable(message) -> bool:
    try:
        cid_of(message["descriptor"])
        compact({name: message.get(name) for name in ("recordId", "contextId")})
    except (DwnInvalid, UnicodeError, ValueError, TypeError):
        return False
    return True
