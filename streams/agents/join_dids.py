"""entities.activity x entities.links x entities.scores -> entities.joined: a row for each DID.

The same window as for addresses (``join_entities``), over the facts of all addresses to which the
DID was linked at their time, and what it said itself. A link that is revoked or proved later moves
those facts out of the DID's rows, or into them.
"""

from __future__ import annotations

from typing import Any

from schemas.events import EntityFact
from streams import topics
from streams.agents.join_entities import windows
from streams.config import Config
from streams.engine.step import Step

NAME = "join_dids"
SIDES = {
    "activity": topics.entity_activity,
    "links": topics.entity_links,
    "scores": topics.entity_scores,
}


def step(config: Config) -> Step:
    """The step, with the window's size from the configuration."""
    return windows(NAME, SIDES, config, _fact)


def _fact(side: str, value: EntityFact) -> Any:
    return {"activity": value.activity, "links": value.link, "scores": value.score}[side]
