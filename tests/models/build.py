"""Examples for model tests: seeded, with some features missing."""

from __future__ import annotations

from random import Random

from schemas.events import Example, Features, ModelSnapshot, Weight

MODEL = "fraud"


def examples(count: int, seed: int = 1, names: int = 6) -> list[Example]:
    """A stream in which the first feature tells the label, with one value in five missing."""
    random = Random(seed)
    made = []
    for n in range(count):
        illicit = random.random() < 0.3
        values = {f"f{i}": random.gauss(2.0 * illicit * (i == 0), 1.0) for i in range(names)}
        kept = {name: value for name, value in values.items() if random.random() < 0.8}
        made.append(Example(MODEL, f"tx{n}", illicit, kept))
    return made


def features(values: dict[str, float], missing: dict[str, str] | None = None) -> Features:
    """A feature vector of one transaction."""
    return Features("regtest", "ab" * 32, values, missing or {})


def snapshot(*weights: Weight, slope: float = 1.0, intercept: float = 0.0) -> ModelSnapshot:
    """A model with these weights."""
    return ModelSnapshot(
        model_id=MODEL, snapshot_id="s1", valid_from_ts=1_000, learned=100, positives=10,
        intercept=intercept, calibration_slope=slope, calibration_intercept=0.0,
        weights=list(weights),
    )  # fmt: skip
