"""The typed values of our topics, one class an Avro record of ``schemas/avro``.

The ``.avsc`` file is the source of truth for meaning and units of each field; the class gives the
same fields to type checkers and editors. A test holds the two together. All are frozen: a value
never changes, a fact is retracted and asserted again.
"""

from __future__ import annotations

import msgspec


class Value(msgspec.Struct, frozen=True, gc=False):
    """Base of every value. Values hold no cycles, so the collector need not look at them."""


# Bitcoin ------------------------------------------------------------------------------------------


class Block(Value, frozen=True, gc=False):
    """A block connected to (assert) or disconnected from (retract) the chain."""

    network: str
    hash: str
    height: int
    previous_hash: str
    version: int
    merkle_root: str
    header_time_s: int
    bits: int
    nonce: int
    tx_count: int
    size_bytes: int
    weight_wu: int


class Tip(Value, frozen=True, gc=False):
    """A block that was, or is, the tip of its network's chain."""

    network: str
    height: int
    hash: str


class Prevout(Value, frozen=True, gc=False):
    """The output that an input spends."""

    value_sat: int
    script: bytes
    address: str | None = None
    height: int | None = None
    is_coinbase: bool | None = None


class TxInput(Value, frozen=True, gc=False):
    """One input; ``prevout`` is None only with a reason in ``prevout_missing``."""

    prev_txid: str
    prev_vout: int
    sequence: int
    script_sig: bytes
    witness: list[bytes]
    prevout: Prevout | None = None
    prevout_missing: str | None = None


class TxOutput(Value, frozen=True, gc=False):
    """One output; ``address`` is None where the script has none."""

    value_sat: int
    script: bytes
    address: str | None = None


class Transaction(Value, frozen=True, gc=False):
    """A transaction with its prevouts; block fields are None while it is in the mempool."""

    network: str
    txid: str
    wtxid: str
    version: int
    locktime: int
    size_bytes: int
    weight_wu: int
    vsize_vb: int
    is_coinbase: bool
    inputs: list[TxInput]
    outputs: list[TxOutput]
    fee_sat: int | None = None
    fee_missing: str | None = None
    block_hash: str | None = None
    block_height: int | None = None
    block_position: int | None = None


class MempoolEvent(Value, frozen=True, gc=False):
    """What one node saw happen to one transaction in its mempool."""

    network: str
    txid: str
    kind: str
    """added, replaced, evicted, expired, conflicted, confirmed"""
    transaction: Transaction | None = None
    replaced_by: str | None = None
    replacement: Transaction | None = None
    block_hash: str | None = None
    mempool_sequence: int | None = None
    node: str = ""


class Lifecycle(Value, frozen=True, gc=False):
    """Where a transaction stands: the fold of all its facts."""

    network: str
    txid: str
    state: str
    """mempool, confirmed, replaced, evicted, expired, conflicted, retracted"""
    first_seen_ts: int | None = None
    confirmed_ts: int | None = None
    block_hash: str | None = None
    block_height: int | None = None
    replaced_by: str | None = None
    confirmations_lost: int = 0


class Activity(Value, frozen=True, gc=False):
    """One debit or credit of one address by one transaction."""

    network: str
    address: str
    txid: str
    direction: str
    """credit or debit"""
    index: int
    amount_sat: int
    status: str
    """mempool or confirmed"""
    block_height: int | None = None
    block_hash: str | None = None
    replaceable: bool = False


class Parties(Value, frozen=True, gc=False):
    """The addresses that take part in a transaction."""

    network: str
    txid: str
    addresses: list[str]


class Cancellation(Value, frozen=True, gc=False):
    """An unconfirmed payment to an address that will not come: its transaction left the mempool."""

    network: str
    address: str
    txid: str
    vout: int
    amount_sat: int
    kind: str
    """replaced, evicted, expired or conflicted"""
    replaced_by: str | None = None
    still_paid_sat: int | None = None


# Web5 ---------------------------------------------------------------------------------------------


class DwnMessage(Value, frozen=True, gc=False):
    """A DWN message, whole, with the data that it refers to."""

    tenant: str
    message_cid: str
    interface: str
    method: str
    author: str
    message_ts: int
    message: str
    record_id: str | None = None
    protocol: str | None = None
    protocol_path: str | None = None
    schema_uri: str | None = None
    data_cid: str | None = None
    data_format: str | None = None
    data: bytes | None = None
    tags: str | None = None


