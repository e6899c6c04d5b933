"""The CIDs, DIDs and signatures of others: every published vector gives the published result."""

from __future__ import annotations

import libipld
import pytest

from schemas.dwn.cid import cid_of, data_cid
from schemas.dwn.did import PublicKey, did_key, jwk_key, key_of, public_jwk, resolve
from schemas.dwn.encoding import b64decode
from schemas.dwn.errors import DwnInvalid
from schemas.dwn.jws import sign_jws, verify_bytes, verify_jws
from schemas.dwn.message import descriptor_cid, message_cid, record_id
from schemas.dwn.signer import Signer
from schemas.dwn.verify import verify

from .data import load, objects

ENBOX_FILES = [
    "dwn/messages/basic-interface-messages.json",
    "dwn/messages/process-replies.json",
    "dwn/messages/sync-descriptors.json",
    "dwn/protocols/configure-definitions.json",
    "dwn/protocols/permissions-protocol-records.json",
]
WIRE = "dwn-wire-samples/wire.json"


def test_enbox_descriptor_and_message_cids():
    """All 58 messages of the Enbox fixtures have the descriptor CID and message CID given there."""
    cases = [
        case
        for name in ENBOX_FILES
        for case in objects(load(f"enbox-fixtures/{name}"))
        if {"descriptorCid", "messageCid", "message"} <= case.keys()
    ]
    ours = [(descriptor_cid(c["message"]), message_cid(c["message"])) for c in cases]
    assert len(cases) == 58
    assert ours == [(c["descriptorCid"], c["messageCid"]) for c in cases]


def test_enbox_record_ids():
    """The record id of each signed permission record is the CID of its descriptor and author."""
    cases = load("enbox-fixtures/dwn/protocols/permissions-protocol-records.json")["cases"]
    ours = [record_id(c["message"]["descriptor"], "did:example:alice") for c in cases]
    assert ours == [c["message"]["recordId"] for c in cases]


def test_enbox_json_cids():
    """Plain JSON values, with floats, big integers and nesting, have the CIDs given."""
    cases = load("enbox-fixtures/crypto/cid-json-values.json")["cases"]
    assert [cid_of(c["value"]) for c in cases] == [c["cid"] for c in cases]
    assert len(cases) == 4


@pytest.mark.parametrize("encoding", ["base64url", "utf8", "hex", "repeatByte"])
def test_enbox_data_cids(encoding):
    """Record data has the UnixFS CID given: empty, small, and more than one chunk."""
    cases = load("enbox-fixtures/crypto/cid-dag-pb-values.json")["cases"]
    case = next(c for c in cases if c["data"]["encoding"] == encoding)
    decode = {
        "base64url": lambda d: b64decode(d["value"]),
        "utf8": lambda d: d["value"].encode(),
        "hex": lambda d: bytes.fromhex(d["value"]),
        "repeatByte": lambda d: bytes([d["byte"]]) * d["length"],
    }[encoding]
    assert data_cid(decode(case["data"])) == case["cid"]


def test_data_cid_of_a_tree_with_two_levels():
    """One byte more than 174 chunks needs a second level; dwn-sdk-js gives this CID for it."""
    expected = "bafybeiam3vrs6si4qb52sq4rpx7pcidmypks2t3r2bh5wy47g3culywsxu"
    assert data_cid(b"a" * (174 * 262_144 + 1)) == expected


def test_ipld_dag_cbor():
    """All 128 dag-cbor blocks decode, encode to the same bytes and have the CID given."""
    cases = load("ipld-codec-fixtures/dag-cbor.json")
    blocks = [bytes.fromhex(c["cbor_hex"]) for c in cases]
    assert [libipld.encode_dag_cbor(libipld.decode_dag_cbor(b)) for b in blocks] == blocks
    assert len(blocks) == 128


