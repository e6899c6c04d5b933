"""Make the secrets of docker-compose.yml, once: ``python deploy/make_secrets.py``.

What is there already stays. The folder is for its owner alone; the files in it are readable, since
a container's user, which is another one, reads them where they are mounted.
"""

from __future__ import annotations

import base64
import json
import secrets
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

FOLDER = Path(__file__).parent / "secrets"


def password() -> str:
    """192 random bits as text that no shell and no URL changes."""
    return secrets.token_urlsafe(24)


def reader_key() -> str:
    """A new Ed25519 key as a private JWK (RFC 8037)."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    private = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": _text(public), "d": _text(private)}
    return json.dumps(jwk)


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


SECRETS = {"postgres_password": password, "dwn_reader": reader_key}


def main(folder: Path = FOLDER) -> None:
    """Write what is missing, and say so."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    (folder / ".gitignore").write_text("*\n")
    for name, make in SECRETS.items():
        path = folder / name
        if path.exists():
            print(f"kept {path.name}", file=sys.stderr)
            continue
        path.write_text(make())
        path.chmod(0o644)
        print(f"made {path.name}", file=sys.stderr)


if __name__ == "__main__":
    main()
