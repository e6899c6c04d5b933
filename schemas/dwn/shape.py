"""Which members a message has and of which types; nothing here looks at a signature."""

from __future__ import annotations

import re
from typing import Any

from schemas.dwn.cid import check_cid
from schemas.dwn.did import check_did
from schemas.dwn.encoding import timestamp_us
from schemas.dwn.errors import DwnInvalid

_AUTHORIZATION = {"signature", "ownerSignature", "authorDelegatedGrant", "ownerDelegatedGrant"}
_DELEGATED = {"authorDelegatedGrant", "ownerDelegatedGrant"}
_WRITE_ONLY = {"recordId", "contextId", "attestation", "encryption"}
_PROTOCOL_PATH = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*", re.ASCII)
_TEXTS = ("protocol", "protocolPath", "schema", "parentId", "recipient")
_MAX_CONTEXT_PARTS = 32


def member(holder: dict[str, Any], name: str, kind: type, *, optional: bool = False) -> Any:
    """The member ``name`` of ``holder``, which must be of type ``kind`` (bool is no int)."""
    value = holder.get(name)
    if value is None and optional and name not in holder:
        return None
    if type(value) is not kind:
        raise DwnInvalid("shape", f"{name} must be of type {kind.__name__}")
    return value


def check_members(message: dict[str, Any]) -> None:
    """Nothing unsigned may ride along: the message and its authorization have known members only.

    A member that nobody signed would give the same message any number of CIDs.
    """
    descriptor = member(message, "descriptor", dict)
    is_write = (descriptor.get("interface"), descriptor.get("method")) == ("Records", "Write")
    known = {"descriptor", "authorization"} | (_WRITE_ONLY if is_write else set())
    _only(message, known, "message")
    if "authorization" not in message:
        raise DwnInvalid("signature", "the message is not signed")
    authorization = member(message, "authorization", dict)
    _only(authorization, _AUTHORIZATION, "authorization")
    if _DELEGATED & authorization.keys():
        raise DwnInvalid("unsupported", "signed under a delegated grant, which is not checked here")


def check_write(message: dict[str, Any], descriptor: dict[str, Any]) -> None:
    """The members of a RecordsWrite: types, the relations between them, the context."""
    check_cid(member(message, "recordId", str))
    check_cid(member(descriptor, "dataCid", str))
    member(descriptor, "dataFormat", str)
    if member(descriptor, "dataSize", int) < 0:
        raise DwnInvalid("shape", "dataSize is negative")
    for name in _TEXTS:
        member(descriptor, name, str, optional=True)
    if "recipient" in descriptor:
        check_did(descriptor["recipient"])
    member(descriptor, "published", bool, optional=True)
    _check_dates(descriptor)
    _check_tags(member(descriptor, "tags", dict, optional=True))
    _check_context(message, descriptor)


def _only(holder: dict[str, Any], known: set[str], what: str) -> None:
    unknown = holder.keys() - known
    if unknown:
        raise DwnInvalid("shape", f"the {what} has an unknown member {min(unknown)[:40]!r}")


def _check_dates(descriptor: dict[str, Any]) -> None:
    timestamp_us(descriptor.get("dateCreated"))
    if ("datePublished" in descriptor) != bool(descriptor.get("published")):
        raise DwnInvalid("shape", "published and datePublished go together")
    if "datePublished" in descriptor:
        timestamp_us(descriptor["datePublished"])


def _check_tags(tags: dict[str, Any] | None) -> None:
    for name, value in (tags or {}).items():
        items = value if isinstance(value, list) else [value]
        if not all(isinstance(item, str | int | float) for item in items):
            raise DwnInvalid("shape", f"the tag {name[:40]!r} is no text, number, boolean or list")


def _check_context(message: dict[str, Any], descriptor: dict[str, Any]) -> None:
    path, context = descriptor.get("protocolPath"), message.get("contextId")
    if ("protocol" in descriptor) != (path is not None) or (path is None) != (context is None):
        raise DwnInvalid("context_id", "protocol, protocolPath and contextId go together")
    if path is None:
        if "parentId" in descriptor:
            raise DwnInvalid("context_id", "a parent needs a protocol")
        return
    if not _PROTOCOL_PATH.fullmatch(path):
        raise DwnInvalid("shape", "protocolPath is names joined by /")
    _check_parts(member(message, "contextId", str).split("/"), path, message, descriptor)


def _check_parts(
    parts: list[str], path: str, message: dict[str, Any], descriptor: dict[str, Any]
) -> None:
    parent = parts[-2] if len(parts) > 1 else None
    if parts[-1] != message["recordId"] or parent != descriptor.get("parentId"):
        raise DwnInvalid("context_id", "the context does not end in the parent and the record")
    if len(parts) > _MAX_CONTEXT_PARTS or len(parts) != path.count("/") + 1:
        raise DwnInvalid("context_id", "the context is not as deep as the protocol path")
    for part in parts:
        check_cid(part)