def test_ipld_cids_of_plain_values():
    """Those dag-cbor blocks that hold plain JSON have the CID given, through our own encoder."""
    plain = []
    for case in load("ipld-codec-fixtures/dag-cbor.json"):
        value = libipld.decode_dag_cbor(bytes.fromhex(case["cbor_hex"]))
        try:
            plain.append((case["name"], cid_of(value), case["cid"]))
        except DwnInvalid:
            continue
    # integral floats and integers above 2^53 are not what JavaScript would hash as they stand
    differ = {name for name, ours, theirs in plain if ours != theirs}
    assert all(name.startswith(("float-", "int-")) for name in differ), differ
    assert len(plain) > 60


@pytest.mark.parametrize("curve", ["ed25519", "es256k"])
def test_web5_spec_signatures(curve):
    """Each signature of the web5-spec verify vectors is accepted or refused as it says."""
    vectors = load(f"web5-spec/test-vectors/crypto_{curve}/verify.json")["vectors"]
    ours = [_accepted(vector["input"]) for vector in vectors]
    assert ours == [None if v["errors"] else v["output"] for v in vectors]
    assert len(ours) >= 7


def _accepted(given) -> bool | None:
    try:
        key = jwk_key(given["key"])
    except DwnInvalid:
        return None
    return verify_bytes(key, bytes.fromhex(given["data"]), bytes.fromhex(given["signature"]))


def test_web5_spec_ed25519_sign():
    """An Ed25519 signer gives exactly the signatures of the web5-spec vectors."""
    vectors = load("web5-spec/test-vectors/crypto_ed25519/sign.json")["vectors"]
    good = [v for v in vectors if not v.get("errors")]
    signers = [Signer.generate_ed25519(b64decode(v["input"]["key"]["d"])) for v in good]
    ours = [
        s.sign(bytes.fromhex(v["input"]["data"])).hex() for s, v in zip(signers, good, strict=True)
    ]
    assert ours == [v["output"] for v in good]


def test_web5_spec_did_jwk():
    """Each did:jwk vector resolves to its key; the invalid one is refused."""
    good, bad = 0, 0
    for vector in load("web5-spec/test-vectors/did_jwk/resolve.json")["vectors"]:
        if vector["errors"]:
            with pytest.raises(DwnInvalid):
                resolve(vector["input"])
            bad += 1
            continue
        method = vector["output"]["didDocument"]["verificationMethod"][0]
        assert key_of(method["id"]) == (vector["input"], jwk_key(method["publicKeyJwk"]))
        good += 1
    assert (good, bad) == (2, 1)


@pytest.mark.parametrize("name", ["ed25519-x25519", "secp256k1"])
def test_did_key_vectors(name):
    """Each did:key holds the public key that the method's vectors give for it."""
    for did, case in load(f"did-key/{name}.json").items():
        key = resolve(did)
        given = case["verificationKeyPair"]
        if "publicKeyBase58" in given:
            assert key.raw == bytes(libipld.decode_multibase("z" + given["publicKeyBase58"])[1])
        else:
            assert key == jwk_key(given["publicKeyJwk"])
        assert did_key(key) == did


def test_did_key_from_seed():
    """A seed of the did:key vectors gives the DID that the vectors give for it."""
    cases = load("did-key/ed25519-x25519.json")
    seeds = {did: bytes.fromhex(case["seed"]) for did, case in cases.items() if "seed" in case}
    ours = {d: Signer.generate_ed25519(seed, method="key").did for d, seed in seeds.items()}
    assert ours == {did: did for did in seeds}
    assert len(seeds) == 5


def test_enbox_jws():
    """The Enbox JWS vectors verify or fail as given; P-256 is refused as unsupported."""
    vectors = load("enbox-fixtures/crypto/jws-general.json")
    keys = {k["kid"]: k["publicJwk"] for k in vectors["keys"].values()}

    def known(kid):
        return kid.split("#")[0], jwk_key(keys[kid])

    for case in vectors["cases"]:
        if case["id"].startswith("ecdsa-es256-") or "expectedErrorCode" in case:
            with pytest.raises(DwnInvalid):
                verify_jws(case["jws"], known)
            continue
        signed = verify_jws(case["jws"], known)
        assert list(signed.signers) == case["expectedSigners"]
        assert signed.payload.decode() == case["payload"]["value"]


