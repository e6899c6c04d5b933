"""bitcoin.transactions, bitcoin.mempool -> bitcoin.lifecycle, facts, cancellations, replacements.

A fold by txid. It keeps the live events of each transaction, so a reorg or a late fact gives what
would have been there from the start.
"""

from __future__ import annotations

import msgspec

from joins.state import Store
from schemas.envelope import Event
from schemas.events import Cancellation, MempoolEvent, Transaction
from schemas.ids import digest_id
from streams import topics
from streams.chain.lifecycle import Standing, fold
from streams.engine.step import Batch, Emit, Rows, Step, retraction
from streams.patterns.replacement import detect_replacement
from streams.topics import DAY_MS

NAME = "follow_lifecycle"
HORIZON_MS = DAY_MS
"""How long after its last event a transaction can still change."""


def process(batch: Batch, state: Store, emit: Emit) -> None:
    """Fold each event into its transaction and say what changed."""
    for event in batch:
        _keep(state, event)
        events = [e for _, e in state.scan(("event", event.key))]
        _say(state, emit, event, fold(events))


def advance(watermark: int, state: Store, emit: Emit) -> None:
    """Forget transactions that nothing can change any more."""
    limit = watermark - HORIZON_MS
    for key, _ in list(state.scan(("due",), None, (limit,))):
        state.delete(key)
        txid = str(key[2])
        events = list(state.scan(("event", txid)))
        if any(e.ts >= limit for _, e in events):
            continue
        standing = fold([e for _, e in events])
        if standing is not None and standing.lifecycle.state == "mempool":
            state.put(("due", watermark, txid), True)  # it may still leave the mempool
            continue
        for place, _ in events:
            state.delete(place)
        state.delete(("fact", txid))
        for prefix in (("row", topics.lifecycle.name, txid), ("row", topics.matches.name, txid)):
            state.delete(prefix)
        for place, _ in list(state.scan(("gone", txid))):
            state.delete(place)


def _keep(state: Store, event: Event) -> None:
    place = ("event", event.key, event.id)
    if event.op == "retract":
        state.delete(place)
    else:
        state.put(place, event)
        state.put(("due", event.ts, event.key), True)


def _say(state: Store, emit: Emit, cause: Event, standing: Standing | None) -> None:
    rows = Rows(NAME, state, emit)
    txid = cause.key
    lifecycle = standing.lifecycle if standing is not None else None
    rows.set(topics.lifecycle, txid, lifecycle, cause.ts, cause)
    _say_fact(state, emit, cause, standing)
    _say_cancellations(rows, state, cause, standing)
    _say_replacement(rows, cause, standing)


def _say_fact(state: Store, emit: Emit, cause: Event, standing: Standing | None) -> None:
    old: Event | None = state.get(("fact", cause.key))
    new = _fact(standing)
    if old is not None and new is not None and (old.id, old.value) == (new.id, new.value):
        return
    if old is not None:
        emit(topics.facts, retraction(old, cause))
        state.delete(("fact", cause.key))
    if new is not None:
        new.correction = cause.correction or cause.op == "retract"
        emit(topics.facts, new)
        state.put(("fact", cause.key), new)


def _fact(standing: Standing | None) -> Event | None:
    if standing is None or standing.fact is None or standing.body is None:
        return None
    return msgspec.structs.replace(
        standing.fact,
        id=digest_id(NAME, "fact", standing.fact.id),
        op="assert",
        value=standing.body,
        type=topics.facts.event_type or "",
        producer=NAME,
        causation_id=standing.fact.id,
    )


def _say_cancellations(rows: Rows, state: Store, cause: Event, standing: Standing | None) -> None:
    txid = cause.key
    wanted: dict[int, Cancellation] = {}
    if standing is not None and standing.gone is not None and standing.last_body is not None:
        wanted = cancellations(standing.last_body, standing.gone)
    standing_vouts = {int(key[2]) for key, _ in state.scan(("gone", txid))}
    for vout in standing_vouts | set(wanted):
        rows.set(topics.cancellations, f"{txid}:{vout}", wanted.get(vout), cause.ts, cause)
        if vout in wanted:
            state.put(("gone", txid, vout), True)
        else:
            state.delete(("gone", txid, vout))


def cancellations(body: Transaction, gone: MempoolEvent) -> dict[int, Cancellation]:
    """By vout, the payments of ``body`` that will not come."""
    return {
        vout: Cancellation(
            network=body.network,
            address=output.address,
            txid=body.txid,
            vout=vout,
            amount_sat=output.value_sat,
            kind=gone.kind,
            replaced_by=gone.replaced_by,
            still_paid_sat=_still_paid(output.address, gone.replacement),
        )
        for vout, output in enumerate(body.outputs)
        if output.address is not None
    }


def _still_paid(address: str, replacement: Transaction | None) -> int | None:
    if replacement is None:
        return None
    return sum(o.value_sat for o in replacement.outputs if o.address == address)


def _say_replacement(rows: Rows, cause: Event, standing: Standing | None) -> None:
    match = None
    gone = standing.gone if standing is not None else None
    if standing is not None and gone is not None and gone.replaced_by is not None:
        match = detect_replacement(
            gone.network, gone.txid, standing.last_body, gone.replaced_by, gone.replacement
        )
    rows.set(topics.matches, cause.key, match, cause.ts, cause)


step = Step(
    NAME,
    (topics.transactions, topics.mempool),
    (topics.lifecycle, topics.facts, topics.cancellations, topics.matches),
    process,
    advance,
)
