"""What a webhook says of itself: a stable id, and a signature by each secret in use.

The scheme is Standard Webhooks 1.0 (standardwebhooks.com): HMAC-SHA256 over ``id.timestamp.body``,
in the headers ``webhook-id``, ``webhook-timestamp`` (seconds) and ``webhook-signature``. While a
secret is replaced, both sign, and a receiver that knows either accepts the request.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import quote

from msgspec import structs

from schemas.envelope import Event
from schemas.jsonform import to_line
from sinks.base import Permanent, SinkRecord, locate
from sinks.drivers import need

if TYPE_CHECKING:
    from standardwebhooks import Webhook

LONGEST_ID = 256
"""Characters; a longer id is replaced by its hash."""
FEWEST_BYTES = 24
"""What Standard Webhooks asks of a secret."""


class Delivery:
    """One request: the events of ``records``, in their order."""

    def __init__(self, records: Sequence[SinkRecord], as_list: bool) -> None:
        events = [_sent(record) for record in records]
        lines = [_line(record, event) for record, event in zip(records, events, strict=True)]
        self.records = tuple(records)
        self.body = b"[" + b",".join(lines) + b"]" if as_list else lines[0]
        self.id = webhook_id([event.ce_id for event in events], as_list)


def webhook_id(ids: Sequence[str], as_list: bool) -> str:
    """Return the id of a request: the same for each repeat of it, and of no other one.

    One event: its id, op and version. Several: a hash of these.

    >>> webhook_id(["ab:assert:7"], as_list=False), webhook_id(["a.b c:retract:8"], False)
    ('ab:assert:7', 'a%2Eb%20c:retract:8')
    """
    if as_list:
        return f"batch:{sha256(chr(0).join(ids).encode()).hexdigest()}"
    # A dot parts id, timestamp and body where they are signed.
    safe = quote(ids[0], safe=":-_~").replace(".", "%2E")
    return safe if len(safe) <= LONGEST_ID else sha256(safe.encode()).hexdigest()


def signers(secrets: Sequence[str]) -> list[Webhook]:
    """Return one signer a secret; raises Permanent for a secret that is too weak or no base64."""
    library = need("standardwebhooks", extra="webhook")
    for secret in secrets:
        if _strength(secret) < FEWEST_BYTES:
            raise Permanent(
                f"a webhook secret is not base64 of at least {FEWEST_BYTES} bytes",
                "make one: echo whsec_$(openssl rand -base64 32)",
            )
    return [library.Webhook(secret) for secret in secrets]


def _strength(secret: str) -> int:
    """Bytes of a secret; 0 if it is no base64."""
    try:
        return len(b64decode(secret.removeprefix("whsec_") + "==", validate=True))
    except ValueError:
        return 0


def headers(delivery: Delivery, signing: Sequence[Webhook], now_s: int) -> dict[str, str]:
    """Return the headers of a request that is sent at ``now_s`` (seconds since 1970)."""
    at, body = datetime.fromtimestamp(now_s, tz=UTC), delivery.body.decode()
    return {
        "content-type": "application/json",
        "accept-encoding": "identity",
        "user-agent": "streams-webhook",
        "webhook-id": delivery.id,
        "webhook-timestamp": str(now_s),
        "webhook-signature": " ".join(s.sign(delivery.id, at, body) for s in signing),
    }


def _sent(record: SinkRecord) -> Event:
    """The event with the version that every sink has: its offset."""
    return structs.replace(record.event, version=record.offset)


def _line(record: SinkRecord, event: Event) -> bytes:
    try:
        return to_line(event)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Permanent(
            f"{locate(record)} cannot be written as JSON: {error}",
            "correct the producer, or send the record to dead letters",
            record,
        ) from error
