"""Where a transaction stands: a pure fold of its live facts, whatever order they came in.

The facts are confirmed transactions (one for each block that holds it) and what a node's mempool
saw. Confirmed beats unconfirmed; among mempool facts the last one counts, by event time and then
by the node's own sequence number.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from schemas.envelope import Event
from schemas.events import Lifecycle, MempoolEvent, Transaction

_LAST = 1 << 62
GONE = ("replaced", "evicted", "expired", "conflicted")


class Standing(NamedTuple):
    """The outcome of the fold."""

    lifecycle: Lifecycle
    ts: int
    """Since when it stands so (ms): the time of its block, or of the mempool's last word."""
    fact: Event | None
    """The event that holds the one live form of the transaction; None when it is gone."""
    body: Transaction | None
    """The transaction of ``fact``."""
    gone: MempoolEvent | None
    """How it left the mempool, when it did."""
    last_body: Transaction | None
    """The last body known, live or not."""


def fold(events: Iterable[Event]) -> Standing | None:
    """Fold the live events of one txid; None when there is none."""
    confirmed, seen = _sorted(events)
    if not confirmed and not seen:
        return None
    bodies = [e for e in seen if e.value.kind == "added" and e.value.transaction is not None]
    if confirmed:
        newest, body = confirmed[-1], confirmed[-1].value
        return Standing(_lifecycle("confirmed", newest, seen), newest.ts, newest, body, None, body)
    known = bodies[-1].value.transaction if bodies else None
    ts, last = seen[-1].ts, seen[-1].value
    if last.kind in GONE:
        return Standing(_lifecycle(last.kind, None, seen), ts, None, None, last, known)
    fact = bodies[-1] if bodies else None
    return Standing(_lifecycle("mempool", None, seen), ts, fact, known, None, known)


def _sorted(events: Iterable[Event]) -> tuple[list[Event], list[Event]]:
    confirmed: list[Event] = []
    seen: list[Event] = []
    for event in events:
        (seen if isinstance(event.value, MempoolEvent) else confirmed).append(event)
    confirmed.sort(key=lambda e: (e.ts, e.id))
    seen.sort(key=_mempool_order)
    return confirmed, seen


def _mempool_order(event: Event) -> tuple[int, int, str]:
    sequence = event.value.mempool_sequence
    return (event.ts, _LAST if sequence is None else sequence, event.id)


def _lifecycle(state: str, fact: Event | None, seen: list[Event]) -> Lifecycle:
    body: Transaction | None = fact.value if fact is not None else None
    first = seen[0].value if seen else body
    assert first is not None
    added = [e.ts for e in seen if e.value.kind == "added"]
    lost = {
        e.value.block_hash
        for e in seen
        if e.value.kind == "confirmed" and (body is None or e.value.block_hash != body.block_hash)
    }
    last = seen[-1].value if seen else None
    return Lifecycle(
        network=first.network,
        txid=first.txid,
        state=state,
        first_seen_ts=min(added) if added else None,
        confirmed_ts=fact.ts if fact is not None else None,
        block_hash=body.block_hash if body is not None else None,
        block_height=body.block_height if body is not None else None,
        replaced_by=last.replaced_by if last is not None and state == "replaced" else None,
        confirmations_lost=len(lost),
    )
