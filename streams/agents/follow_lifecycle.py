"""bitcoin.transactions, bitcoin.mempool -> bitcoin.lifecycle, facts, cancellations, replacements.

A fold by txid. It keeps the live events of each transaction, so a reorg or a late fact gives what
would have been there from the start.
"""

from __future__ import annotations

import msgspec

from schemas.envelope import Event
from schemas.events import Cancellation, MempoolEvent, Transaction
from schemas.ids import digest_id
from streams import topics
from streams.chain.lifecycle import Standing, fold
from streams.engine.codec import register
from streams.engine.step import Batch, Emit, Rows, Step, retraction, row_event
from streams.engine.stores import Scope
from streams.patterns.replacement import detect_replacement
from streams.topics import DAY_MS

NAME = "follow_lifecycle"
HORIZON_MS = DAY_MS
"""How long after its last event a transaction can still change."""


@register
class Followed(msgspec.Struct, gc=False):
    """All that is kept of a transaction, due at the greatest time of its events."""

    events: list[Event]
    """The live ones, in order of arrival."""
    row: Event | None
    """What ``bitcoin.lifecycle`` says of it."""
    gone: list[int]
    """Outputs that were said to be cancelled."""


def process(batch: Batch, state: Scope, emit: Emit) -> None:
    """Fold each event into its transaction and say what changed."""
    for event in batch:
        place = ("tx", event.key)
        known: Followed = state.get(place) or Followed([], None, [])
        events = [e for e in known.events if e.id != event.id]
        if event.op == "assert":
            events.append(event)
        before, after = fold(known.events), fold(events)
        row = _say_row(emit, event, known.row, after)
        _say_fact(emit, event, before, after)
        gone = _say_cancellations(state, emit, event, known.gone, after)
        _say_replacement(Rows(NAME, state, emit), event, after)
        if events or row is not None:
            state.put(
                place, Followed(events, row, gone), max((e.ts for e in events), default=event.ts)
            )
        else:
            state.delete(place)


def advance(watermark: int, state: Scope, emit: Emit) -> None:
    """Forget transactions that nothing can change any more."""
    for place in state.due("tx", None, watermark - HORIZON_MS):
        known: Followed | None = state.get(place)
        assert known is not None
        row = known.row
        if row is not None and row.value.state == "mempool":
            state.put(place, known, watermark)  # it may still leave the mempool
            continue
        txid = str(place[1])
        state.delete(place)
        state.delete(("row", topics.matches.name, txid))
        for vout in known.gone:
            state.delete(("row", topics.cancellations.name, f"{txid}:{vout}"))


def _say_row(
    emit: Emit, cause: Event, old: Event | None, standing: Standing | None
) -> Event | None:
    """Say where the transaction stands, if that changed; returns what is said from now on."""
    value = standing.lifecycle if standing is not None else None
    if (old.value if old is not None else None) == value:
        return old
    if old is not None:
        emit(topics.lifecycle, retraction(old, cause))
    if value is None:
        return None
    new = row_event(
        NAME, topics.lifecycle, cause.key, value, cause.ts, cause, old is not None, cause.anchor
    )
    emit(topics.lifecycle, new)
    return new


def _say_fact(emit: Emit, cause: Event, before: Standing | None, after: Standing | None) -> None:
    old, new = _fact(before), _fact(after)
    if old is not None and new is not None and (old.id, old.value) == (new.id, new.value):
        return
    if old is not None:
        emit(topics.facts, retraction(old, cause))
    if new is not None:
        new.correction = cause.correction or cause.op == "retract"
        emit(topics.facts, new)


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


def _say_cancellations(
    state: Scope, emit: Emit, cause: Event, gone: list[int], standing: Standing | None
) -> list[int]:
    """Say which payments will not come; returns the outputs that are said."""
    wanted: dict[int, Cancellation] = {}
    if standing is not None and standing.gone is not None and standing.last_body is not None:
        wanted = cancellations(standing.last_body, standing.gone)
    if not wanted and not gone:
        return gone
    rows = Rows(NAME, state, emit)
    for vout in sorted(wanted.keys() | set(gone)):
        row = f"{cause.key}:{vout}"
        rows.set(topics.cancellations, row, wanted.get(vout), cause.ts, cause)
    return sorted(wanted)


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
