"""activity, cancellations, identity links, scores and tip -> payments.decisions.

One decision an outpoint of a watched address, corrected whenever a fact changes: a confirmation,
a replacement, a reorg, a score, a DID's statement.
"""

from __future__ import annotations

from joins.state import Store
from schemas.envelope import Event
from schemas.events import Activity, AddressScore, Cancellation, IdentityLink, Tip
from streams import topics
from streams.chain.payments import Known, PaymentSettings, decide
from streams.config import Config
from streams.engine.step import Batch, Emit, Rows, Step

NAME = "decide_payments"
UNDO_BLOCKS = 100
"""A payment this deep is settled: its state is let go."""


def step(config: Config) -> Step:
    """The step, with the rules of the configuration."""
    settings = config.payments

    def process(batch: Batch, state: Store, emit: Emit) -> None:
        for event in batch:
            if batch.topic is topics.tip:
                _take_tip(settings, state, emit, event)
            elif settings.watches(event.key):
                _take(settings, state, emit, event)

    return Step(
        NAME,
        (
            topics.activity,
            topics.cancellations,
            topics.identity_links,
            topics.address_results,
            topics.tip,
        ),
        (topics.decisions,),
        process,
    )


def _take(settings: PaymentSettings, state: Store, emit: Emit, event: Event) -> None:
    value = event.value
    if isinstance(value, Activity) and value.direction != "credit":
        return
    kind = type(value).__name__
    place = ("fact", event.key, kind, event.id)
    if event.op == "retract":
        state.delete(place)
    else:
        state.put(place, event)
    if isinstance(value, Activity):
        outpoints = [(value.network, value.txid, value.index)]
    elif isinstance(value, Cancellation):
        outpoints = [(value.network, value.txid, value.vout)]
    else:
        outpoints = _outpoints(state, event.key)
    for outpoint in outpoints:
        _decide(settings, state, emit, event.key, outpoint, event)


Outpoint = tuple[str, str, int]


def _facts(state: Store, address: str, kind: type) -> list[Event]:
    return [e for _, e in state.scan(("fact", address, kind.__name__))]


def _outpoints(state: Store, address: str) -> list[Outpoint]:
    paid = _facts(state, address, Activity)
    found = {(e.value.network, e.value.txid, e.value.index) for e in paid}
    for event in _facts(state, address, Cancellation):
        found.add((event.value.network, event.value.txid, event.value.vout))
    return sorted(found)


def _decide(
    settings: PaymentSettings,
    state: Store,
    emit: Emit,
    address: str,
    outpoint: Outpoint,
    cause: Event,
) -> None:
    network, txid, vout = outpoint
    credits = [
        e
        for e in _facts(state, address, Activity)
        if (e.value.network, e.value.txid, e.value.index) == outpoint
    ]
    gone = [
        e
        for e in _facts(state, address, Cancellation)
        if (e.value.network, e.value.txid, e.value.vout) == outpoint
    ]
    scores = [e for e in _facts(state, address, AddressScore) if e.value.txid == txid]
    known = Known(
        credit=max(credits, key=_settled).value if credits else None,
        cancellation=max(gone, key=lambda e: (e.ts, e.id)).value if gone else None,
        score=max(scores, key=lambda e: (e.ts, e.id)).value if scores else None,
        links=_claims(state, address),
        tip_height=_height(state, network),
    )
    ts = max((e.ts for e in (*credits, *gone)), default=cause.ts)
    row = f"{network}:{txid}:{vout}"
    decision = decide(settings, known)
    Rows(NAME, state, emit).set(topics.decisions, row, decision, ts, cause)
    watch = ("open", network, address, txid, vout)
    if decision is None:
        state.delete(watch)
    else:
        state.put(watch, known.credit.block_height or 0 if known.credit is not None else 0)


def _settled(event: Event) -> tuple[bool, int, str]:
    return (event.value.block_height is not None, event.ts, event.id)


def _claims(state: Store, address: str) -> list[IdentityLink]:
    """The newest version of each record that speaks of the address."""
    newest: dict[str, Event] = {}
    for event in _facts(state, address, IdentityLink):
        old = newest.get(event.value.record_id)
        if old is None or (old.ts, old.id) < (event.ts, event.id):
            newest[event.value.record_id] = event
    return [newest[record].value for record in sorted(newest)]


def _height(state: Store, network: str) -> int | None:
    top = next(state.scan(("tip", network), reverse=True), None)
    return int(top[0][2]) if top is not None else None


def _take_tip(settings: PaymentSettings, state: Store, emit: Emit, event: Event) -> None:
    tip: Tip = event.value
    place = ("tip", tip.network, tip.height, tip.hash)
    before = _height(state, tip.network)
    if event.op == "retract":
        state.delete(place)
    else:
        state.put(place, True)
        for key, _ in list(state.scan(("tip", tip.network), None, (tip.height - UNDO_BLOCKS,))):
            state.delete(key)
    if _height(state, tip.network) == before:
        return
    for key, height in list(state.scan(("open", tip.network))):
        address, txid, vout = str(key[2]), str(key[3]), int(key[4])
        _decide(settings, state, emit, address, (tip.network, txid, vout), event)
        if height and height < tip.height - UNDO_BLOCKS:
            _let_go(state, key, (address, txid, vout))


def _let_go(state: Store, key: tuple[str | int, ...], payment: tuple[str, str, int]) -> None:
    """A settled payment's facts are no longer needed."""
    address, txid, vout = payment
    state.delete(key)
    state.delete(("row", topics.decisions.name, f"{key[1]}:{txid}:{vout}"))
    for kind in (Activity, Cancellation):
        for place, event in list(state.scan(("fact", address, kind.__name__))):
            index = event.value.index if kind is Activity else event.value.vout
            if (event.value.txid, index) == (txid, vout):
                state.delete(place)
