"""web5.identity_links -> web5.recent_links, entities.links: what a window may still take up.

The second is keyed by the DID that speaks. A table is never late, and a window is let go some time
after its end. What is older than that would begin it anew, as if nothing else had been in it, so it
is left out here, by a named rule.
"""

from __future__ import annotations

from joins.state import Store
from schemas.events import EntityFact
from streams import topics
from streams.config import Config
from streams.engine.step import Batch, Emit, Step

NAME = "pass_on_links"
RULE = "older than the windows that are kept"


def step(config: Config) -> Step:
    """The step; windows are kept as long as what is in them can be corrected."""
    return _keeping(config.engine.retract_grace_ms)


def _keeping(undo: int) -> Step:
    """The step whose links can be corrected for ``undo`` ms: no window is kept for less."""

    def process(batch: Batch, state: Store, emit: Emit) -> None:
        for event in batch:
            if event.ts < batch.watermark - undo:
                emit.filtered(event, RULE)
            else:
                emit.derive(topics.recent_links, event, [("address", event.value)])
                fact = EntityFact(event.value.did, link=event.value)
                emit.derive(topics.entity_links, event, [("did", fact)])

    writes = (topics.recent_links, topics.entity_links)
    return Step(NAME, (topics.identity_links,), writes, process, bind=_keeping)
