"""From a message of a DWN to our event, and back to a message that can be checked again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.dwn.did import key_of
from schemas.dwn.encoding import compact, parse_json
from schemas.dwn.errors import DwnInvalid
from schemas.dwn.jws import KeyResolver
from schemas.dwn.verify import Verified, verify
from schemas.envelope import Event
from schemas.events import DwnMessage
from schemas.ids import digest_id

TYPE = "web5.record.v1"
_CHECKED = ("message_cid", "interface", "method", "author", "message_ts", "record_id")
_CHECKED_OF_WRITES = ("protocol", "protocol_path", "schema_uri", "data_cid", "data_format", "tags")


def to_event(
    tenant: str,
    message: Mapping[str, Any],
    data: bytes | None,
    seen_ts: int,
    *,
    initial: Verified | None = None,
    resolve: KeyResolver = key_of,
) -> Event:
    """Verify a message of ``tenant``'s DWN and make it an event; raises DwnInvalid.

    ``seen_ts`` (ms) is when we read it; event time is the author's messageTimestamp. The id holds
    the tenant beside the message CID, because one message may stand in several DWNs.
    """
    checked = verify(message, data, tenant, initial=initial, resolve=resolve)
    return event_of(tenant, checked, data, seen_ts)


def event_of(tenant: str, checked: Verified, data: bytes | None, seen_ts: int) -> Event:
    """The event of a message that has been verified."""
    return Event(
        id=digest_id("web5.record", tenant, checked.message_cid),
        key=tenant,
        ts=checked.message_ts,
        op="assert",
        value=_value(tenant, checked, data),
        type=TYPE,
        ingest_ts=seen_ts,
        producer="dwn",
        correlation_id=checked.record_id,
    )


def verify_record(record: DwnMessage, *, resolve: KeyResolver = key_of) -> Verified:
    """Verify the stored message and data again, and that the record says what they say.

    Raises DwnInvalid. A delete's protocol is not its own word but its initial write's, so it is
    taken from the record.
    """
    checked = verify(parse_message(record.message), record.data, record.tenant, resolve=resolve)
    said = _value(record.tenant, checked, record.data)
    names = _CHECKED + (() if checked.method == "Delete" else _CHECKED_OF_WRITES)
    for name in names:
        if getattr(said, name) != getattr(record, name):
            raise DwnInvalid("mismatch", f"the record's {name} is not that of its message")
    return checked


def parse_message(text: str | bytes) -> dict[str, Any]:
    """Parse the JSON text of one message; raises DwnInvalid."""
    message = parse_json(text)
    if not isinstance(message, dict):
        raise DwnInvalid("shape", "a message is a JSON object")
    return message


def _value(tenant: str, checked: Verified, data: bytes | None) -> DwnMessage:
    return DwnMessage(
        tenant=tenant,
        message_cid=checked.message_cid,
        interface=checked.interface,
        method=checked.method,
        author=checked.author,
        message_ts=checked.message_ts,
        message=compact(checked.message),
        record_id=checked.record_id,
        protocol=checked.protocol,
        protocol_path=checked.protocol_path,
        schema_uri=checked.schema,
        data_cid=checked.data_cid,
        data_format=checked.data_format,
        data=data,
        tags=compact(checked.tags) if checked.tags else None,
    )
