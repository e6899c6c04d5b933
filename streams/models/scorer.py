"""Scoring: a snapshot of a model applied to one feature vector, with the reasons in words.

Plain arithmetic over the snapshot's numbers. A feature that is missing adds nothing, which is the
same as its mean, and the score is marked partial.

>>> from schemas.events import Features, ModelSnapshot, Weight
>>> rate = Weight(feature="feerate_msat_per_vb", mean=20_000.0, variance=1e8, weight=0.5)
>>> snapshot = ModelSnapshot(model_id="fraud", snapshot_id="s1", valid_from_ts=0, learned=100,
...     positives=10, intercept=-1.0, calibration_slope=1.0, calibration_intercept=0.0,
...     weights=[rate])
>>> found = score(Features("main", "ab" * 32, {"feerate_msat_per_vb": 45_000.0}, {}), snapshot)
>>> round(found.score, 4), found.partial
(0.5622, False)
>>> found.contributions[0].words
'a fee rate of 45,000 msat/vB is high for this stream: +1.25'
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import sqrt

from schemas.events import Contribution, Features, ModelSnapshot, Score
from streams.features import WORDS
from streams.models.logistic import CLIP, calibrated, probability

NOTHING_LEARNED = "no label has been learned yet"
"""The reason for no score before a model has a snapshot."""

MAX_CONTRIBUTIONS = 8
"""A person reads no more reasons than this; they are the largest ones."""

USUAL = 1.0
"""Within one standard deviation of the mean a value is called usual."""


def score(features: Features, snapshot: ModelSnapshot | None, model_id: str = "") -> Score:
    """Score one transaction; without a snapshot the score is None, with the reason.

    ``model_id`` names the model while there is no snapshot to name it.
    """
    return _unscored(features, model_id) if snapshot is None else Scorer(snapshot).score(features)


Effect = tuple[float, str, float, float, float]
"""What one feature did to the log-odds before calibration: minus their size (so that the largest
comes first), the feature, its value, the log-odds, and the standard deviations from the mean."""


class Scorer:
    """A snapshot made ready to score many transactions."""

    def __init__(self, snapshot: ModelSnapshot) -> None:
        self.snapshot = snapshot
        self._weights = [
            (w.feature, w.mean, sqrt(w.variance) if w.variance > 0.0 else 0.0, w.weight)
            for w in snapshot.weights
        ]

    def score(self, features: Features) -> Score:
        """The score of one transaction, with its reasons."""
        snapshot, values = self.snapshot, features.values
        effects = self.effects(values)
        logit = snapshot.intercept + sum([effect[3] for effect in effects])
        slope, intercept = snapshot.calibration_slope, snapshot.calibration_intercept
        missing = [weight[0] for weight in self._weights if weight[0] not in values]
        return Score(
            network=features.network,
            txid=features.txid,
            model_id=snapshot.model_id,
            score=probability(calibrated(logit, slope, intercept)),
            reason=None,
            partial=bool(missing),
            missing=missing,
            snapshot_id=snapshot.snapshot_id,
            valid_from_ts=snapshot.valid_from_ts,
            contributions=_largest(effects, slope),
        )

    def effects(self, values: Mapping[str, float]) -> list[Effect]:
        """What each feature that has a value and ever varied does, in the order of the weights.

        >>> from schemas.events import Weight
        >>> fee = Weight(feature="fee_sat", mean=10.0, variance=4.0, weight=0.5)
        >>> model = ModelSnapshot("m", "s", 0, 1, 1, 0.0, 1.0, 0.0, [fee])
        >>> Scorer(model).effects({"fee_sat": 14.0}), Scorer(model).effects({})
        ([(-1.0, 'fee_sat', 14.0, 1.0, 2.0)], [])
        """
        found: list[Effect] = []
        for feature, mean, deviation, weight in self._weights:
            value = values.get(feature)
            if value is None or deviation == 0.0:
                continue
            distance = (value - mean) / deviation
            distance = CLIP if distance > CLIP else -CLIP if distance < -CLIP else distance
            logit = weight * distance
            found.append((-abs(logit), feature, value, logit, distance))
        return found


def in_words(effect: Effect, moved: float) -> str:
    """Say what one feature did: its value, how it compares with this stream, what it moved."""
    _, feature, value, _, distance = effect
    level = "usual" if -USUAL <= distance <= USUAL else "high" if distance > 0 else "low"
    before, after = _phrase(feature)
    return f"{before}{_number(feature, value)}{after} is {level} for this stream: {moved:+.2f}"


@lru_cache(1024)
def _phrase(feature: str) -> tuple[str, str]:
    """What stands before and after the value in a feature's words."""
    before, _, after = WORDS.get(feature, feature + " of {}").partition("{}")
    return before, after


def _largest(effects: list[Effect], slope: float) -> list[Contribution]:
    return [
        Contribution(effect[1], effect[2], slope * effect[3], in_words(effect, slope * effect[3]))
        for effect in sorted(effects)[:MAX_CONTRIBUTIONS]
        if effect[3]
    ]


def _number(feature: str, value: float) -> str:
    shown = 10.0**value - 1.0 if feature.startswith("log10_") and 0.0 <= value < 18.0 else value
    whole = round(shown)
    if abs(shown - whole) < 1e-6 or abs(shown) >= 1000.0:
        return f"{whole:,}"
    return f"{shown:.3g}"


def _unscored(features: Features, model_id: str) -> Score:
    return Score(
        network=features.network,
        txid=features.txid,
        model_id=model_id,
        score=None,
        reason=NOTHING_LEARNED,
        partial=bool(features.missing),
        missing=sorted(features.missing),
        snapshot_id=None,
        valid_from_ts=None,
        contributions=[],
    )
