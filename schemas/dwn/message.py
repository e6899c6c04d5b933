"""DWN messages: their ids, and building them signed (wire form of dwn-sdk-js 0.5).

A message is a descriptor and an authorization (a JWS over the descriptor's CID); record data
travels beside it. Members that are absent are left out, never null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from schemas.dwn.cid import cid_of, data_cid
from schemas.dwn.encoding import compact
from schemas.dwn.jws import CanSign, sign_jws

Message = dict[str, Any]
TagValue = str | int | float | bool | list[str] | list[int | float]

IMMUTABLE = ("dateCreated", "parentId", "protocol", "protocolPath", "recipient", "schema")
"""Members of a RecordsWrite descriptor that every later write of the record repeats."""


class Author(CanSign, Protocol):
    """Whoever signs messages in the name of a DID (``schemas.dwn.signer.Signer`` is one)."""

    @property
    def did(self) -> str: ...


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What a RecordsWrite says about its data."""

    data_format: str = "application/json"
    protocol: str | None = None
    protocol_path: str | None = None
    schema: str | None = None
    tags: Mapping[str, TagValue] | None = None
    """At most 10; an update that leaves them out removes them."""
    recipient: str | None = None
    published: bool | None = None
    parent_context: str | None = None
    """contextId of the parent record, for a record below another one of its protocol."""


class Authority(msgspec.Struct, frozen=True, kw_only=True):
    """By what right a DID that is not the tenant acts; empty for the tenant itself."""

    permission_grant: str | None = None
    """recordId of a grant that the tenant wrote."""
    protocol_role: str | None = None
    """protocolPath of a role record whose recipient is the signer."""

    def claims(self) -> dict[str, str]:
        """The members of the signed payload."""
        found = {"permissionGrantId": self.permission_grant, "protocolRole": self.protocol_role}
        return {name: value for name, value in found.items() if value is not None}


AS_TENANT = Authority()


def descriptor_cid(message: Mapping[str, Any]) -> str:
    """CID of the descriptor; it is what a message's author signs."""
    return cid_of(message["descriptor"])


def message_cid(message: Mapping[str, Any]) -> str:
    """CID of the whole message without data: the id by which DWNs and we deduplicate."""
    return cid_of({k: v for k, v in message.items() if k != "encodedData"})


def record_id(descriptor: Mapping[str, Any], author: str) -> str:
    """Id of the record that this descriptor creates: the CID of the descriptor with its author.

    >>> record_id({"a": 1}, "did:a:b") == cid_of({"a": 1, "author": "did:a:b"})
    True
    """
    return cid_of({**descriptor, "author": author})


def context_id(record: str, parent_context: str | None) -> str:
    """Id of the context of a record in a protocol: the ids from its root down to it.

    >>> context_id("c", "a/b")
    'a/b/c'
    """
    return f"{parent_context}/{record}" if parent_context else record


def records_write(
    signer: Author, data: bytes, record: Record, at: str, authority: Authority = AS_TENANT
) -> Message:
    """The first write of a record; ``at`` is the time of creation (``encoding.timestamp``)."""
    descriptor = _write_descriptor(data, record, at)
    new = record_id(descriptor, signer.did)
    context = context_id(new, record.parent_context) if record.protocol else None
    return _write(signer, descriptor, new, context, authority)


def records_update(
    signer: Author,
    initial: Mapping[str, Any],
    data: bytes,
    record: Record,
    at: str,
    *,
    authority: Authority = AS_TENANT,
) -> Message:
    """A later write of the record that the message ``initial`` created.

    Of ``record`` only data format, tags and publication count: the rest cannot change.
    """
    before = initial["descriptor"]
    kept = {name: before[name] for name in IMMUTABLE if name in before}
    mutable = Record(data_format=record.data_format, tags=record.tags, published=record.published)
    descriptor = {**_write_descriptor(data, mutable, at), **kept}
    if record.published and "datePublished" in before:
        descriptor["datePublished"] = before["datePublished"]
    return _write(signer, descriptor, initial["recordId"], initial.get("contextId"), authority)


def records_delete(
    signer: Author, record: str, at: str, *, prune: bool = False, authority: Authority = AS_TENANT
) -> Message:
    """Delete a record by its id; ``prune`` deletes what hangs below it too."""
    descriptor = {**_head("Records", "Delete", at), "recordId": record, "prune": prune}
    return _signed(signer, descriptor, authority.claims())


