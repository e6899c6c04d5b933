"""facts -> patterns.matches: what the shape of each transaction says."""

from __future__ import annotations

from joins.state import Store
from streams import topics
from streams.engine.step import Batch, Emit, Step, derived
from streams.patterns import detect_all

NAME = "detect_patterns"


def process(batch: Batch, state: Store, emit: Emit) -> None:
    """Pass every match on; several of one pattern are told apart by their order."""
    for fact in batch:
        for number, match in enumerate(detect_all(fact.value)):
            part = f"{match.pattern}:{number}"
            emit(topics.matches, derived(NAME, fact, topics.matches, match, part))


step = Step(NAME, (topics.facts,), (topics.matches,), process)
