"""ml.labels x ml.features -> ml.examples, ml.unmatched_labels: a late truth meets its vector.

An as-of join: a label meets the last vector of its transaction that is no older than the label
tolerance. It is said when the watermark has passed the label, so that the order in which the two
arrive does not matter; a label that changes later corrects its example. A label that meets nothing
(its transaction was replaced, is unknown, or is longer ago than the tolerance) is said as such.
"""

from __future__ import annotations

from collections.abc import Iterator

from joins import AsOfJoin, Matched, Unmatched
from schemas.envelope import Event
from schemas.events import Example
from streams import topics
from streams.agents.score_transactions import MODEL_ID
from streams.config import Config
from streams.engine.joining import Said, join_step
from streams.engine.step import Step

NAME = "label_examples"
SIDES = {"left": topics.labels, "right": topics.features}


def step(config: Config) -> Step:
    """The step; a vector waits for its label for the tolerance of the configuration."""
    join = AsOfJoin(
        name=NAME,
        kind="left",
        tolerance=config.label_tolerance_ms,
        grace=config.engine.grace_ms,
        lateness=config.engine.lateness_ms,
    )
    return join_step(join, SIDES, (topics.examples, topics.unmatched_labels), _say)


def _say(result: Matched | Unmatched) -> Iterator[Said]:
    label, vector = result.members["left"], result.members["right"]
    assert isinstance(label, Event)
    if not isinstance(vector, Event):
        yield Said(topics.unmatched_labels, label.value)
        return
    example = Example(
        model_id=MODEL_ID,
        subject=label.value.subject,
        illicit=label.value.illicit,
        values=vector.value.values,
    )
    yield Said(topics.examples, example, anchor=vector.anchor)
