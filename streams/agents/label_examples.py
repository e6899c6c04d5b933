"""ml.labels x ml.features -> ml.examples: a late truth meets the vector it is about (lookup)."""

from __future__ import annotations

from joins import LookupJoin, Matched, Unmatched
from schemas.envelope import Event
from schemas.events import Example
from streams import topics
from streams.agents.score_transactions import MODEL_ID
from streams.config import Config
from streams.engine.joining import join_step
from streams.engine.step import Step

NAME = "label_examples"
SIDES = {"left": topics.labels, "right": topics.features}


def step(config: Config) -> Step:
    """The step; a vector can be labelled for as long as the undo horizon lasts."""
    join = LookupJoin(
        name=NAME,
        kind="inner",
        emit="eager",
        horizon=config.engine.retract_grace_ms,
        grace=config.engine.grace_ms,
        lateness=config.engine.lateness_ms,
    )
    return join_step(join, SIDES, topics.examples, _say)


def _say(result: Matched | Unmatched) -> Example:
    label, vector = result.members["left"], result.members["right"]
    assert isinstance(label, Event)
    assert isinstance(vector, Event)
    return Example(
        model_id=MODEL_ID,
        subject=label.value.subject,
        illicit=label.value.illicit,
        values=vector.value.values,
    )
