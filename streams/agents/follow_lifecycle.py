"""bitcoin.transactions, bitcoin.mempool -> bitcoin.lifecycle, facts, cancellations, replacements.

A fold by txid: of the live events of each transaction, whatever order they came in. So a reorg or a
late fact gives what would have been there from the start.
"""

from __future__ import annotations

from collections.abc import Iterator

from joins import Event, Fold, Matched, Unmatched
from schemas.events import Cancellation, MempoolEvent, PatternMatch, Transaction
from streams import topics
from streams.chain.lifecycle import Standing, fold
from streams.config import Config
from streams.engine.joining import Said, join_step
from streams.engine.step import Step
from streams.patterns.replacement import detect_replacement
from streams.tuning import HOUR_MS

NAME = "follow_lifecycle"
HORIZON_MS = 6 * HOUR_MS
"""A pause after which what comes is about a transaction anew, unless it is in the mempool. The time
of a block may be two hours off that of the node which hears of it."""
SIDES = {"transactions": topics.transactions, "mempool": topics.mempool}
WRITES = (topics.lifecycle, topics.facts, topics.cancellations, topics.matches)


def step(config: Config) -> Step:
    """The step; what is in the mempool is waited for, however long it stays there."""
    join = Fold(
        function=_stand,
        horizon=HORIZON_MS,
        holds=_in_mempool,
        name=NAME,
        sides=tuple(SIDES),
        grace=config.engine.grace_ms,
        lateness=config.engine.lateness_ms,
    )
    return join_step(join, SIDES, WRITES, _say)


def _stand(events: list[tuple[str, Event]]) -> Standing | None:
    return fold(event for _, event in events)


def _in_mempool(standing: Standing) -> bool:
    return standing.lifecycle.state == "mempool"


def _say(result: Matched | Unmatched) -> Iterator[Said]:
    assert isinstance(result, Matched)
    standing: Standing = result.value
    fact, ts = standing.fact, standing.ts
    anchor = fact.anchor if fact is not None else None
    yield Said(topics.lifecycle, standing.lifecycle, ts=ts, anchor=anchor)
    if fact is not None and standing.body is not None:
        yield Said(topics.facts, standing.body, fact.id, fact.ts, fact.anchor)
    if standing.gone is None:
        return
    if standing.last_body is not None:
        for vout, gone in cancellations(standing.last_body, standing.gone).items():
            yield Said(topics.cancellations, gone, str(vout), ts)
    match = _replacement(standing.gone, standing.last_body)
    if match is not None:
        yield Said(topics.matches, match, ts=ts)


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


def _replacement(gone: MempoolEvent, body: Transaction | None) -> PatternMatch | None:
    if gone.replaced_by is None:
        return None
    return detect_replacement(gone.network, gone.txid, body, gone.replaced_by, gone.replacement)
