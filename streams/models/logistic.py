"""The arithmetic that scoring and learning share: a model is applied as it was learned."""

from __future__ import annotations

from math import exp, sqrt

CLIP = 8.0
"""Standard deviations: beyond, an outlier says nothing more. Without a bound one transaction of
10,000 inputs would decide its own score and throw the weights of everything after it."""

LOGIT_BOUND = 30.0
"""A probability never needs to be nearer to 0 or 1 than 10^-13, and ``exp`` stays finite."""

MIN_SLOPE = 0.05
"""The calibration may flatten scores but never turn their order round."""

MAX_VALUE = 1e100
"""No feature comes near; beyond, the square of a value would spoil its variance for good."""


def standardise(value: float, mean: float, variance: float) -> float:
    """Standard deviations from the mean, bounded; 0 where the feature has never varied.

    >>> standardise(12.0, 10.0, 4.0), standardise(12.0, 10.0, 0.0), standardise(1e9, 0.0, 1.0)
    (1.0, 0.0, 8.0)
    """
    if variance <= 0.0:
        return 0.0
    distance = (value - mean) / sqrt(variance)
    return CLIP if distance > CLIP else -CLIP if distance < -CLIP else distance


def bounded(value: float, limit: float) -> float:
    """``value``, but within ``[-limit, limit]``.

    >>> bounded(3.0, 2.0), bounded(-3.0, 2.0), bounded(1.0, 2.0)
    (2.0, -2.0, 1.0)
    """
    return max(-limit, min(limit, value))


def probability(logit: float) -> float:
    """The logistic function, in [0, 1] and finite for every logit.

    >>> probability(0.0), 0.0 < probability(-1e9) < 1e-12, probability(1e9) < 1.0
    (0.5, True, True)
    """
    return 1.0 / (1.0 + exp(-bounded(logit, LOGIT_BOUND)))


def calibrated(logit: float, slope: float, intercept: float) -> float:
    """The calibrated log-odds (Platt 1999): a line through what the model says.

    >>> calibrated(2.0, 0.5, 0.25)
    1.25
    """
    return slope * bounded(logit, LOGIT_BOUND) + intercept


def recalibrate(
    logit: float, illicit: bool, slope: float, intercept: float, rate: float
) -> tuple[float, float]:
    """One gradient step of the calibration on a prediction made before its label was learned.

    >>> recalibrate(2.0, False, 1.0, 0.0, 0.1)[0] < 1.0
    True
    """
    within = bounded(logit, LOGIT_BOUND)
    error = probability(calibrated(logit, slope, intercept)) - (1.0 if illicit else 0.0)
    return max(MIN_SLOPE, slope - rate * error * within), intercept - rate * error
