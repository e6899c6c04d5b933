"""bitcoin.activity x web5.address_identities -> bitcoin.identified_activity, entities.activity.

Who was it? A lookup, eager: each activity with the links that stood at its address at its time, and
once for each DID. A link that is proved or revoked later, with a time before it, corrects what was
joined. What nobody is linked to is not said: it stands in ``bitcoin.activity``.
"""

from __future__ import annotations

from collections.abc import Iterator

from joins import LookupJoin, Matched, Unmatched
from schemas.envelope import Event
from schemas.events import (
    Activity,
    AddressIdentities,
    EntityFact,
    IdentifiedActivity,
    IdentityLink,
)
from streams import topics
from streams.config import Config
from streams.engine.joining import Said, join_step
from streams.engine.step import Step

NAME = "identify_activity"
SIDES = {"right": topics.address_identities, "left": topics.activity}


def step(config: Config) -> Step:
    """The step; a link corrects what lies no further back than the undo horizon."""
    writes = (topics.identified_activity, topics.entity_activity)
    return join_step(lookup(NAME, config), SIDES, writes, _say)


def lookup(name: str, config: Config) -> LookupJoin:
    """Facts of addresses on the left, each with the version of the links of its time."""
    return LookupJoin(
        name=name,
        emit="eager",
        horizon=0,  # a fact is kept for as long as it can be withdrawn, and corrected till then
        grace=config.engine.grace_ms,
        lateness=config.engine.lateness_ms,
    )


def links_of(result: Matched | Unmatched, network: str) -> list[IdentityLink]:
    """The links of the version that was found, as far as they are about this network."""
    version = result.members["right"]
    assert isinstance(version, Event)
    found: AddressIdentities = version.value
    return [link for link in found.links if link.network in (None, network)]


def dids(links: list[IdentityLink]) -> list[str]:
    """The DIDs of the links, each once: one may be linked by several records."""
    return list(dict.fromkeys(link.did for link in links))


def _say(result: Matched | Unmatched) -> Iterator[Said]:
    event = result.members["left"]
    assert isinstance(event, Event)
    activity: Activity = event.value
    links = links_of(result, activity.network)
    if links:
        identified = IdentifiedActivity(activity, links)
        yield Said(topics.identified_activity, identified, anchor=event.anchor)
    for did in dids(links):
        fact = EntityFact(did, activity=activity)
        yield Said(topics.entity_activity, fact, did, anchor=event.anchor)
