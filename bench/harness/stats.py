"""Medians and percentiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

import msgspec


class Spread(msgspec.Struct, frozen=True):
    """A median with the least and the greatest of its rounds."""

    median: float
    least: float
    greatest: float


def spread(values: Sequence[float]) -> Spread:
    """The spread of at least one value.

    >>> spread([30, 10, 20])
    Spread(median=20, least=10, greatest=30)
    """
    return Spread(median(values), min(values), max(values))


def percentile(values: Sequence[float], percent: float) -> float:
    """The least value that at least ``percent`` of all values do not exceed (nearest rank).

    >>> percentile(range(1, 101), 99), percentile([5], 50)
    (99, 5)
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