def test_enbox_jws_bytes():
    """Signing with the Enbox Ed25519 keys gives the very JWS of the vectors."""
    vectors = load("enbox-fixtures/crypto/jws-general.json")
    case = next(c for c in vectors["cases"] if c["id"] == "ed25519-general-multi-signer")
    signers = [_Named(vectors["keys"][name]) for name in case["signerIds"]]
    assert sign_jws(case["payload"]["value"].encode(), *signers) == case["jws"]


def test_rfc8037():
    """The Ed25519 example of RFC 8037 verifies, its tampered copy does not."""
    for case in load("enbox-fixtures/spec/crypto/jws-ed25519-rfc8037.json")["cases"]:
        jws = case["jws"]
        message = f"{jws['protected']}.{jws['payload']}".encode()
        ours = verify_bytes(jwk_key(case["publicJwk"]), message, b64decode(jws["signature"]))
        assert ours == case["expected"]["verify"]


def test_every_signed_message_on_the_wire_verifies():
    """Every signed message of the recorded exchange with a real server verifies."""
    wire = load(WIRE)
    tenant = wire[0]["body"]["params"]["target"]
    messages = [m for m in objects(wire) if {"descriptor", "authorization"} <= m.keys()]
    found = [verify(m, None, tenant) for m in messages]
    assert {v.author for v in found} == {tenant}
    assert sum(v.is_initial for v in found) >= 6
    assert len(found) == 19


def test_inline_data_on_the_wire_verifies():
    """Data that the recorded replies carry inline is the data that was signed."""
    wire = load(WIRE)
    tenant = wire[0]["body"]["params"]["target"]
    inline = [m for m in objects(wire) if {"encodedData", "authorization"} <= m.keys()]
    sizes = [len(b64decode(m["encodedData"])) for m in inline]
    found = [verify(m, b64decode(m["encodedData"]), tenant) for m in inline]
    assert sizes == [v.message["descriptor"]["dataSize"] for v in found]
    assert found


@pytest.mark.parametrize("name", ["ed25519_test", "ecdsa_secp256k1_sha256_p1363_test"])
def test_wycheproof(name):
    """Each valid and each malformed or forged signature of Wycheproof is told from the other."""
    ours, theirs = [], []
    for group in load(f"wycheproof/{name}.json.gz")["testGroups"]:
        key = group["publicKey"]
        if name.startswith("ed"):
            public = PublicKey("Ed25519", bytes.fromhex(key["pk"]))
        else:
            public = PublicKey("secp256k1", bytes.fromhex(key["uncompressed"]))
        for test in group["tests"]:
            message, signature = bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"])
            ours.append(verify_bytes(public, message, signature))
            theirs.append(test["result"] == "valid")
    assert ours == theirs
    assert len(ours) in (151, 252)


def test_public_jwk_is_that_of_the_vectors():
    """A key taken from a vector's JWK gives back its coordinates."""
    for case in load("enbox-fixtures/crypto/jws-general.json")["keys"].values():
        jwk = case["publicJwk"]
        if jwk["crv"] == "P-256":
            continue
        ours = public_jwk(jwk_key(jwk))
        assert {k: ours[k] for k in ("kty", "crv", "x", "alg")} == {
            k: jwk[k] for k in ("kty", "crv", "x", "alg")
        }


class _Named:
    """A vector's key under the key id that the vector gives it."""

    def __init__(self, key):
        self.kid = key["kid"]
        self._signer = Signer.generate_ed25519(b64decode(key["privateJwk"]["d"]))
        self.alg = self._signer.alg

    def sign(self, message):
        return self._signer.sign(message)
