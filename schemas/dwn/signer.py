"""Private keys that sign DWN messages under a did:jwk or did:key."""

from __future__ import annotations

from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256K1,
    EllipticCurvePrivateKey,
    derive_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from schemas.dwn.did import PublicKey, check_did, did_jwk, did_key, key_id, resolve
from schemas.dwn.encoding import b64decode, parse_json
from schemas.dwn.errors import DwnInvalid
from schemas.dwn.jws import ALGORITHMS

Method = Literal["jwk", "key"]
PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey
_SECRET_BYTES = 32


class Signer:
    """A DID with its private key; ``repr`` shows the DID only.

    >>> Signer.generate_ed25519(bytes(32), method="key").did
    'did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp'
    """

    __slots__ = ("_key", "alg", "did", "kid", "public_key")

    def __init__(self, key: PrivateKey, did: str) -> None:
        self._key = key
        self.public_key = _public(key)
        self.alg = ALGORITHMS[self.public_key.curve]
        if resolve(did) != self.public_key:
            raise DwnInvalid("did", "the private key is not that of the DID")
        self.did, self.kid = did, key_id(did)

    @classmethod
    def generate_ed25519(cls, seed: bytes, method: Method = "jwk") -> Signer:
        """The Ed25519 key of a 32-byte seed (RFC 8032: the seed is the private key)."""
        key = Ed25519PrivateKey.from_private_bytes(seed)
        return cls(key, _did(_public(key), method))

    @classmethod
    def generate_secp256k1(cls, seed: bytes, method: Method = "key") -> Signer:
        """The secp256k1 key whose secret is the 32-byte seed; raises ValueError if out of range."""
        key = derive_private_key(int.from_bytes(seed), SECP256K1())
        return cls(key, _did(_public(key), method))

    @classmethod
    def parse(cls, text: str) -> Signer:
        """Read a private key as a configuration holds it.

        Either a private JWK (its DID is a did:jwk), or a portable DID: an object with ``uri`` and
        ``privateKeys``, a list of one private JWK. Raises DwnInvalid; the text is never quoted.
        """
        found = parse_json(text)
        jwk = found
        if isinstance(found, dict) and isinstance(found.get("privateKeys"), list):
            jwk = next(iter(found["privateKeys"]), None)
        key = _private(jwk)
        uri = found.get("uri")
        return cls(key, _did(_public(key), "jwk") if uri is None else check_did(uri))

    def sign(self, message: bytes) -> bytes:
        """A 64-byte signature: EdDSA, or r and s of ECDSA over SHA-256 (RFC 6979)."""
        if isinstance(self._key, Ed25519PrivateKey):
            return self._key.sign(message)
        algorithm = ECDSA(SHA256(), deterministic_signing=True)
        r, s = decode_dss_signature(self._key.sign(message, algorithm))
        return r.to_bytes(32) + s.to_bytes(32)

    def __repr__(self) -> str:
        return f"Signer({self.did!r})"


def _public(key: PrivateKey) -> PublicKey:
    if isinstance(key, Ed25519PrivateKey):
        return PublicKey("Ed25519", key.public_key().public_bytes_raw())
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return PublicKey("secp256k1", point)


def _private(jwk: Any) -> PrivateKey:
    secret = b64decode(jwk.get("d")) if isinstance(jwk, dict) else b""
    if len(secret) != _SECRET_BYTES:
        raise DwnInvalid("shape", "a private JWK has 32 bytes in its member d")
    if jwk.get("crv") == "Ed25519":
        return Ed25519PrivateKey.from_private_bytes(secret)
    if jwk.get("crv") != "secp256k1":
        raise DwnInvalid("unsupported", "the private JWK is neither Ed25519 nor secp256k1")
    try:
        return derive_private_key(int.from_bytes(secret), SECP256K1())
    except ValueError:
        raise DwnInvalid("did", "the secret is out of range for secp256k1") from None


def _did(key: PublicKey, method: Method) -> str:
    return did_jwk(key) if method == "jwk" else did_key(key)
