"""facts -> ml.features: the named feature vector of each transaction."""

from __future__ import annotations

from joins.state import Store
from streams import topics
from streams.engine.step import Batch, Emit, Step
from streams.features import extract

NAME = "extract_features"


def process(batch: Batch, state: Store, emit: Emit) -> None:
    """Extract the features of each fact."""
    for fact in batch:
        emit.derive(topics.features, fact, [("", extract(fact.value))])


step = Step(NAME, (topics.facts,), (topics.features,), process)
