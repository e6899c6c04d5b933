"""ml.features, ml.models -> ml.results, and the same by address.

Which snapshot scores a transaction is decided by event time: the newest one that was valid at the
transaction's time. A snapshot that arrives later corrects the scores it should have given.
"""

from __future__ import annotations

from joins.state import Store
from schemas.envelope import Event
from schemas.events import AddressScore, Features, ModelSnapshot, Score
from streams import topics
from streams.engine.step import Batch, Emit, Rows, Step
from streams.models.scorer import score
from streams.patterns.words import all_addresses
from streams.topics import DAY_MS

NAME = "score_transactions"
HORIZON_MS = DAY_MS
MODEL_ID = "transactions"


def process(batch: Batch, state: Store, emit: Emit) -> None:
    """Keep addresses, features and snapshots; score what each of them touches."""
    for event in batch:
        if batch.topic is topics.facts:
            _keep_addresses(state, event)
        elif batch.topic is topics.models:
            _take_snapshot(state, emit, event)
        else:
            _take_features(state, emit, event)


def advance(watermark: int, state: Store, emit: Emit) -> None:
    """Forget vectors that no snapshot can correct any more; keep the newest snapshot of then."""
    limit = watermark - HORIZON_MS
    for key, event in list(state.scan(("vector",), None, (limit,))):
        state.delete(key)
        state.delete(("addresses", event.key))
        state.delete(("row", topics.results.name, event.id))
        for address in _addresses(state, event.key):
            state.delete(("row", topics.address_results.name, f"{event.id}:{address}"))
    old = list(state.scan(("snapshot",), None, (limit,)))
    for key, _ in old[:-1]:
        state.delete(key)


def _keep_addresses(state: Store, fact: Event) -> None:
    if fact.op == "assert":
        state.put(("addresses", fact.key), all_addresses(fact.value))


def _addresses(state: Store, txid: str) -> list[str]:
    return list(state.get(("addresses", txid)) or ())


def _take_features(state: Store, emit: Emit, event: Event) -> None:
    place = ("vector", event.ts, event.id)
    if event.op == "retract":
        state.delete(place)
        _say(state, emit, event, event, None)
        return
    state.put(place, event)
    _say(state, emit, event, event, _scored(state, event))


def _take_snapshot(state: Store, emit: Emit, event: Event) -> None:
    snapshot: ModelSnapshot = event.value
    place = ("snapshot", snapshot.valid_from_ts, snapshot.snapshot_id)
    if event.op == "retract":
        state.delete(place)
    else:
        state.put(place, snapshot)
    for _, vector in list(state.scan(("vector",), (snapshot.valid_from_ts,))):
        _say(state, emit, vector, event, _scored(state, vector))


def _scored(state: Store, vector: Event) -> Score:
    features: Features = vector.value
    newest = next(state.scan(("snapshot",), None, (vector.ts + 1,), reverse=True), None)
    return score(features, newest[1] if newest is not None else None, MODEL_ID)


def _say(state: Store, emit: Emit, vector: Event, cause: Event, found: Score | None) -> None:
    rows = Rows(NAME, state, emit)
    anchor = vector.anchor
    rows.set(topics.results, vector.id, found, vector.ts, cause, anchor=anchor)
    for address in _addresses(state, vector.key):
        row = f"{vector.id}:{address}"
        value = _at(address, found) if found is not None else None
        rows.set(topics.address_results, row, value, vector.ts, cause, anchor=anchor)


def _at(address: str, found: Score) -> AddressScore:
    return AddressScore(
        network=found.network,
        address=address,
        txid=found.txid,
        score=found.score,
        reason=found.reason,
        partial=found.partial,
        snapshot_id=found.snapshot_id,
    )


step = Step(
    NAME,
    (topics.facts, topics.features, topics.models),
    (topics.results, topics.address_results),
    process,
    advance,
)
