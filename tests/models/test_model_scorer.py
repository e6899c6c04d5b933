"""Scoring: bounds, reasons, and what is said when something is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import Weight
from streams.models.logistic import probability
from streams.models.scorer import MAX_CONTRIBUTIONS, score

from .build import MODEL, features, snapshot

numbers = st.floats(allow_nan=False, allow_infinity=False)
weights = st.builds(
    Weight,
    feature=st.sampled_from(["fee_sat", "log10_fee_sat", "input_count", "unheard_of"]),
    mean=numbers,
    variance=st.floats(0, 1e300),
    weight=st.floats(-100, 100),
)


@given(
    st.lists(weights, max_size=4, unique_by=lambda w: w.feature),
    st.dictionaries(st.sampled_from(["fee_sat", "log10_fee_sat", "input_count"]), numbers),
    st.floats(0.05, 20),
)
def test_a_score_is_a_probability_whatever_the_numbers(
    of: list[Weight], values: dict[str, float], slope: float
) -> None:
    """Any snapshot and any finite features give a score in [0, 1]."""
    found = score(features(values), snapshot(*of, slope=slope))
    assert found.score is not None
    assert 0.0 <= found.score <= 1.0


def test_before_the_first_label_there_is_no_score_but_a_reason() -> None:
    """Without a snapshot nothing is pretended."""
    found = score(features({"fee_sat": 1.0}, {"fee_share": "unknown"}), None, MODEL)
    assert (found.score, found.reason) == (None, "no label has been learned yet")
    assert (
        found.model_id, found.snapshot_id, found.missing, found.partial,
    ) == (MODEL, None, ["fee_share"], True)  # fmt: skip


def test_a_missing_feature_counts_as_its_mean_and_marks_the_score_partial() -> None:
    """Missing is like usual, and it is said; what the model never learned is not missing."""
    model = snapshot(Weight("fee_sat", 500.0, 100.0, 2.0), Weight("input_count", 1.0, 1.0, 3.0))
    at_mean = score(features({"fee_sat": 500.0, "input_count": 2.0}), model)
    without = score(features({"input_count": 2.0, "vsize_vb": 141.0}, {"fee_sat": "why"}), model)
    assert at_mean.score == without.score
    assert (at_mean.partial, at_mean.missing) == (False, [])
    assert (without.partial, without.missing) == (True, ["fee_sat"])


def test_the_score_is_the_calibrated_dot_product() -> None:
    """Two deviations at weight 0.5, intercept -1, slope 2: log-odds 2 x (1 - 1) = 0."""
    model = snapshot(Weight("fee_sat", 10.0, 4.0, 0.5), slope=2.0, intercept=-1.0)
    found = score(features({"fee_sat": 14.0}), model)
    assert found.score == 0.5
    assert found.contributions[0].weight == 2.0
    assert found.contributions[0].words == "a fee of 14 sat is high for this stream: +2.00"


@pytest.mark.parametrize(
    ("feature", "value", "words"),
    [
        ("feerate_msat_per_vb", 75_000.0, "a fee rate of 75,000 msat/vB is high"),
        ("log10_output_sat", 8.0, "a total output of 99,999,999 sat is high"),
        ("fee_share", 0.1234, "a share of the input paid as fee of 0.123 is usual"),
        ("self_made", -7.5, "self_made of -7.5 is low"),
    ],
)
def test_contributions_are_said_in_words(feature: str, value: float, words: str) -> None:
    """Amounts in full, orders of magnitude turned back to amounts, unknown names as they are."""
    model = snapshot(Weight(feature, 0.0, 1.0, 1.0))
    assert words in score(features({feature: value}), model).contributions[0].words


def test_the_largest_contributions_come_first_and_no_more_than_eight() -> None:
    """Sorted by absolute size; features that change nothing are left out."""
    model = snapshot(*(Weight(f"f{n}", 0.0, 1.0, (-1.0) ** n * n) for n in range(12)))
    found = score(features({f"f{n}": 1.0 for n in range(12)}), model).contributions
    assert len(found) == MAX_CONTRIBUTIONS
    assert [c.feature for c in found[:3]] == ["f11", "f10", "f9"]


def test_one_outlier_cannot_decide_alone() -> None:
    """A value beyond eight deviations counts as eight."""
    model = snapshot(Weight("fee_sat", 0.0, 1.0, 0.1))
    assert score(features({"fee_sat": 8.0}), model).score == probability(0.8)
    assert score(features({"fee_sat": 1e300}), model).score == probability(0.8)


def test_scoring_does_not_load_river() -> None:
    """The hot path is plain arithmetic: importing it loads no learning library."""
    code = (
        "import sys, streams.models.scorer; print('river' in sys.modules, 'numpy' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False False"
