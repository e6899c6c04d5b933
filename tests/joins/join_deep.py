"""How much is tried: a little in ``make test``, much in ``make test-deep``."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

DEEP = os.environ.get("STREAMS_DEEP") == "1"
law = settings(
    phases=tuple(Phase) if not DEEP else (Phase.explicit, Phase.reuse, Phase.generate),
    max_examples=2000 if DEEP else 12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
SEEDS = range(1000 if DEEP else 12)
"""Of timelines by chance, for each join, kind and emit."""
CHAINS = 60 if DEEP else 6
"""Of topologies by chance."""
MASS = 100_000 if DEEP else 2000
"""Arrivals of a long stream."""
