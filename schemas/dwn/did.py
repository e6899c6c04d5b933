"""DIDs that need no network: did:jwk and did:key, resolved to the one public key they contain.

Sources: the did:jwk method, the did:key method (W3C CCG), RFC 7517, RFC 8037, RFC 8812.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import libipld
from cryptography.hazmat.primitives.asymmetric.ec import SECP256K1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from schemas.dwn.encoding import b64decode, b64encode, compact, parse_json
from schemas.dwn.errors import DwnInvalid

Curve = Literal["Ed25519", "secp256k1"]
MAX_DID = 2048
"""Longest DID or key id taken, in characters."""
_MAX_DID_KEY = 128
_DID = re.compile(r"did:[a-z0-9]+:(?:[A-Za-z0-9._:-]|%[0-9A-Fa-f]{2})+", re.ASCII)
_MULTICODEC: dict[bytes, Curve] = {b"\xed\x01": "Ed25519", b"\xe7\x01": "secp256k1"}
_KEY_BYTES = {"Ed25519": 32, "secp256k1": 33}


class PublicKey(NamedTuple):
    """A public key: 32 bytes (Ed25519) or 33 (secp256k1, compressed)."""

    curve: Curve
    raw: bytes


def check_did(text: object) -> str:
    """Return ``text`` when it is a DID without path, query or fragment."""
    if not isinstance(text, str) or len(text) > MAX_DID or not _DID.fullmatch(text):
        raise DwnInvalid("did", "not a DID")
    return text


def key_of(kid: object) -> tuple[str, PublicKey]:
    """Resolve a key id (``<did>#<fragment>``) to its DID and public key.

    Raises DwnInvalid: ``did`` for what is no such key id, ``unsupported`` for other DID methods and
    curves (those need a resolver with a network; pass one to ``verify``).
    """
    if not isinstance(kid, str) or len(kid) > 2 * MAX_DID:
        raise DwnInvalid("did", "a key id is a DID URL of limited length")
    did, _, fragment = kid.partition("#")
    key = resolve(did)
    if kid != key_id(did):
        raise DwnInvalid("did", f"{did[:80]} has no verification method #{fragment[:80]}")
    return did, key


@lru_cache(maxsize=4096)
def resolve(did: str) -> PublicKey:
    """The public key inside a did:jwk or did:key."""
    check_did(did)
    if did.startswith("did:jwk:"):
        return jwk_key(parse_json(b64decode(did[8:])))
    if did.startswith("did:key:"):
        return _multikey(did[8:])
    method = did.split(":", 2)[1]
    raise DwnInvalid("unsupported", f"did:{method} is not resolved here; did:jwk and did:key are")


def key_id(did: str) -> str:
    """The id of the one key of a did:jwk or did:key."""
    return did + ("#0" if did.startswith("did:jwk:") else "#" + did[8:])


def jwk_key(jwk: Any) -> PublicKey:
    """The key of a public JWK (RFC 7517, RFC 8037, RFC 8812); a private one is refused."""
    if not isinstance(jwk, dict) or "d" in jwk:
        raise DwnInvalid("did", "not a public JWK")
    if jwk.get("use", "sig") != "sig":
        raise DwnInvalid("did", "the key is not for signatures")
    match jwk.get("kty"), jwk.get("crv"):
        case "OKP", "Ed25519":
            return _checked("Ed25519", b64decode(jwk.get("x")))
        case "EC", "secp256k1":
            x, y = b64decode(jwk.get("x")), b64decode(jwk.get("y"))
            return _checked("secp256k1", b"\x04" + x + y)
    raise DwnInvalid("unsupported", "the key is neither Ed25519 nor secp256k1")


def _multikey(text: str) -> PublicKey:
    if len(text) > _MAX_DID_KEY or not text.startswith("z"):
        raise DwnInvalid("did", "a did:key is base58btc of one key")
    try:
        data = bytes(libipld.decode_multibase(text)[1])
    except ValueError as error:
        raise DwnInvalid("did", f"not base58btc: {error}") from None
    curve = _MULTICODEC.get(data[:2])
    if curve is None:
        raise DwnInvalid("unsupported", "the key is neither Ed25519 nor secp256k1")
    if len(data) != 2 + _KEY_BYTES[curve]:
        raise DwnInvalid("did", f"a key of {len(data) - 2} bytes on {curve}")
    return _checked(curve, data[2:])


def _checked(curve: Curve, raw: bytes) -> PublicKey:
    if curve == "Ed25519":
        if len(raw) != _KEY_BYTES[curve]:
            raise DwnInvalid("did", f"a key of {len(raw)} bytes on {curve}")
        return PublicKey(curve, raw)
    point = curve_point(raw)
    return PublicKey(curve, point.public_bytes(Encoding.X962, PublicFormat.CompressedPoint))


def curve_point(raw: bytes) -> EllipticCurvePublicKey:
    """The point of secp256k1 with this SEC1 encoding."""
    try:
        return EllipticCurvePublicKey.from_encoded_point(SECP256K1(), raw)
    except ValueError:
        raise DwnInvalid("did", "not a point of secp256k1") from None


def did_jwk(key: PublicKey) -> str:
    """The did:jwk of a public key."""
    return "did:jwk:" + b64encode(compact(public_jwk(key)).encode())


def did_key(key: PublicKey) -> str:
    """The did:key of a public key."""
    prefix = next(code for code, curve in _MULTICODEC.items() if curve == key.curve)
    return "did:key:" + libipld.encode_multibase("z", prefix + key.raw)


def public_jwk(key: PublicKey) -> dict[str, str]:
    """The key as a JWK, with its JWS algorithm."""
    if key.curve == "Ed25519":
        return {"kty": "OKP", "crv": "Ed25519", "x": b64encode(key.raw), "alg": "EdDSA"}
    point = curve_point(key.raw).public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    x, y = b64encode(point[1:33]), b64encode(point[33:])
    return {"kty": "EC", "crv": "secp256k1", "x": x, "y": y, "alg": "ES256K"}