def protocols_configure(signer: Author, definition: Mapping[str, Any], at: str) -> Message:
    """Install a protocol at the tenant."""
    descriptor = {**_head("Protocols", "Configure", at), "definition": dict(definition)}
    return _signed(signer, descriptor, {})


def records_query(
    signer: Author,
    match: Mapping[str, Any],
    at: str,
    *,
    date_sort: str | None = None,
    pagination: Mapping[str, Any] | None = None,
    authority: Authority = AS_TENANT,
) -> Message:
    """Ask for records by a filter; ``pagination`` has ``limit`` and the ``cursor`` of a reply."""
    descriptor = {**_head("Records", "Query", at), "filter": dict(match)}
    if date_sort is not None:
        descriptor["dateSort"] = date_sort
    if pagination is not None:
        descriptor["pagination"] = dict(pagination)
    return _signed(signer, descriptor, authority.claims())


def records_read(
    signer: Author, match: Mapping[str, Any], at: str, authority: Authority = AS_TENANT
) -> Message:
    """Ask for the one record that a filter names, with its data."""
    descriptor = {**_head("Records", "Read", at), "filter": dict(match)}
    return _signed(signer, descriptor, authority.claims())


def records_subscribe(
    signer: Author, match: Mapping[str, Any], at: str, authority: Authority = AS_TENANT
) -> Message:
    """Ask to be told of records by a filter, from now on."""
    descriptor = {**_head("Records", "Subscribe", at), "filter": dict(match)}
    return _signed(signer, descriptor, authority.claims())


def messages_query(
    signer: Author,
    filters: Sequence[Mapping[str, Any]],
    at: str,
    *,
    cursor: Mapping[str, Any] | None = None,
    authority: Authority = AS_TENANT,
) -> Message:
    """Ask for the CIDs of all messages after an opaque ``cursor``, oldest first."""
    descriptor = {**_head("Messages", "Query", at), "filters": [dict(one) for one in filters]}
    if cursor is not None:
        descriptor["cursor"] = dict(cursor)
    return _signed(signer, descriptor, authority.claims())


def messages_read(signer: Author, cid: str, at: str, authority: Authority = AS_TENANT) -> Message:
    """Ask for one message by its CID, with its data where the DWN still has it."""
    descriptor = {**_head("Messages", "Read", at), "messageCid": cid}
    return _signed(signer, descriptor, authority.claims())


def messages_subscribe(
    signer: Author,
    filters: Sequence[Mapping[str, Any]],
    at: str,
    authority: Authority = AS_TENANT,
) -> Message:
    """Ask to be told of every message that matches one of the filters, from now on."""
    descriptor = {**_head("Messages", "Subscribe", at), "filters": [dict(one) for one in filters]}
    return _signed(signer, descriptor, authority.claims())


def _head(interface: str, method: str, at: str) -> dict[str, Any]:
    return {"interface": interface, "method": method, "messageTimestamp": at}


def _write_descriptor(data: bytes, record: Record, at: str) -> dict[str, Any]:
    parent = record.parent_context.rsplit("/", 1)[-1] if record.parent_context else None
    members = {
        **_head("Records", "Write", at),
        "protocol": record.protocol,
        "protocolPath": record.protocol_path,
        "recipient": record.recipient,
        "schema": record.schema,
        "tags": dict(record.tags) if record.tags else None,
        "parentId": parent,
        "dataCid": data_cid(data),
        "dataSize": len(data),
        "dateCreated": at,
        "published": record.published,
        "datePublished": at if record.published else None,
        "dataFormat": record.data_format,
    }
    return {name: value for name, value in members.items() if value is not None}


def _write(
    signer: Author, descriptor: Message, record: str, context: str | None, authority: Authority
) -> Message:
    ids = {"recordId": record} | ({"contextId": context} if context else {})
    return {**ids, **_signed(signer, descriptor, {**ids, **authority.claims()})}


def _signed(signer: CanSign, descriptor: Message, claims: Mapping[str, str]) -> Message:
    payload = {"descriptorCid": cid_of(descriptor), **claims}
    signature = sign_jws(compact(payload).encode(), signer)
    return {"descriptor": descriptor, "authorization": {"signature": signature}}
