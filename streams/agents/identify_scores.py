"""ml.address_results x web5.address_identities -> entities.scores: a score, for each DID linked.

The same lookup as that of activity: by the links that stood at the address at the score's time.
"""

from __future__ import annotations

from collections.abc import Iterator

from joins import Matched, Unmatched
from schemas.envelope import Event
from schemas.events import AddressScore, EntityFact
from streams import topics
from streams.agents.identify_activity import dids, links_of, lookup
from streams.config import Config
from streams.engine.joining import Said, join_step
from streams.engine.step import Step

NAME = "identify_scores"
SIDES = {"right": topics.address_identities, "left": topics.address_results}


def step(config: Config) -> Step:
    """The step; a link corrects what lies no further back than the undo horizon."""
    return join_step(lookup(NAME, config), SIDES, (topics.entity_scores,), _say)


def _say(result: Matched | Unmatched) -> Iterator[Said]:
    event = result.members["left"]
    assert isinstance(event, Event)
    score: AddressScore = event.value
    for did in dids(links_of(result, score.network)):
        fact = EntityFact(did, score=score)
        yield Said(topics.entity_scores, fact, did, anchor=event.anchor)
