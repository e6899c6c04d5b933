"""bitcoin.activity x web5.identity_links x ml.address_results -> entities.joined.

A three-way window by entity: what happened to an address on the chain, what DIDs said about it,
and what the model thinks of its transactions, side by side. Eager: the first fact gives a row, each
further one corrects it. A side in which nothing happened is empty.
"""

from __future__ import annotations

from typing import Any

from joins import Matched, Tumbling, Unmatched, WindowJoin
from schemas.events import EntityWindow
from streams import topics
from streams.config import Config
from streams.engine.joining import join_step
from streams.engine.step import Step

NAME = "join_entities"
SIDES = {
    "activity": topics.activity,
    "links": topics.identity_links,
    "scores": topics.address_results,
}


def step(config: Config) -> Step:
    """The step, with the window's size from the configuration."""
    size = config.entity_window_ms
    join = WindowJoin(
        windows=Tumbling(size=size),
        mode="group",
        name=NAME,
        kind="outer",
        sides=tuple(SIDES),
        emit="eager",
        grace=config.engine.grace_ms,
        retract_grace=config.engine.retract_grace_ms + size,
    )

    def say(result: Matched | Unmatched) -> EntityWindow:
        return EntityWindow(
            entity=result.key,
            window_start_ts=result.ts + 1 - size,
            window_end_ts=result.ts + 1,
            activity=_values(result, "activity"),
            links=_values(result, "links"),
            scores=_values(result, "scores"),
        )

    return join_step(join, SIDES, topics.entities, say)


def _values(result: Matched | Unmatched, side: str) -> list[Any]:
    members = result.members[side]
    assert isinstance(members, tuple)
    return [event.value for event in members]
