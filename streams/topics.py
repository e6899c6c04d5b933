"""Every topic as data: what it carries, what it is keyed by, how it is kept.

``streams topics list`` prints this table; ``streams topics apply`` makes a broker agree with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, Literal

import msgspec

from schemas import events as e
from schemas.catalog import BY_NAME, EventType

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    V_co = TypeVar("V_co", covariant=True, default=Any)
else:
    from typing import TypeVar

    V_co = TypeVar("V_co", covariant=True)

MEBIBYTE = 1 << 20
DAY_MS = 86_400_000
FOREVER = -1
COMPACTION = {"segment.bytes": str(64 * MEBIBYTE), "min.cleanable.dirty.ratio": "0.1"}
"""Kafka compacts no segment that is still written to, and by default none before half of the log is
out of date: with its 1 GiB segments whoever starts would read gigabytes to find a few records."""
By = Literal["network", "txid", "address", "pair", "did", "model", "entity", "any"]


class Topic(msgspec.Struct, Generic[V_co], frozen=True):
    """One topic; ``Topic[Alert]`` tells type checkers what its values are."""

    name: str
    by: By | str
    """What the key names; topics that one step joins have the same ``by``. Ours are of ``By``, the
    keys of your topics are named as you like."""
    about: str
    event_type: str | None = None
    """None: the original bytes of somebody else's record."""
    source: bool = False
    """Filled from outside: its records are checked, counted and de-duplicated by id."""
    declared: bool = True
    """Its writers declare watermarks; False: watermarks are observed (anyone may produce)."""
    broadcast: bool = False
    """Every record goes to every partition; its readers need no key of their own."""
    table: bool = False
    """A versioned table: never late, and holds no watermark back."""
    partitions: int | None = None
    """How many partitions it has, where that is not the application's count: somebody else's topic,
    to be joined through ``repartition``."""
    stored: bool = True
    """False: passed in memory between fused steps, no Kafka topic."""
    compacted: bool = False
    retention_ms: int = FOREVER
    max_message_bytes: int = MEBIBYTE
    append_time: bool = True
    """The broker stamps records on arrival, so that retention never deletes old event times."""

    @property
    def type(self) -> EventType:
        """The event type; raises KeyError for topics of original bytes."""
        return BY_NAME[self.event_type or ""]

    @property
    def key_of(self) -> Callable[[Any], str]:
        return self.type.key

    def settings(self) -> dict[str, str]:
        """The topic's Kafka settings."""
        found = {
            "cleanup.policy": "compact" if self.compacted else "delete",
            "retention.ms": str(self.retention_ms),
            "max.message.bytes": str(self.max_message_bytes),
            "message.timestamp.type": "LogAppendTime" if self.append_time else "CreateTime",
        }
        return found | COMPACTION if self.compacted else found


SOURCE_BYTES = 12 * MEBIBYTE
LETTER_BYTES = 16 * MEBIBYTE

