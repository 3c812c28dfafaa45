from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from mlops_runtime.definition import Bootstrap
from mlops_runtime.steps import metrics

BINARY = {
    "roc_auc": lambda y, s, w: reference.roc_auc_score(y, s, sample_weight=w),
    "average_precision": lambda y, s, w: reference.average_precision_score(y, s, sample_weight=w),
    "log_loss": lambda y, s, w: reference.log_loss(y, s, sample_weight=w),
    "brier": lambda y, s, w: reference.brier_score_loss(y, s, sample_weight=w),
    "accuracy": lambda y, s, w: reference.accuracy_score(y, s >= 0.4, sample_weight=w),
    "balanced_accuracy": lambda y, s, w: reference.balanced_accuracy_score(y, s >= 0.4, sample_weight=w),
    "precision": lambda y, s, w: reference.precision_score(y, s >= 0.4, sample_weight=w),
    "recall": lambda y, s, w: reference.recall_score(y, s >= 0.4, sample_weight=w),
    "f1": lambda y, s, w: reference.f1_score(y, s >= 0.4, sample_weight=w),
}
MULTICLASS = {
    "roc_auc_ovr": lambda y, p, w: np.mean(
        [reference.roc_auc_score(y == k, p[:, k], sample_weight=w) for k in range(p.shape[1])]
    ),
    "log_loss": lambda y, p, w: reference.log_loss(y, p, sample_weight=w),
    "accuracy": lambda y, p, w: reference.accuracy_score(y, p.argmax(1), sample_weight=w),
    "balanced_accuracy": lambda y, p, w: reference.balanced_accuracy_score(y, p.argmax(1), sample_weight=w),
    "f1_macro": lambda y, p, w: reference.f1_score(y, p.argmax(1), sample_weight=w, average="macro"),
}
REGRESSION = {
    "rmse": lambda y, p, w: reference.root_mean_squared_error(np.repeat(y, w), np.repeat(p, w)),
    "mae": lambda y, p, w: reference.mean_absolute_error(np.repeat(y, w), np.repeat(p, w)),
    "r2": lambda y, p, w: reference.r2_score(np.repeat(y, w), np.repeat(p, w)),
    "mape": lambda y, p, w: reference.mean_absolute_percentage_error(np.repeat(y, w), np.repeat(p, w)),
    "median_absolute_error": lambda y, p, w: reference.median_absolute_error(np.repeat(y, w), np.repeat(p, w)),
}


def weights(generator, count):
    return np.bincount(generator.integers(0, count, count), minlength=count)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", BINARY)
def test_binary_metrics_are_scikit_learns_with_ties_and_weights(name, seed):
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 2, 301).astype(float)
    score = np.round(np.clip(truth * 0.3 + generator.random(301) * 0.7, 0.01, 0.99), 1)
    outcome = metrics.Binary(truth, score, 0.4)
    drawn = weights(generator, 301)
    assert outcome.metric(name) == pytest.approx(BINARY[name](truth, score, None))
    assert outcome.metric(name, drawn.astype(float)) == pytest.approx(BINARY[name](truth, score, drawn))


@pytest.mark.parametrize("name", MULTICLASS)
def test_multiclass_metrics_are_scikit_learns(name):
    generator = np.random.default_rng(3)
    truth = generator.integers(0, 4, 400)
    shares = generator.dirichlet([1, 1, 1, 1], 400) + np.eye(4)[truth] * 0.5
    shares /= shares.sum(1, keepdims=True)
    outcome = metrics.Multiclass(truth, shares)
    drawn = weights(generator, 400)
    assert outcome.metric(name) == pytest.approx(MULTICLASS[name](truth, shares, None))
    assert outcome.metric(name, drawn.astype(float)) == pytest.approx(MULTICLASS[name](truth, shares, drawn))


@pytest.mark.parametrize("count", [300, 301])
@pytest.mark.parametrize("name", REGRESSION)
def test_regression_metrics_are_scikit_learns(name, count):
    generator = np.random.default_rng(4)
    truth = generator.normal(10, 5, count)
    predicted = truth + generator.normal(0, 2, count)
    outcome = metrics.Regression(truth, predicted)
    drawn = weights(generator, count)
    ones = np.ones(count, dtype=int)
    assert outcome.metric(name) == pytest.approx(REGRESSION[name](truth, predicted, ones))
    assert outcome.metric(name, drawn.astype(float)) == pytest.approx(REGRESSION[name](truth, predicted, drawn))


def test_a_metric_of_one_class_is_undefined_and_left_out():
    outcome = metrics.Binary(np.ones(50), np.linspace(0.1, 0.9, 50), 0.5)
    found = metrics.intervals(outcome, ["roc_auc", "recall"], Bootstrap(resamples=100, confidence=0.95), 0)
    assert set(found) == {"recall"}


def test_intervals_are_percentiles_of_resamples_and_the_same_for_a_seed():
    generator = np.random.default_rng(5)
    truth = generator.normal(0, 1, 400)
    outcome = metrics.Regression(truth, np.zeros(400))
    settings = Bootstrap(resamples=2000, confidence=0.9)
    found = metrics.intervals(outcome, ["mae"], settings, 7)["mae"]
    # The mean's standard error gives the same interval.
    error = np.abs(truth).std() / 20
    assert found.low == pytest.approx(np.abs(truth).mean() - 1.645 * error, abs=0.15 * error)
    assert found.high == pytest.approx(np.abs(truth).mean() + 1.645 * error, abs=0.15 * error)
    assert metrics.intervals(outcome, ["mae"], settings, 7)["mae"] == found
    assert metrics.intervals(outcome, ["mae"], settings, 8)["mae"] != found


def test_classes_are_matched_by_name_whatever_their_order():
    truth = np.array(["no", "yes", "yes"], dtype=object)
    shares = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    outcome = metrics.outcome("binary", truth, shares, ["yes", "no"], "yes", 0.5)
    assert isinstance(outcome, metrics.Binary)
    assert outcome.truth.tolist() == [0, 1, 1]
    assert outcome.score.tolist() == [0.1, 0.8, 0.3]
