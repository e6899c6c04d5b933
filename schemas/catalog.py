"""The event types: which Avro schema, which class, which facts make the id, which is the key.

Adding an event type: one ``.avsc`` file, one class in ``events.py``, one line here, and
``streams schemas lock`` for its id.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from schemas import events as e
from schemas.ids import digest_id

AVRO_DIR = Path(__file__).parent / "avro"
IDS_LOCK = AVRO_DIR / "ids.lock.json"

Parts = tuple[str | int | None, ...]


class EventType(msgspec.Struct, frozen=True):
    """One versioned event type."""

    name: str
    """Name with version, for example ``bitcoin.block.v1``: also the file's name."""
    cls: type[e.Value]
    identity: Callable[[Any], Parts] | None
    """What the event is about, from its value; None where only a step can say."""
    key: Callable[[Any], str]
    """The Kafka key of a value."""

    @property
    def family(self) -> str:
        """The name without the version."""
        return self.name.rsplit(".", 1)[0]

    @property
    def path(self) -> Path:
        return AVRO_DIR / f"{self.name}.avsc"

    def event_id(self, value: e.Value) -> str | None:
        """The id that every producer gives this value; None where the type has no identity."""
        if self.identity is None:
            return None
        return digest_id(self.family, *self.identity(value))


def _txid(value: Any) -> str:
    return str(value.txid)


def _address(value: Any) -> str:
    return str(value.address)


def _network(value: Any) -> str:
    return str(value.network)


def _mempool_identity(v: e.MempoolEvent) -> Parts:
    place = v.block_hash if v.mempool_sequence is None else v.mempool_sequence
    return (v.network, v.txid, v.kind, place)


TYPES: tuple[EventType, ...] = (
    EventType("bitcoin.block.v1", e.Block, lambda v: (v.network, v.hash), _network),
    EventType("bitcoin.tip.v1", e.Tip, lambda v: (v.network, v.hash), _network),
    EventType(
        "bitcoin.transaction.v1",
        e.Transaction,
        lambda v: (v.network, v.block_hash, v.txid),
        _txid,
    ),
    EventType("bitcoin.mempool.v1", e.MempoolEvent, _mempool_identity, _txid),
    EventType("bitcoin.lifecycle.v1", e.Lifecycle, lambda v: (v.network, v.txid), _txid),
    EventType("bitcoin.activity.v1", e.Activity, None, _address),
    EventType("bitcoin.parties.v1", e.Parties, None, _txid),
    EventType("bitcoin.cancellation.v1", e.Cancellation, None, _address),
    EventType(
        "web5.record.v1",
        e.DwnMessage,
        lambda v: (v.tenant, v.message_cid),
        lambda v: str(v.tenant),
    ),
    EventType("web5.identity_link.v1", e.IdentityLink, None, _address),
    EventType("web5.address_identities.v1", e.AddressIdentities, None, _address),
    EventType(
        "bitcoin.identified_activity.v1",
        e.IdentifiedActivity,
        None,
        lambda v: str(v.activity.address),
    ),
    EventType("ml.features.v1", e.Features, None, _txid),
    EventType("ml.result.v1", e.Score, None, _txid),
    EventType("ml.address_result.v1", e.AddressScore, None, _address),
    EventType("ml.label.v1", e.Label, lambda v: (v.subject, v.source), lambda v: str(v.subject)),
    EventType("ml.example.v1", e.Example, None, lambda v: str(v.model_id)),
    EventType("ml.model.v1", e.ModelSnapshot, None, lambda v: str(v.model_id)),
    EventType("patterns.match.v1", e.PatternMatch, None, lambda v: str(v.subject)),
    EventType("patterns.hop.v1", e.PeelHop, None, _network),
    EventType("patterns.contact.v1", e.Contact, None, lambda v: f"{v.address}/{v.look}"),
    EventType("entities.joined.v1", e.EntityWindow, None, lambda v: str(v.entity)),
    EventType("entities.fact.v1", e.EntityFact, None, lambda v: str(v.entity)),
    EventType("payments.decision.v1", e.Decision, None, _address),
    EventType("alerts.alert.v1", e.Alert, None, lambda v: str(v.entity)),
)

BY_NAME: dict[str, EventType] = {t.name: t for t in TYPES}
