"""Check a message from a DWN that nobody has to trust: who signed what, and every id in it.

What a valid message proves: its author signed this descriptor, and the data is what the descriptor
names. What it cannot prove: that the tenant it was read from ever accepted it (a message does not
name its tenant), and, for a later write without its initial write, that the record is the author's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from schemas.dwn.cid import cid_of_plain, data_cid
from schemas.dwn.did import check_did, key_of
from schemas.dwn.encoding import parse_json, plain, timestamp_us
from schemas.dwn.errors import DwnInvalid
from schemas.dwn.jws import KeyResolver, verify_jws
from schemas.dwn.message import IMMUTABLE
from schemas.dwn.shape import check_members, check_write, member


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """A message whose signatures and ids hold."""

    message_cid: str
    interface: str
    method: str
    author: str
    """DID that signed it."""
    message_ts: int
    """messageTimestamp in milliseconds, rounded down; the author's word."""
    message: dict[str, Any]
    """The message without encodedData, numbers as JavaScript holds them."""
    owner: str | None = None
    """DID that countersigned to keep another one's record."""
    record_id: str | None = None
    is_initial: bool = False
    """Whether this write created the record; its record id is then proved to be the author's."""
    protocol: str | None = None
    protocol_path: str | None = None
    schema: str | None = None
    data_cid: str | None = None
    data_format: str | None = None
    tags: dict[str, Any] | None = None
    permission_grant: str | None = None


def verify(
    message: Mapping[str, Any],
    data: bytes | None,
    tenant: str,
    *,
    initial: Verified | None = None,
    resolve: KeyResolver = key_of,
) -> Verified:
    """Check a message of ``tenant``'s DWN and its data (None: not at hand, so not checked).

    Give ``initial``, the verified first write of the same record, with a later write or a delete:
    then what cannot change is compared, and a delete learns its protocol. Raises DwnInvalid, and
    nothing else, for whatever is wrong.
    """
    check_did(tenant)
    checked = _Check(message, tenant, resolve).run()
    if initial is not None:
        checked = with_initial(checked, initial)
    if data is not None:
        _check_data(checked, data)
    return checked


