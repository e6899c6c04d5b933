"""The tenants of a DWN source in a file: TOML, or YAML where PyYAML is installed.

::

    [[tenant]]
    url = "https://dwn.example"
    did = "did:jwk:..."              # by default the key's own
    key = "reader.jwk"               # beside this file, unless the path is absolute
    protocols = ["https://example/protocols/a", "https://example/protocols/b"]
    grants = { query = "bafy...", read = "bafy...", subscribe = "bafy..." }
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from schemas.dwn.signer import Signer
from streams.sources.dwn_tenant import Grants, Tenant
from streams.sources.errors import SourceError

MAX_LOGS = 5_000
"""Most logs (a tenant's protocol) of one source: each is asked each time that it polls."""
_REMEDY = "see the how-to on DWN servers for the form"


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One ``[[tenant]]``."""

    url: str
    key: str
    protocols: tuple[str, ...]
    did: str | None = None
    grants: Grants = Grants()


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tenant: tuple[Entry, ...]


def read_tenants(path: Path) -> list[Tenant]:
    """The tenants of a file; raises SourceError with the entry that is wrong."""
    signers: dict[Path, Signer] = {}
    found = []
    for number, entry in enumerate(_read(path).tenant, 1):
        key = path.parent / entry.key
        signer = signers[key] if key in signers else read_signer(key)
        signers[key] = signer
        found.append(_tenant(path, number, entry, signer))
    return found


def read_signer(path: Path) -> Signer:
    """The reader's key: a private JWK or a portable DID; raises SourceError."""
    try:
        return Signer.parse(path.read_text())
    except (OSError, ValueError) as error:
        remedy = "give a private JWK or a portable DID"
        raise SourceError(f"{path} holds no key: {error}", remedy) from error


def make_tenant(url: str, did: str, signer: Signer, protocols: tuple[str, ...]) -> Tenant:
    """A tenant as its options say; raises SourceError."""
    if not url.startswith(("http://", "https://")):
        raise SourceError(f"{url!r} is no address of a DWN server", "write https://HOST:PORT")
    try:
        return Tenant(did, url, signer, protocols)
    except ValueError as error:
        raise SourceError(str(error), "name DIDs by --tenant, protocols by --protocol") from error


def check_size(tenants: list[Tenant]) -> None:
    """Refuse more logs than one source asks in time; raises SourceError."""
    logs = sum(len(tenant.protocols) for tenant in tenants)
    if logs > MAX_LOGS:
        cause = f"{logs} logs (tenants times protocols) are more than {MAX_LOGS}"
        raise SourceError(cause, "share them among several sources, each with a --name")


def _tenant(path: Path, number: int, entry: Entry, signer: Signer) -> Tenant:
    try:
        made = make_tenant(entry.url, entry.did or signer.did, signer, entry.protocols)
    except SourceError as error:
        raise SourceError(f"{path}, tenant {number}: {error.cause}", _REMEDY) from error
    return msgspec.structs.replace(made, grants=entry.grants)


def _read(path: Path) -> _File:
    is_yaml = path.suffix in (".yaml", ".yml")
    try:
        decode = msgspec.yaml.decode if is_yaml else msgspec.toml.decode
        return decode(path.read_bytes(), type=_File)
    except ImportError:
        raise SourceError(f"{path} is YAML, and PyYAML is not installed", "write TOML") from None
    except (OSError, ValueError, RecursionError) as error:
        raise SourceError(f"{path}: {error}", _REMEDY) from error
