from __future__ import annotations

import pytest
import training_kit as kit

from mlops_runtime.errors import BadInputError
from mlops_runtime.steps import estimators


def made(tmp_path, estimator, task="binary", **params):
    return estimators.make(kit.definition(tmp_path, task, training__estimator=estimator).training, params)


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        ("sklearn.linear_model.LogisticRegresion", "did you mean 'LogisticRegression'"),
        ("sklearn.linear_models.LogisticRegression", "did you mean 'sklearn.linear_model'"),
        ("LogisticRegression", "not an import path"),
        ("sklearn.metrics.roc_auc_score", "not an estimator class"),
        ("sklearn.linear_model.Ridge", "is a regressor; the task is binary"),
        ("sklearn.svm.LinearSVC", "no probabilities"),
    ],
)
def test_a_wrong_estimator_is_named_with_the_nearest_one(tmp_path, estimator, message):
    with pytest.raises(BadInputError, match=message):
        made(tmp_path, estimator)


def test_a_wrong_parameter_is_named_with_the_nearest_one(tmp_path):
    with pytest.raises(BadInputError, match=r"no parameter 'max_itr'; did you mean 'max_iter'"):
        made(tmp_path, "sklearn.linear_model.LogisticRegression", max_itr=5)


def test_a_classifier_is_refused_for_a_regression(tmp_path):
    with pytest.raises(BadInputError, match="is a classifier; the task is regression"):
        made(tmp_path, "sklearn.linear_model.LogisticRegression", "regression")


def test_the_seed_reaches_every_random_state_that_is_not_given(tmp_path):
    from sklearn.ensemble import BaggingClassifier
    from sklearn.tree import DecisionTreeClassifier

    nested = estimators.seeded(BaggingClassifier(DecisionTreeClassifier()), 7)
    assert nested.random_state == 7
    assert nested.estimator.random_state == 7
    assert made(tmp_path, "sklearn.ensemble.RandomForestClassifier", random_state=3).random_state == 3
