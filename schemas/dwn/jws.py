"""General JWS (RFC 7515, section 7.2.1) with EdDSA (RFC 8037) and ES256K (RFC 8812)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from schemas.dwn.did import PublicKey, curve_point
from schemas.dwn.encoding import b64decode, b64encode, compact, parse_json
from schemas.dwn.errors import DwnInvalid

ALGORITHMS = {"Ed25519": "EdDSA", "secp256k1": "ES256K"}
"""The one JWS algorithm of each curve."""
MAX_SIGNATURES = 8
_SIGNATURE_BYTES = 64

KeyResolver = Callable[[object], tuple[str, PublicKey]]
"""From a key id to the DID that owns it and its public key; raises DwnInvalid."""


class CanSign(Protocol):
    """Whoever can sign: a key id, its algorithm, and the act."""

    @property
    def kid(self) -> str: ...
    @property
    def alg(self) -> str: ...
    def sign(self, message: bytes) -> bytes: ...


class Signed(NamedTuple):
    """What a verified JWS says, and the DIDs that say it (in the order of their signatures)."""

    payload: bytes
    signers: tuple[str, ...]


def sign_jws(payload: bytes, *signers: CanSign) -> dict[str, Any]:
    """A general JWS over ``payload`` with one signature by each signer."""
    body = b64encode(payload)
    signatures = []
    for signer in signers:
        protected = b64encode(compact({"kid": signer.kid, "alg": signer.alg}).encode())
        signature = b64encode(signer.sign(f"{protected}.{body}".encode()))
        signatures.append({"protected": protected, "signature": signature})
    return {"payload": body, "signatures": signatures}


def verify_jws(jws: Any, resolve: KeyResolver) -> Signed:
    """Check every signature of a general JWS; raises DwnInvalid at the first that does not hold."""
    if not isinstance(jws, dict) or jws.keys() != {"payload", "signatures"}:
        raise DwnInvalid("shape", "a general JWS has the members payload and signatures")
    payload, signatures = b64decode(jws["payload"]), jws["signatures"]
    if not isinstance(signatures, list) or not 1 <= len(signatures) <= MAX_SIGNATURES:
        raise DwnInvalid("shape", f"a JWS needs 1 to {MAX_SIGNATURES} signatures")
    signers = tuple(_signer(jws["payload"], one, resolve) for one in signatures)
    return Signed(payload, signers)


def _signer(body: str, one: Any, resolve: KeyResolver) -> str:
    if not isinstance(one, dict) or one.keys() != {"protected", "signature"}:
        raise DwnInvalid("shape", "a signature has the members protected and signature")
    header = parse_json(b64decode(one["protected"]))
    if not isinstance(header, dict) or not {"kid", "alg"} <= header.keys():
        raise DwnInvalid("shape", "a protected header needs kid and alg")
    if "crit" in header:
        raise DwnInvalid("unsupported", "critical header members are not understood here")
    did, key = resolve(header["kid"])
    if header["alg"] != ALGORITHMS[key.curve]:
        raise DwnInvalid("signature", f"a {key.curve} key signs with {ALGORITHMS[key.curve]}")
    if not verify_bytes(key, f"{one['protected']}.{body}".encode(), b64decode(one["signature"])):
        raise DwnInvalid("signature", f"the signature is not one of {did[:80]}")
    return did


def verify_bytes(key: PublicKey, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` (64 bytes) by ``key`` covers ``message``."""
    if len(signature) != _SIGNATURE_BYTES:
        return False
    if key.curve == "Ed25519":
        return _verify_ed25519(key.raw, message, signature)
    return _verify_es256k(key.raw, message, signature)


def _verify_ed25519(raw: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(raw).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _verify_es256k(raw: bytes, message: bytes, signature: bytes) -> bool:
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    try:
        curve_point(raw).verify(encode_dss_signature(r, s), message, ECDSA(SHA256()))
    except (InvalidSignature, DwnInvalid):
        return False
    return True
