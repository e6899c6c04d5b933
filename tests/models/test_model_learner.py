"""Learning: test then train, the same bits every time, and going on from a snapshot."""

from __future__ import annotations

import csv
import lzma
from math import inf, log10, nan
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import Example, ModelSnapshot
from schemas.ids import digest_id
from streams.models.learner import Learner, LearnerConfig, LearnerError
from streams.models.scorer import score

from .build import MODEL, examples, features

LABELS = (
    Path(__file__).resolve().parents[3]
    / "shared" / "data" / "labels" / "bitcoin_fraud_benchmark_sample.csv.xz"
)  # fmt: skip
NOT_FEATURES = {"tx_hash", "snapshot_id", "block_height", "timestamp", "label_final"}


def learned(stream: list[Example], learner: Learner | None = None) -> ModelSnapshot:
    """The snapshot after a stream."""
    learner = learner or Learner(MODEL)
    for example in stream:
        learner.learn(example)
    return learner.snapshot(1_000)


def auc(predictions: list[tuple[float, bool]]) -> float:
    """Area under the ROC curve: how often an illicit one is ranked above a licit one."""
    ranked = sorted(predictions)
    positives = sum(illicit for _, illicit in ranked)
    ranks = sum(rank for rank, (_, illicit) in enumerate(ranked, 1) if illicit)
    pairs = positives * (len(ranked) - positives)
    return (ranks - positives * (positives + 1) / 2) / pairs


def test_the_same_examples_give_the_same_bits() -> None:
    """Two learners of one stream have equal snapshots, to the last bit of every float."""
    assert learned(examples(300)) == learned(examples(300))


@given(st.integers(0, 120), st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_resuming_at_any_point_changes_no_bit(cut: int, seed: int) -> None:
    """A crash after any example, resumed from the snapshot, ends like an undisturbed run.

    learn  e1 .. e_cut | crash, resume(snapshot) | e_cut+1 .. e120
    learn  e1 ......................................... e120      same snapshot
    """
    stream = examples(120, seed)
    before = learned(stream[:cut])
    assert learned(stream) == learned(stream[cut:], Learner.resume(before))


def test_a_snapshot_says_what_it_is() -> None:
    """Its id follows from model and time, and it counts what it learned, for each feature too."""
    stream = examples(100)
    found = learned(stream)
    assert digest_id("ml.model", MODEL, 1_000) == found.snapshot_id
    assert (100, sum(e.illicit for e in stream)) == (found.learned, found.positives)
    names = sorted({name for example in stream for name in example.values})
    had = {name: sum(name in example.values for example in stream) for name in names}
    assert list(had.items()) == [(weight.feature, weight.count) for weight in found.weights]


def test_means_and_variances_are_those_of_the_stream() -> None:
    """Each feature's mean and (population) variance over the examples that have it."""
    stream = examples(200)
    for weight in learned(stream).weights:
        values = [e.values[weight.feature] for e in stream if weight.feature in e.values]
        mean = sum(values) / len(values)
        assert weight.mean == pytest.approx(mean)
        assert weight.variance == pytest.approx(sum((v - mean) ** 2 for v in values) / len(values))


def test_a_prediction_is_what_the_scorer_says_of_the_snapshot_before() -> None:
    """Test, then train: the returned probability never saw the example's own label."""
    learner = Learner(MODEL)
    for example in examples(150):
        before = learner.snapshot(1_000)
        assert score(features(example.values), before).score == learner.learn(example)


def test_the_telling_feature_gets_the_weight() -> None:
    """The feature that tells the label outweighs those that are noise."""
    strongest = max(learned(examples(1_000)).weights, key=lambda w: abs(w.weight))
    assert strongest.feature == "f0"
    assert strongest.weight > 0.5


def test_scores_are_calibrated() -> None:
    """The mean prediction over the second half of a stream is close to its rate of illicit ones."""
    learner, stream = Learner(MODEL), examples(4_000)
    predicted = [learner.learn(example) for example in stream]
    rate = sum(e.illicit for e in stream[2_000:]) / 2_000
    assert sum(predicted[2_000:]) / 2_000 == pytest.approx(rate, abs=0.02)


@pytest.mark.parametrize("value", [nan, inf, -inf, 1e200])
def test_a_value_that_would_spoil_the_model_is_refused(value: float) -> None:
    """The model stands as before, and the message names the feature."""
    learner = Learner(MODEL)
    with pytest.raises(LearnerError, match=r"fee_sat of tx1 is .*: leave out what is unknown"):
        learner.learn(Example(MODEL, "tx1", True, {"fee_sat": value}))
    assert Learner(MODEL).snapshot(0) == learner.snapshot(0)


def test_another_models_example_is_refused() -> None:
    """An example belongs to one model."""
    with pytest.raises(LearnerError, match="is for model 'other', not 'fraud'"):
        Learner(MODEL).learn(Example("other", "tx1", True, {"fee_sat": 1.0}))


def test_rates_are_part_of_the_model() -> None:
    """Another learning rate is another model: nothing is equal but what was counted."""
    slow = learned(examples(50), Learner(MODEL, LearnerConfig(learning_rate=0.001)))
    assert slow.weights != learned(examples(50)).weights


def test_real_labels_are_ranked_well() -> None:
    """On 7,150 labelled mainnet transactions, test-then-train in time order: ROC-AUC 0.950."""
    learner = Learner(MODEL)
    predictions = [(learner.learn(example), example.illicit) for example in labelled()]
    assert len(predictions) == 7_150
    assert auc(predictions) == pytest.approx(0.950, abs=0.002)


def labelled() -> list[Example]:
    """The benchmark's own features, in order of time, then txid."""
    if not LABELS.exists():
        pytest.skip(f"shared data not present: {LABELS.name}")
    rows = csv.DictReader(lzma.decompress(LABELS.read_bytes()).decode().splitlines())
    ordered = sorted(rows, key=lambda row: (int(row["timestamp"]), row["tx_hash"]))
    return [Example(MODEL, r["tx_hash"], r["label_final"] == "1", _values(r)) for r in ordered]


def _values(row: dict[str, str]) -> dict[str, float]:
    values = {name: float(text) for name, text in row.items() if name not in NOT_FEATURES}
    values["avg_input_value"] = log10(1 + values["avg_input_value"])
    kind = values.pop("script_type_encoded")
    return values | {f"script_type_{n}": float(kind == n) for n in range(5)}
