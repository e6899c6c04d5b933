"""bitcoin.activity x web5.recent_links x ml.address_results -> entities.joined.

A three-way window by entity: what happened to an address on the chain, what DIDs said about it,
and what the model thinks of its transactions, side by side. Eager: the first fact gives a row, each
further one corrects it. A side in which nothing happened is empty. ``join_dids`` does the same for
each DID.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from joins import Matched, Tumbling, Unmatched, WindowJoin
from schemas.events import EntityWindow
from streams import topics
from streams.config import Config
from streams.engine.joining import join_step
from streams.engine.step import Step
from streams.topics import Topic

NAME = "join_entities"
SIDES = {
    "activity": topics.activity,
    "links": topics.recent_links,
    "scores": topics.address_results,
}


def step(config: Config) -> Step:
    """The step, with the window's size from the configuration."""
    return windows(NAME, SIDES, config, lambda side, value: value)


def windows(
    name: str, sides: Mapping[str, Topic], config: Config, take: Callable[[str, Any], Any]
) -> Step:
    """The windows of a kind of entity; ``take`` gives the fact that a value of a side holds."""
    size = config.entity_window_ms
    join = WindowJoin(
        windows=Tumbling(size=size),
        mode="group",
        name=name,
        kind="outer",
        sides=tuple(sides),
        emit="eager",
        grace=config.engine.grace_ms,
        lateness=config.engine.lateness_ms,
    )

    def facts(result: Matched | Unmatched, side: str) -> list[Any]:
        members = result.members[side]
        assert isinstance(members, tuple)
        return [take(side, event.value) for event in members]

    def say(result: Matched | Unmatched) -> EntityWindow:
        return EntityWindow(
            entity=result.key,
            window_start_ts=result.ts + 1 - size,
            window_end_ts=result.ts + 1,
            activity=facts(result, "activity"),
            links=facts(result, "links"),
            scores=facts(result, "scores"),
        )

    return join_step(join, sides, topics.entities, say)
