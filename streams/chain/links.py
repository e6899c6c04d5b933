"""What a DID says about an address, read from its verified DWN records.

A record of the link protocol whose data is ``{"address": …, "network": …}`` (or whose tags say so)
is a statement of its author. It proves nothing about the address: strength is always "claimed".
Deleting the record withdraws it.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from schemas.dwn.encoding import parse_json, timestamp_us
from schemas.dwn.errors import DwnInvalid
from schemas.dwn.event import verify_record
from schemas.events import DwnMessage

ADDRESS_LINK = "https://streams.example/protocols/address-link"
"""Protocol whose records are statements about addresses."""
STRENGTH = "claimed"
PROOF_KIND = "did_statement"
_ADDRESS = re.compile(r"[0-9A-Za-z][0-9A-Za-z:._-]{7,127}", re.ASCII)
_NETWORK = re.compile(r"[a-z0-9][a-z0-9-]{0,31}", re.ASCII)


class LinkStatement(msgspec.Struct, frozen=True):
    """One statement of a DID: this address is mine, or: I take back what that record said."""

    tenant: str
    record_id: str
    message_cid: str
    did: str
    """The author; of a withdrawal too."""
    ts: int
    """When it was said (ms): the author's messageTimestamp."""
    address: str | None
    """Opaque text; None in a withdrawal, which names the record only."""
    network: str | None
    revoked: bool = False
    valid_to: int | None = None
    """When it ends by its own words (member ``expires``), in ms."""
    proof_kind: str = PROOF_KIND
    strength: str = STRENGTH


def links_of(message: DwnMessage, protocol: str = ADDRESS_LINK) -> list[LinkStatement]:
    """The statements that a verified record makes: none, or one.

    Data comes before tags; where both speak and differ the record says nothing. An address or
    network that is no short plain text, or an ``expires`` that is no DWN timestamp, says nothing
    either.
    """
    if message.protocol != protocol or message.interface != "Records" or not message.record_id:
        return []
    if message.method == "Delete":
        return [_statement(message, None, None, revoked=True)]
    said = _said(message) if message.method == "Write" else None
    return [] if said is None else [_statement(message, *said)]


def replaces(later: LinkStatement, earlier: LinkStatement) -> bool:
    """Whether ``later`` takes the place of ``earlier``, so that the earlier one no longer holds.

    It must be of the same record, later in time (by CID at the same time), and by the same DID. A
    withdrawal may come from the tenant too, who can delete whatever stands in their DWN.
    """
    if (later.tenant, later.record_id) != (earlier.tenant, earlier.record_id):
        return False
    if (later.ts, later.message_cid) <= (earlier.ts, earlier.message_cid):
        return False
    return later.did == earlier.did or (later.revoked and later.did == later.tenant)


def _statement(
    message: DwnMessage,
    address: str | None,
    network: str | None,
    valid_to: int | None = None,
    *,
    revoked: bool = False,
) -> LinkStatement:
    return LinkStatement(
        tenant=message.tenant,
        record_id=message.record_id or "",
        message_cid=message.message_cid,
        did=message.author,
        ts=message.message_ts,
        address=address,
        network=network,
        revoked=revoked,
        valid_to=valid_to,
    )


def _said(message: DwnMessage) -> tuple[str, str | None, int | None] | None:
    data, tags = _members(message.data), _members(message.tags)
    for name in ("address", "network"):
        if name in data and name in tags and data[name] != tags[name]:
            return None
    said = {**tags, **data}
    address, network = said.get("address"), said.get("network")
    if not _is(_ADDRESS, address) or not (network is None or _is(_NETWORK, network)):
        return None
    try:
        ends = timestamp_us(said["expires"]) // 1000 if "expires" in said else None
    except DwnInvalid:
        return None
    return str(address), network, ends


def _members(raw: bytes | str | None) -> dict[str, Any]:
    """The members of a JSON object; none of anything else, encrypted data for one."""
    try:
        found = parse_json(raw or "{}")
    except DwnInvalid:
        return {}
    return found if isinstance(found, dict) else {}


def _is(pattern: re.Pattern[str], text: object) -> bool:
    return isinstance(text, str) and pattern.fullmatch(text) is not None


__all__ = ["ADDRESS_LINK", "LinkStatement", "links_of", "replaces", "verify_record"]
