"""patterns.matches, ml.results -> alerts: what a person should look at, and why."""

from __future__ import annotations

from joins.state import Store
from schemas.events import Alert, PatternMatch, Score
from streams import topics
from streams.engine.step import Batch, Emit, Step, derived

NAME = "raise_alerts"
ALERTING = ("medium", "high")
HIGH_SCORE = 0.9
"""A calibrated score from here on is worth a person's look."""


def process(batch: Batch, state: Store, emit: Emit) -> None:
    """Turn severe matches and high scores into alerts."""
    for event in batch:
        value = event.value
        alert = from_match(value) if isinstance(value, PatternMatch) else from_score(value)
        if alert is not None:
            emit(topics.alerts, derived(NAME, event, topics.alerts, alert))


def from_match(match: PatternMatch) -> Alert | None:
    """The alert of a match; None below medium severity."""
    if match.severity not in ALERTING:
        return None
    entity = match.addresses[0] if match.addresses else match.subject
    return Alert(
        entity, match.pattern, match.severity, match.reasons, match.evidence, match.network
    )


def from_score(score: Score) -> Alert | None:
    """The alert of a score; None below ``HIGH_SCORE``."""
    if score.score is None or score.score < HIGH_SCORE:
        return None
    reasons = [f"score {score.score:.3f} of model {score.model_id}"]
    reasons += [c.words for c in score.contributions[:3]]
    return Alert(score.txid, "score", "high", reasons, [score.txid], score.network)


step = Step(NAME, (topics.matches, topics.results), (topics.alerts,), process)