class _Check:
    """The steps of one verification, over a bounded copy of the message."""

    def __init__(self, message: object, tenant: str, resolve: KeyResolver) -> None:
        if not isinstance(message, Mapping):
            raise DwnInvalid("shape", "a message is a JSON object")
        self.message = plain({k: v for k, v in message.items() if k != "encodedData"})
        self.descriptor: dict[str, Any] = member(self.message, "descriptor", dict)
        self.tenant, self.resolve = tenant, resolve
        self.descriptor_cid = cid_of_plain(self.descriptor)
        self.written_us = timestamp_us(self.descriptor.get("messageTimestamp"))

    def run(self) -> Verified:
        check_members(self.message)
        author, payload = self._signature("signature")
        owner = self._owner()
        fields: dict[str, Any] = {}
        match self.descriptor.get("interface"), self.descriptor.get("method"):
            case "Records", "Write":
                fields = self._write(author, owner, payload)
            case "Records", "Delete":
                fields = {"record_id": member(self.descriptor, "recordId", str)}
            case "Protocols", "Configure":
                fields = self._configure(author, payload)
        return self._verified(author, owner, payload, fields)

    def _verified(
        self, author: str, owner: str | None, payload: dict[str, Any], fields: dict[str, Any]
    ) -> Verified:
        return Verified(
            message_cid=cid_of_plain(self.message),
            interface=member(self.descriptor, "interface", str),
            method=member(self.descriptor, "method", str),
            author=author,
            owner=owner,
            message_ts=self.written_us // 1000,
            message=self.message,
            permission_grant=member(payload, "permissionGrantId", str, optional=True),
            **fields,
        )

    def _signature(self, name: str) -> tuple[str, dict[str, Any]]:
        signed = verify_jws(self.message["authorization"].get(name), self.resolve)
        if len(signed.signers) != 1:
            raise DwnInvalid("signature", f"{name} has {len(signed.signers)} signers, not one")
        payload = parse_json(signed.payload)
        if not isinstance(payload, dict):
            raise DwnInvalid("shape", "a signed payload is a JSON object")
        if payload.get("descriptorCid") != self.descriptor_cid:
            raise DwnInvalid("descriptor_cid", "the descriptor is not the one that was signed")
        return signed.signers[0], payload

    def _owner(self) -> str | None:
        if "ownerSignature" not in self.message["authorization"]:
            return None
        owner, _ = self._signature("ownerSignature")
        if owner != self.tenant:
            raise DwnInvalid("not_authorised", "the owner's signature is not the tenant's")
        return owner

    def _write(self, author: str, owner: str | None, payload: dict[str, Any]) -> dict[str, Any]:
        check_write(self.message, self.descriptor)
        self._signed_ids(payload)
        self._attestation(payload)
        self._right(author, owner, payload)
        descriptor = self.descriptor
        return {
            "record_id": self.message["recordId"],
            "is_initial": self._is_initial(author),
            "protocol": descriptor.get("protocol"),
            "protocol_path": descriptor.get("protocolPath"),
            "schema": descriptor.get("schema"),
            "data_cid": descriptor["dataCid"],
            "data_format": descriptor["dataFormat"],
            "tags": descriptor.get("tags"),
        }

    def _is_initial(self, author: str) -> bool:
        entry = cid_of_plain({**self.descriptor, "author": author})
        created_us = timestamp_us(self.descriptor["dateCreated"])
        if created_us > self.written_us:
            raise DwnInvalid("timestamp", "written before it was created")
        if created_us < self.written_us:
            return False
        if entry != self.message["recordId"]:
            raise DwnInvalid("record_id", "the record id is not the CID of descriptor and author")
        return True

    def _signed_ids(self, payload: dict[str, Any]) -> None:
        if payload.get("recordId") != self.message["recordId"]:
            raise DwnInvalid("record_id", "the record id is not the one that was signed")
        if payload.get("contextId") != self.message.get("contextId"):
            raise DwnInvalid("context_id", "the context id is not the one that was signed")

    def _attestation(self, payload: dict[str, Any]) -> None:
        if payload.get("attestationCid") != self._cid("attestation"):
            raise DwnInvalid("attestation", "the attestation is not the one that was signed")
        if payload.get("encryptionCid") != self._cid("encryption"):
            raise DwnInvalid("encryption_cid", "the encryption is not the one that was signed")
        if "attestation" in self.message:
            self._attested()

    def _cid(self, name: str) -> str | None:
        return cid_of_plain(self.message[name]) if name in self.message else None

    def _attested(self) -> None:
        signed = verify_jws(self.message["attestation"], self.resolve)
        if parse_json(signed.payload) != {"descriptorCid": self.descriptor_cid}:
            raise DwnInvalid("attestation", "the attestation is of another descriptor")

    def _right(self, author: str, owner: str | None, payload: dict[str, Any]) -> None:
        # Inside a protocol the DWN decides by its rules, which one message does not carry
        by_right = "protocol" in self.descriptor or "permissionGrantId" in payload
        if author != self.tenant and owner is None and not by_right:
            raise DwnInvalid("not_authorised", "a record of another author, outside any protocol")

    def _configure(self, author: str, payload: dict[str, Any]) -> dict[str, Any]:
        definition = member(self.descriptor, "definition", dict)
        if author != self.tenant and "permissionGrantId" not in payload:
            raise DwnInvalid("not_authorised", "only the tenant installs a protocol")
        return {"protocol": member(definition, "protocol", str)}


def with_initial(later: Verified, initial: Verified) -> Verified:
    """Hold a verified later write or delete against the verified first write of its record.

    Raises DwnInvalid (``initial_write``, ``context_id``); a delete comes back with its protocol.
    """
    if not initial.is_initial or initial.record_id != later.record_id:
        raise DwnInvalid("initial_write", "not the initial write of this record")
    if later.method == "Delete":
        return msgspec.structs.replace(
            later,
            protocol=initial.protocol,
            protocol_path=initial.protocol_path,
            schema=initial.schema,
        )
    before, after = initial.message, later.message
    for name in IMMUTABLE:
        if before["descriptor"].get(name) != after["descriptor"].get(name):
            raise DwnInvalid("initial_write", f"{name} is not that of the initial write")
    if before.get("contextId") != after.get("contextId"):
        raise DwnInvalid("context_id", "the context is not that of the initial write")
    return later


def _check_data(checked: Verified, data: bytes) -> None:
    if checked.data_cid is None:
        raise DwnInvalid("data_cid", f"a {checked.interface}{checked.method} has no data")
    size = checked.message["descriptor"]["dataSize"]
    if size != len(data):
        raise DwnInvalid("data_size", f"{len(data)} bytes of data where {size} were signed")
    if data_cid(data) != checked.data_cid:
        raise DwnInvalid("data_cid", "the data is not what was signed")
