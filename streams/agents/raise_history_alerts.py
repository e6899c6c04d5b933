"""patterns.history_matches -> alerts: the severe ones, by the same rule as all other matches."""

from __future__ import annotations

from joins.state import Store
from streams import topics
from streams.agents.raise_alerts import from_match
from streams.engine.step import Batch, Emit, Step, derived

NAME = "raise_history_alerts"


def process(batch: Batch, state: Store, emit: Emit) -> None:
    """Turn severe matches into alerts."""
    for event in batch:
        alert = from_match(event.value)
        if alert is not None:
            emit(topics.alerts, derived(NAME, event, topics.alerts, alert))


step = Step(NAME, (topics.history_matches,), (topics.alerts,), process)