class IdentityLink(Value, frozen=True, gc=False):
    """One version of a link between an address and a DID."""

    address: str
    network: str | None
    did: str
    proof_kind: str
    strength: str
    record_id: str
    message_cid: str
    revoked: bool = False
    valid_to: int | None = None


class AddressIdentities(Value, frozen=True, gc=False):
    """The links that stand at an address from one moment on: a version of the set of them."""

    address: str
    links: list[IdentityLink]
    left_out: int = 0


class IdentifiedActivity(Value, frozen=True, gc=False):
    """An activity with the links that stood at its address at its time."""

    activity: Activity
    links: list[IdentityLink]


# Machine learning ---------------------------------------------------------------------------------


class Features(Value, frozen=True, gc=False):
    """The named feature vector of a transaction; a missing feature has a reason, never a 0."""

    network: str
    txid: str
    values: dict[str, float]
    missing: dict[str, str]


class Contribution(Value, frozen=True, gc=False):
    """How one feature moved a score."""

    feature: str
    value: float
    weight: float
    words: str


class Score(Value, frozen=True, gc=False):
    """The score of a transaction by one snapshot of a model, with its reasons."""

    network: str
    txid: str
    model_id: str
    score: float | None
    reason: str | None
    partial: bool
    missing: list[str]
    snapshot_id: str | None
    valid_from_ts: int | None
    contributions: list[Contribution]


class AddressScore(Value, frozen=True, gc=False):
    """A transaction's score, sent on to one address that takes part in it."""

    network: str
    address: str
    txid: str
    score: float | None
    reason: str | None
    partial: bool
    snapshot_id: str | None


class Label(Value, frozen=True, gc=False):
    """A truth about a transaction that became known later."""

    subject: str
    illicit: bool
    source: str
    confidence: float = 1.0


class Example(Value, frozen=True, gc=False):
    """A feature vector with its label: what a model learns from."""

    model_id: str
    subject: str
    illicit: bool
    values: dict[str, float]


class Weight(Value, frozen=True, gc=False):
    """What a model knows about one feature: running mean and variance, and the weight."""

    feature: str
    mean: float
    variance: float
    weight: float
    count: int = 0


class ModelSnapshot(Value, frozen=True, gc=False):
    """A model as it stood at ``valid_from_ts``: scores events from that event time on."""

    model_id: str
    snapshot_id: str
    valid_from_ts: int
    learned: int
    positives: int
    intercept: float
    calibration_slope: float
    calibration_intercept: float
    weights: list[Weight]


# Results ------------------------------------------------------------------------------------------


class PatternMatch(Value, frozen=True, gc=False):
    """A pattern found in a transaction, with its reasons and evidence."""

    network: str
    pattern: str
    subject: str
    severity: str
    """info, low, medium, high"""
    confidence: float
    reasons: list[str]
    evidence: list[str]
    addresses: list[str]


class PeelHop(Value, frozen=True, gc=False):
    """A confirmed transaction that peels a small amount off one coin: a hop of a peel chain."""

    network: str
    txid: str
    prev_txid: str
    prev_vout: int
    change_vout: int
    input_sat: int
    peel_sat: int
    change_sat: int
    address: str | None = None
    peel_address: str | None = None
    change_address: str | None = None


class Contact(Value, frozen=True, gc=False):
    """An address met another one: it paid it, or got dust that may come from it."""

    network: str
    address: str
    look: str
    other: str
    txid: str
    amount_sat: int


class EntityWindow(Value, frozen=True, gc=False):
    """What happened to one entity in one window: Bitcoin, Web5 and ML side by side."""

    entity: str
    window_start_ts: int
    window_end_ts: int
    activity: list[Activity]
    links: list[IdentityLink]
    scores: list[AddressScore]


class EntityFact(Value, frozen=True, gc=False):
    """A fact of an address, sent on to a DID that is linked to it: one field, as the topic says."""

    entity: str
    activity: Activity | None = None
    link: IdentityLink | None = None
    score: AddressScore | None = None


class Decision(Value, frozen=True, gc=False):
    """May this output be credited now? One decision an outpoint."""

    network: str
    txid: str
    vout: int
    address: str
    amount_sat: int
    decision: str
    """credit, wait, review, refuse"""
    confirmations: int
    needed: int
    rule: str
    reasons: list[str]
    lost_sat: int = 0


class Alert(Value, frozen=True, gc=False):
    """Something a person should look at, and why."""

    entity: str
    kind: str
    severity: str
    reasons: list[str]
    evidence: list[str]
    network: str | None = None
