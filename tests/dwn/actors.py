"""Who and what the DWN tests need: fresh DIDs, the link protocol, permission grants."""

from __future__ import annotations

import json
import os

from schemas.dwn.message import Record
from schemas.dwn.signer import Signer

LINK = "https://streams.example/protocols/address-link"
LINKS = {
    "protocol": LINK,
    "published": True,
    "types": {"link": {"dataFormats": ["application/json"]}},
    "structure": {"link": {"$actions": [{"who": "anyone", "can": ["create", "update", "delete"]}]}},
}


def someone() -> Signer:
    """A new DID with an Ed25519 key."""
    return Signer.generate_ed25519(os.urandom(32))


def link(address: str, network: str) -> tuple[bytes, Record]:
    """Data and record of a statement about an address."""
    data = json.dumps({"address": address, "network": network}).encode()
    tags = {"address": address, "network": network}
    return data, Record(protocol=LINK, protocol_path="link", tags=tags)


class PERMISSIONS:
    """Records of the permissions protocol of dwn-sdk-js 0.5."""

    URI = "https://tbd.website/dwn/permissions"

    @classmethod
    def grant(cls, to: str, interface: str, method: str, protocol: str) -> tuple[bytes, Record]:
        """A grant to ``to`` for one method, scoped to a protocol."""
        scope = {"interface": interface, "method": method, "protocol": protocol}
        data = {"dateExpires": "2100-01-01T00:00:00.000000Z", "scope": scope}
        record = Record(
            protocol=cls.URI, protocol_path="grant", recipient=to, tags={"protocol": protocol}
        )
        return json.dumps(data, separators=(",", ":")).encode(), record

    @classmethod
    def revocation(cls, grant_context: str, protocol: str) -> tuple[bytes, Record]:
        """The end of a grant."""
        record = Record(
            protocol=cls.URI,
            protocol_path="grant/revocation",
            parent_context=grant_context,
            tags={"protocol": protocol},
        )
        return b"{}", record
