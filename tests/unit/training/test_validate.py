from __future__ import annotations

import numpy as np
import pytest
import training_kit as kit

from mlops_runtime.definition import Champion
from mlops_runtime.steps import evaluate, metrics, train, validate


def verdict(root, **overrides):
    run = kit.featurized(kit.definition(root, **overrides), kit.rows(1200))
    train.STEP.execute(run)
    evaluate.STEP.execute(run)
    return validate.STEP.execute(run)


def test_a_model_above_its_floors_passes(tmp_path):
    outputs = verdict(tmp_path, evaluation__floors={"roc_auc": 0.6, "log_loss": 0.69})
    assert (outputs.passed, outputs.reasons, outputs.comparison) == (True, [], None)


def test_every_missed_floor_is_a_sentence_with_numbers(tmp_path):
    outputs = verdict(tmp_path, evaluation__floors={"roc_auc": 0.999, "log_loss": 0.001})
    assert not outputs.passed
    first, second = outputs.reasons
    assert first.startswith("roc_auc 0.")
    assert first.endswith("is below the floor 0.999 on 300 held-out rows")
    assert second.startswith("log_loss 0.")
    assert second.endswith("is above the limit 0.001 on 300 held-out rows")


def test_one_bad_segment_rejects_and_small_segments_are_reported(tmp_path):
    segments = [{"column": "c", "min_rows": 80, "floors": {"accuracy": 0.99}}]
    outputs = verdict(tmp_path, evaluation__segments=segments)
    assert not outputs.passed
    assert any(reason.startswith("segment c = AA (") and "below the floor 0.99" in reason for reason in outputs.reasons)
    assert any("under 80 rows were not judged" in note for note in outputs.notes)


def binary(noise, seed):
    generator = np.random.default_rng(seed)
    truth = np.random.default_rng(0).integers(0, 2, 2000).astype(float)
    return metrics.Binary(truth, np.clip(truth * 0.4 + 0.3 + generator.normal(0, noise, 2000), 0.01, 0.99), 0.5)


@pytest.mark.parametrize(
    ("candidate", "champion", "margin", "worse"),
    [
        (binary(0.3, 1), binary(0.3, 2), 0.0, False),  # as good
        (binary(0.2, 1), binary(0.4, 2), 0.0, False),  # better
        (binary(0.4, 1), binary(0.2, 2), 0.0, True),  # worse
        (binary(0.4, 1), binary(0.2, 2), 0.5, False),  # worse, within the margin
    ],
)
def test_a_candidate_is_refused_when_it_is_worse_beyond_margin_and_chance(tmp_path, candidate, champion, margin, worse):
    settings = Champion(margin=margin, significance=0.05)
    found = validate.compare(candidate, champion, 3, kit.definition(tmp_path), settings)
    assert found.worse is worse
    assert found.difference == pytest.approx(candidate.metric("roc_auc") - champion.metric("roc_auc"))
    assert (found.p_value < 0.05) is worse


def test_for_errors_smaller_is_better(tmp_path):
    made = kit.definition(tmp_path, "regression")
    truth = np.random.default_rng(0).normal(0, 10, 1000)
    close = metrics.Regression(truth, truth + np.random.default_rng(1).normal(0, 1, 1000))
    far = metrics.Regression(truth, truth + np.random.default_rng(2).normal(0, 2, 1000))
    settings = Champion(margin=0.0, significance=0.05)
    assert validate.compare(far, close, 1, made, settings).worse
    assert not validate.compare(close, far, 1, made, settings).worse


def test_chance_alone_refuses_at_about_the_level_asked_for(tmp_path):
    made = kit.definition(tmp_path, evaluation__bootstrap={"resamples": 200, "confidence": 0.95})
    settings = Champion(margin=0.0, significance=0.1)
    refused = 0
    for seed in range(60):
        generator = np.random.default_rng(seed)
        truth = generator.integers(0, 2, 300).astype(float)
        pair = [metrics.Binary(truth, truth * 0.2 + generator.random(300) * 0.8, 0.5) for _ in range(2)]
        refused += validate.compare(*pair, 1, made, settings).worse
    # Binomial(60, 0.1): 14 or more has a probability under 0.002.
    assert refused < 14
