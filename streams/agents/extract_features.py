"""facts -> ml.features: the named feature vector of each transaction."""

from __future__ import annotations

from joins.state import Store
from streams import topics
from streams.engine.step import Batch, Emit, Step, derived
from streams.features import extract

NAME = "extract_features"


def process(batch: Batch, state: Store, emit: Emit) -> None:
    """Extract the features of each fact."""
    for fact in batch:
        emit(topics.features, derived(NAME, fact, topics.features, extract(fact.value)))


step = Step(NAME, (topics.facts,), (topics.features,), process)
