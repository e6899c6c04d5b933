"""Learning: a logistic regression that learns one labelled example at a time (river).

Each example is first predicted, then learned (test, then train), so the calibration sees only
predictions that were made without their label. The caller fixes the order of examples; the same
examples in the same order give the same snapshot to the last bit, also across ``resume``.

>>> learner = Learner("fraud", LearnerConfig(learning_rate=0.1))
>>> for n in range(400):
...     example = Example("fraud", f"tx{n}", n % 4 == 0, {"fee_sat": n % 4 * 1.0})
...     probability = learner.learn(example)
>>> found = learner.snapshot(valid_from_ts=1_000)
>>> found.learned, found.positives, [(w.feature, round(w.mean, 6)) for w in found.weights]
(400, 100, [('fee_sat', 1.5)])
>>> probability < 0.1
True
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

import msgspec
from river import linear_model, optim, preprocessing, utils

from schemas.events import Example, ModelSnapshot, Weight
from schemas.ids import digest_id
from streams.models.logistic import (
    MAX_VALUE,
    calibrated,
    probability,
    recalibrate,
    standardise,
)


class LearnerError(ValueError):
    """An example that this learner must not learn; the message names cause and remedy."""


class LearnerConfig(msgspec.Struct, frozen=True):
    """Fixed rates: plain SGD has no state beside the weights, so a snapshot is the whole model.

    A model's rates belong to its ``model_id``: with other rates it is another model.
    """

    learning_rate: float = 0.02
    """Of weights and intercept: slower loses on labelled transactions, faster gains little."""
    calibration_rate: float = 0.005
    """Slower than the model, so that the calibration follows it rather than chases it."""
    l2: float = 0.0001
    """Pulls idle weights back to 0, so that features that say the same thing share the weight."""


DEFAULTS = LearnerConfig()


class Learner:
    """One model that learns; ``snapshot`` is its whole state."""

    def __init__(self, model_id: str, config: LearnerConfig = DEFAULTS) -> None:
        self.model_id = model_id
        self.config = config
        self.learned = 0
        self.positives = 0
        self._slope, self._offset = 1.0, 0.0
        self._scaler = preprocessing.StandardScaler()
        self._model = linear_model.LogisticRegression(
            optimizer=optim.SGD(config.learning_rate),
            intercept_lr=config.learning_rate,
            l2=config.l2,
        )

    @classmethod
    def resume(cls, snapshot: ModelSnapshot, config: LearnerConfig = DEFAULTS) -> Learner:
        """Continue exactly where a snapshot was taken, with the ``config`` it was taken with."""
        learner = cls(snapshot.model_id, config)
        learner.learned, learner.positives = snapshot.learned, snapshot.positives
        learner._slope = snapshot.calibration_slope
        learner._offset = snapshot.calibration_intercept
        learner._model.intercept = snapshot.intercept
        learner._set_weights({w.feature: w.weight for w in snapshot.weights})
        scaler = learner._scaler
        scaler.counts = Counter({w.feature: w.count for w in snapshot.weights})
        scaler.means = defaultdict(float, {w.feature: w.mean for w in snapshot.weights})
        scaler.vars = defaultdict(float, {w.feature: w.variance for w in snapshot.weights})
        return learner

    def learn(self, example: Example) -> float:
        """Predict an example, then learn it; returns the probability predicted before learning.

        Raises LearnerError for another model's example and for a value beyond ``MAX_VALUE``: either
        would spoil the model for good.
        """
        self._check(example)
        logit = self._logit(example.values)
        predicted = probability(calibrated(logit, self._slope, self._offset))
        self._slope, self._offset = recalibrate(
            logit, example.illicit, self._slope, self._offset, self.config.calibration_rate
        )
        self._fit(example)
        self.learned += 1
        self.positives += example.illicit
        return predicted

    def snapshot(self, valid_from_ts: int) -> ModelSnapshot:
        """The model as it stands, to score events from ``valid_from_ts`` (event time, ms) on."""
        return ModelSnapshot(
            model_id=self.model_id,
            snapshot_id=digest_id("ml.model", self.model_id, valid_from_ts),
            valid_from_ts=valid_from_ts,
            learned=self.learned,
            positives=self.positives,
            intercept=self._model.intercept,
            calibration_slope=self._slope,
            calibration_intercept=self._offset,
            weights=self._weights(),
        )

    def _check(self, example: Example) -> None:
        if example.model_id != self.model_id:
            raise LearnerError(
                f"the example of {example.subject} is for model {example.model_id!r}, not "
                f"{self.model_id!r}: give it to that model's learner"
            )
        for feature, value in example.values.items():
            if not abs(value) <= MAX_VALUE:
                raise LearnerError(
                    f"{feature} of {example.subject} is {value}: leave out what is unknown"
                )

    def _logit(self, values: Mapping[str, float]) -> float:
        """The sum that the scorer makes of the snapshot, term by term in the same order."""
        means, variances = self._scaler.means, self._scaler.vars
        terms: list[float] = [
            weight * standardise(values[name], means[name], variances[name])
            for name, weight in self._model.weights.items()
            if name in values
        ]
        return float(self._model.intercept) + sum(terms)

    def _fit(self, example: Example) -> None:
        self._admit(example.values)
        values = dict(sorted(example.values.items()))
        self._scaler.learn_one(values)  # type: ignore[no-untyped-call]
        means, variances = self._scaler.means, self._scaler.vars
        scaled = {name: standardise(x, means[name], variances[name]) for name, x in values.items()}
        self._model.learn_one(scaled, example.illicit)

    def _admit(self, values: Mapping[str, float]) -> None:
        """Keep weights in order of name: sums of floats depend on their order."""
        weights = self._model.weights
        if not weights.keys() >= values.keys():
            self._set_weights(dict.fromkeys(values, 0.0) | weights)

    def _set_weights(self, weights: Mapping[str, float]) -> None:
        self._model._weights = utils.VectorDict(dict(sorted(weights.items())))

    def _weights(self) -> list[Weight]:
        scaler = self._scaler
        return [
            Weight(
                feature=name,
                mean=scaler.means[name],
                variance=scaler.vars[name],
                weight=weight,
                count=scaler.counts[name],
            )
            for name, weight in self._model.weights.items()
        ]
