"""Keys, DIDs and signers: what resolves, what is refused, and a second opinion."""

from __future__ import annotations

import json

import coincurve
import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from schemas.dwn.did import did_jwk, key_of, resolve
from schemas.dwn.encoding import (
    b64decode,
    b64encode,
)
from schemas.dwn.errors import DwnInvalid
from schemas.dwn.jws import verify_bytes
from schemas.dwn.message import (
    records_write,
)
from schemas.dwn.signer import Signer
from schemas.dwn.verify import verify

from .notes import (
    ALICE,
    BOB,
    DATA,
    NOTE,
    SECP_ORDER,
    T0,
    WRITE,
    refusal,
    resigned,
)


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