blocks: Topic[e.Block] = Topic(
    "bitcoin.blocks",
    "network",
    "blocks connected to and disconnected from the chain; one order a network",
    "bitcoin.block.v1",
    source=True,
    max_message_bytes=SOURCE_BYTES,
)
transactions: Topic[e.Transaction] = Topic(
    "bitcoin.transactions",
    "txid",
    "confirmed transactions with every prevout",
    "bitcoin.transaction.v1",
    source=True,
    max_message_bytes=SOURCE_BYTES,
)
mempool: Topic[e.MempoolEvent] = Topic(
    "bitcoin.mempool",
    "txid",
    "what a node's mempool saw: added, replaced, evicted, confirmed",
    "bitcoin.mempool.v1",
    source=True,
    max_message_bytes=SOURCE_BYTES,
)
records: Topic[e.DwnMessage] = Topic(
    "web5.records",
    "did",
    "verified DWN messages, whole",
    "web5.record.v1",
    source=True,
    max_message_bytes=SOURCE_BYTES,
)
labels: Topic[e.Label] = Topic(
    "ml.labels",
    "txid",
    "truths about transactions that became known later",
    "ml.label.v1",
    source=True,
    max_message_bytes=SOURCE_BYTES,
)
tip: Topic[e.Tip] = Topic(
    "bitcoin.tip",
    "any",
    "height and hash of each tip, in every partition",
    "bitcoin.tip.v1",
    broadcast=True,
)
facts: Topic[e.Transaction] = Topic(
    "bitcoin.facts",
    "txid",
    "the one live form of each transaction: confirmed, else in the mempool",
    "bitcoin.transaction.v1",
    stored=False,
)
lifecycle: Topic[e.Lifecycle] = Topic(
    "bitcoin.lifecycle",
    "txid",
    "where a transaction stands: mempool, confirmed, replaced, evicted",
    "bitcoin.lifecycle.v1",
)
activity: Topic[e.Activity] = Topic(
    "bitcoin.activity",
    "address",
    "one debit or credit of one address",
    "bitcoin.activity.v1",
)
parties: Topic[e.Parties] = Topic(
    "bitcoin.parties",
    "txid",
    "the addresses that take part in a transaction",
    "bitcoin.parties.v1",
    stored=False,
)
cancellations: Topic[e.Cancellation] = Topic(
    "bitcoin.cancellations",
    "address",
    "unconfirmed payments that will not come: replaced, evicted, expired, conflicted",
    "bitcoin.cancellation.v1",
)
identity_links: Topic[e.IdentityLink] = Topic(
    "web5.identity_links",
    "address",
    "versions of a link between an address and a DID",
    "web5.identity_link.v1",
)
recent_links: Topic[e.IdentityLink] = Topic(
    "web5.recent_links",
    "address",
    "versions of links that are not too old for a window of event time",
    "web5.identity_link.v1",
    stored=False,
)
address_identities: Topic[e.AddressIdentities] = Topic(
    "web5.address_identities",
    "address",
    "the links that stand at an address, a version whenever that changes",
    "web5.address_identities.v1",
)
identified_activity: Topic[e.IdentifiedActivity] = Topic(
    "bitcoin.identified_activity",
    "address",
    "activity of addresses to which a DID is linked, with the links of its time",
    "bitcoin.identified_activity.v1",
)
features: Topic[e.Features] = Topic(
    "ml.features", "txid", "named feature vector of a transaction", "ml.features.v1"
)
results: Topic[e.Score] = Topic(
    "ml.results", "txid", "score of a transaction with its reasons", "ml.result.v1"
)
address_results: Topic[e.AddressScore] = Topic(
    "ml.address_results",
    "address",
    "scores sent on to the addresses that take part",
    "ml.address_result.v1",
)
examples: Topic[e.Example] = Topic(
    "ml.examples", "model", "feature vectors with their labels", "ml.example.v1"
)
unmatched_labels: Topic[e.Label] = Topic(
    "ml.unmatched_labels",
    "txid",
    "labels that meet no vector: replaced, unknown, or too long ago",
    "ml.label.v1",
)
models: Topic[e.ModelSnapshot] = Topic(
    "ml.models",
    "any",
    "model snapshots and the event time from which they score, in every partition",
    "ml.model.v1",
    broadcast=True,
    table=True,
)
matches: Topic[e.PatternMatch] = Topic(
    "patterns.matches", "txid", "patterns found, with reasons and evidence", "patterns.match.v1"
)
peel_hops: Topic[e.PeelHop] = Topic(
    "patterns.peel_hops",
    "network",
    "transactions that peel a small amount off one coin: hops of peel chains",
    "patterns.hop.v1",
)
payments: Topic[e.Contact] = Topic(
    "patterns.payments",
    "pair",
    "whom an address paid, keyed by the address and what the payee's address looks like",
    "patterns.contact.v1",
)
baits: Topic[e.Contact] = Topic(
    "patterns.baits",
    "pair",
    "dust that came to an address, keyed by the address and what the sender's looks like",
    "patterns.contact.v1",
)
history_matches: Topic[e.PatternMatch] = Topic(
    "patterns.history_matches",
    "txid",
    "patterns that take more than one transaction, with reasons and evidence",
    "patterns.match.v1",
)
entity_activity: Topic[e.EntityFact] = Topic(
    "entities.activity",
    "entity",
    "activity of addresses, sent on to each DID linked to them at its time",
    "entities.fact.v1",
)
entity_links: Topic[e.EntityFact] = Topic(
    "entities.links", "entity", "what a DID said about addresses", "entities.fact.v1"
)
entity_scores: Topic[e.EntityFact] = Topic(
    "entities.scores",
    "entity",
    "scores of addresses, sent on to each DID linked to them at their time",
    "entities.fact.v1",
)
entities: Topic[e.EntityWindow] = Topic(
    "entities.joined",
    "entity",
    "Bitcoin, Web5 and ML of one address or DID and window, side by side",
    "entities.joined.v1",
)
decisions: Topic[e.Decision] = Topic(
    "payments.decisions",
    "address",
    "credit, wait, review or refuse, one decision an outpoint",
    "payments.decision.v1",
)
alerts: Topic[e.Alert] = Topic(
    "alerts", "entity", "what a person should look at, and why", "alerts.alert.v1"
)
dead_letters = Topic(
    "dead_letters",
    "any",
    "records that could not be processed: original bytes, with the cause in headers",
    max_message_bytes=LETTER_BYTES,
)
late_records = Topic(
    "late_records",
    "any",
    "records that came too late: original bytes, with by how much in headers",
    max_message_bytes=LETTER_BYTES,
)
cursors = Topic(
    "streams.cursors",
    "any",
    "where each source stands, written with what it produced",
    compacted=True,
)
redrives = Topic(
    "streams.redrives",
    "any",
    "which letters were written back, written with the records themselves",
    partitions=2,
)

ALL: tuple[Topic, ...] = (
    blocks,
    transactions,
    mempool,
    records,
    labels,
    tip,
    facts,
    lifecycle,
    activity,
    parties,
    cancellations,
    identity_links,
    recent_links,
    address_identities,
    identified_activity,
    features,
    results,
    address_results,
    examples,
    unmatched_labels,
    models,
    matches,
    peel_hops,
    payments,
    baits,
    history_matches,
    entity_activity,
    entity_links,
    entity_scores,
    entities,
    decisions,
    alerts,
    dead_letters,
    late_records,
    cursors,
    redrives,
)
BY_TOPIC: dict[str, Topic] = {topic.name: topic for topic in ALL}
STORED: tuple[Topic, ...] = tuple(topic for topic in ALL if topic.stored)
SOURCES: tuple[Topic, ...] = tuple(topic for topic in ALL if topic.source)
DERIVED: tuple[Topic, ...] = tuple(
    t for t in ALL if t.stored and not t.source and t.event_type is not None
)
SHARED: tuple[Topic, ...] = tuple(topic for topic in STORED if topic not in DERIVED)
"""What is there once, whatever runs there are: sources, letters, where sources stand."""
