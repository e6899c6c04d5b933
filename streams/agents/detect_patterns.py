"""facts -> patterns.matches: what the shape of each transaction says."""

from __future__ import annotations

from joins.state import Store
from streams import topics
from streams.engine.step import Batch, Emit, Step
from streams.patterns import detect_all

NAME = "detect_patterns"


def process(batch: Batch, state: Store, emit: Emit) -> None:
    """Pass every match on; several of one pattern are told apart by their order."""
    for fact in batch:
        found = detect_all(fact.value)
        if found:
            rows = [(f"{match.pattern}:{number}", match) for number, match in enumerate(found)]
            emit.derive(topics.matches, fact, rows)


step = Step(NAME, (topics.facts,), (topics.matches,), process)
