"""bitcoin.blocks -> bitcoin.tip: every connected block, in every partition."""

from __future__ import annotations

from joins.state import Store
from schemas.catalog import BY_NAME
from schemas.envelope import Event
from schemas.events import Tip
from streams import topics
from streams.engine.step import Batch, Emit, Step, derived

NAME = "track_tip"


def process(batch: Batch, state: Store, emit: Emit) -> None:
    """Pass each block on as a tip; readers take the highest live one."""
    for block in batch:
        emit(topics.tip, tip_of(block))


def tip_of(block: Event) -> Event:
    """The tip event of a block event."""
    value = Tip(block.value.network, block.value.height, block.value.hash)
    tip = derived(NAME, block, topics.tip, value)
    tip.id = BY_NAME["bitcoin.tip.v1"].event_id(value) or tip.id
    return tip


step = Step(NAME, (topics.blocks,), (topics.tip,), process)
