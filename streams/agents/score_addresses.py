"""bitcoin.parties x ml.results -> ml.address_results: a score, for each address that takes part.

An interval join by txid: a fact and its score have one time. A score that is corrected later, or
a transaction that moves to another block, corrects them all.
"""

from __future__ import annotations

from joins import IntervalJoin, Matched, Unmatched
from schemas.envelope import Event
from schemas.events import AddressScore, Parties, Score
from streams import topics
from streams.config import Config
from streams.engine.joining import Fanned, join_step
from streams.engine.step import Step

NAME = "score_addresses"
SIDES = {"left": topics.parties, "right": topics.results}


def step(config: Config) -> Step:
    """The step; grace as in the settings."""
    join = IntervalJoin(
        before=0,
        after=0,
        name=NAME,
        grace=config.engine.grace_ms,
        lateness=config.engine.lateness_ms,
    )
    return join_step(join, SIDES, (topics.address_results,), _say)


def _say(result: Matched | Unmatched) -> tuple[Fanned]:
    parties, scored = result.members["left"], result.members["right"]
    assert isinstance(parties, Event)
    assert isinstance(scored, Event)
    who: Parties = parties.value
    rows = [(address, _at(address, scored.value)) for address in who.addresses]
    return (Fanned(topics.address_results, rows, anchor=scored.anchor),)


def _at(address: str, found: Score) -> AddressScore:
    return AddressScore(
        found.network,
        address,
        found.txid,
        found.score,
        found.reason,
        found.partial,
        found.snapshot_id,
    )
