"""What the DWN source reads and gives: tenants in, items out."""

from __future__ import annotations

from typing import Literal

import msgspec

from schemas.dwn.did import check_did
from schemas.dwn.errors import DwnInvalid
from schemas.dwn.message import Author
from schemas.envelope import Event

State = Literal["", "caught_up", "away", "lost"]
"""News of a log: read to its end; its server does not answer; given up for now."""


class Grants(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Record ids of the grants by which a signer who is not the tenant may read."""

    query: str | None = None
    read: str | None = None
    subscribe: str | None = None
    """Without it the tenant is asked for news from time to time."""
    records_read: str | None = None
    """For first writes of records changed later; without it such changes are refused."""


class Tenant(msgspec.Struct, frozen=True):
    """Whose DWN to read, where, as whom, and which protocols of it."""

    did: str
    url: str
    signer: Author
    protocols: tuple[str, ...]
    """Never empty: an empty filter would give everything, beyond what a grant allows."""
    grants: Grants = Grants()

    def __post_init__(self) -> None:
        if not self.protocols:
            raise ValueError(f"no protocols given for {self.did}: name those to read")
        try:
            check_did(self.did)
        except DwnInvalid as invalid:
            raise ValueError(f"no DID: {self.did[:80]!r}: {invalid.detail}") from None

    @property
    def places(self) -> tuple[str, ...]:
        """The names of its logs, one a protocol."""
        return tuple(place_of(self.url, self.did, protocol) for protocol in self.protocols)


def place_of(url: str, did: str, protocol: str) -> str:
    """The name under which a position is stored: server, tenant, protocol.

    >>> place_of("http://127.0.0.1:3000/", "did:jwk:e30", "https://x.example/p")
    'http://127.0.0.1:3000 did:jwk:e30 https://x.example/p'
    """
    return " ".join((url.rstrip("/"), did, protocol))


class Refused(msgspec.Struct, frozen=True):
    """Something that the server gave and that does not hold: for the dead letters."""

    cause: str
    detail: str
    raw: bytes
    """The message as it came, byte for byte; empty when none came, or more than is read."""
    origin: str
    """Address of the server."""
    message_id: str | None
    """The CID under which the server offered it."""


class DwnItem(msgspec.Struct, frozen=True):
    """One message read: an event or a refusal, and the position to go on from once it is stored.

    An item with neither only brings news of its log.
    """

    tenant: str
    event: Event | None = None
    refused: Refused | None = None
    place: str = ""
    """Whose position this is; empty for news of all of a tenant's logs."""
    cursor: str | None = None
    """Opaque text; None as long as nothing was read."""
    state: State = ""
    words: str = ""
    """Why a server is away or a tenant was given up."""


class Counts(msgspec.Struct):
    """What became of the messages that a tenant's server offered."""

    events: int = 0
    refused: int = 0
    foreign: int = 0
    """Of other protocols than asked for; dropped."""
    gone: int = 0
    """Deleted or replaced between the list and the reading; their successors are listed too."""
    repeated: int = 0
    data_left: int = 0
    """With more data than is read; the event then has none."""
