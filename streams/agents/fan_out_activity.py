"""facts -> bitcoin.activity, bitcoin.parties: one debit or credit an address; all addresses of one.

The first is keyed by the address, the second by the txid, for what is known of the whole later.
"""

from __future__ import annotations

from collections.abc import Iterator

from joins.state import Store
from schemas.envelope import Event
from schemas.events import Activity, Parties, Transaction
from streams import topics
from streams.engine.step import Batch, Emit, Step

NAME = "fan_out_activity"
MAX_REPLACEABLE = 0xFFFFFFFE
"""An input below this sequence signals replacement (BIP 125)."""


def process(batch: Batch, state: Store, emit: Emit) -> None:
    """Pass every debit and credit on, and who takes part."""
    for fact in batch:
        tx: Transaction = fact.value
        found = list(activity(tx))
        rows = [(f"{row.direction}:{row.index}", row) for row in found]
        emit.derive(topics.activity, fact, rows)
        addresses = list(dict.fromkeys(row.address for row in found))
        emit(topics.parties, _seen_as(fact, Parties(tx.network, tx.txid, addresses)))


def _seen_as(fact: Event, value: Parties) -> Event:
    """The fact with less in it: it never leaves the task, and needs no id of its own."""
    kind = topics.parties.event_type or ""
    return Event(
        fact.id, fact.key, fact.ts, fact.op, value, fact.correction, kind,
        fact.anchor, fact.ingest_ts, NAME, fact.correlation_id, fact.id,
    )  # fmt: skip


def activity(tx: Transaction) -> Iterator[Activity]:
    """The debits (known prevouts only) and credits of a transaction, where there is an address."""
    replaceable = any(i.sequence < MAX_REPLACEABLE for i in tx.inputs) and not tx.is_coinbase
    for index, spent in enumerate(tx.inputs):
        if spent.prevout is not None and spent.prevout.address is not None:
            amount = spent.prevout.value_sat
            yield _row(tx, spent.prevout.address, "debit", index, amount, replaceable)
    for vout, output in enumerate(tx.outputs):
        if output.address is not None:
            yield _row(tx, output.address, "credit", vout, output.value_sat, replaceable)


def _row(
    tx: Transaction, address: str, direction: str, index: int, amount_sat: int, replaceable: bool
) -> Activity:
    return Activity(
        network=tx.network,
        address=address,
        txid=tx.txid,
        direction=direction,
        index=index,
        amount_sat=amount_sat,
        status="mempool" if tx.block_hash is None else "confirmed",
        block_height=tx.block_height,
        block_hash=tx.block_hash,
        replaceable=replaceable,
    )


step = Step(NAME, (topics.facts,), (topics.activity, topics.parties), process)
