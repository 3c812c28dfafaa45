from __future__ import annotations

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import training_kit as kit
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge

from mlops_runtime.definition import Preprocessing
from mlops_runtime.steps import frames, onnx_export, preprocessing
from mlops_runtime.steps.estimators import seeded

MODELS = {
    "logistic": ("binary", LogisticRegression),
    "boosting": ("binary", lambda: HistGradientBoostingClassifier(max_iter=20)),
    "forest": ("binary", lambda: RandomForestClassifier(20)),
    "calibrated": ("binary", lambda: CalibratedClassifierCV(HistGradientBoostingClassifier(max_iter=10), cv=2)),
    "multinomial": ("multiclass", LogisticRegression),
    "multiclass boosting": ("multiclass", lambda: HistGradientBoostingClassifier(max_iter=10)),
    "multiclass forest": ("multiclass", lambda: RandomForestClassifier(20)),
    "ridge": ("regression", Ridge),
    "boosted numbers": ("regression", lambda: HistGradientBoostingRegressor(max_iter=20)),
    "gradient boosting": ("regression", lambda: GradientBoostingRegressor(n_estimators=20)),
    "forest of numbers": ("regression", lambda: RandomForestRegressor(20)),
}
SETTINGS = Preprocessing(numeric="standard", impute="median", categorical="onehot", min_frequency=10)


def fitted(name: str, settings: Preprocessing = SETTINGS):
    task, make = MODELS[name]
    table = kit.rows(1500, task)
    x = frames.model_inputs(table, kit.COLUMNS)
    y = frames.labels(table.rename(columns={"late": "__label"}), task, "late")
    estimator = seeded(make(), 0)
    model = preprocessing.pipeline(estimator, settings, kit.COLUMNS, x.iloc[:1000]).fit(x.iloc[:1000], y[:1000])
    return task, model, x.iloc[1000:].reset_index(drop=True)


@pytest.mark.parametrize("categorical", ["onehot", "ordinal"])
@pytest.mark.parametrize("name", MODELS)
def test_export_predicts_as_the_estimator_for_missing_and_unseen_values_too(name, categorical):
    task, model, held_out = fitted(name, SETTINGS.model_copy(update={"categorical": categorical}))
    export = onnx_export.export(model, task, kit.COLUMNS, held_out, tolerance=1e-4)
    # 500 rows, and 20 with a missing number, 20 with an unseen and 20 with a missing string.
    assert export.rows == 560
    assert export.difference <= 1e-4
    session = onnxruntime.InferenceSession(export.graph, providers=["CPUExecutionProvider"])
    assert {node.name: node.type for node in session.get_inputs()} == {
        "a": "tensor(float)",
        "h": "tensor(int64)",
        "flag": "tensor(bool)",
        "c": "tensor(string)",
    }
    names = [node.name for node in session.get_outputs()]
    assert names == (["prediction"] if task == "regression" else ["label", "probabilities"])
    rare = held_out.assign(c="rare", a=np.float32("nan"))[:50]
    found = session.run(None, {column: rare[column].to_numpy().reshape(-1, 1) for column in rare})
    expected = model.predict(rare) if task == "regression" else model.predict_proba(rare)
    np.testing.assert_allclose(
        found[-1].reshape(len(rare), -1), np.reshape(expected, (len(rare), -1)), rtol=1e-4, atol=1e-4
    )
    if task == "multiclass":
        assert found[0].tolist() == model.predict(rare).tolist()


def test_rare_and_unseen_categories_are_encoded_alike():
    _, model, held_out = fitted("logistic")
    rare, unseen = held_out.assign(c="rare"), held_out.assign(c="nowhere")
    assert model.predict_proba(rare).tolist() == model.predict_proba(unseen).tolist()
    assert model.predict_proba(rare).tolist() != model.predict_proba(held_out.assign(c="AA")).tolist()


def test_native_categories_of_boosting_are_refused_with_figures():
    generator = np.random.default_rng(0)
    x = pd.DataFrame({"a": generator.normal(size=1000).astype("float32"), "k": generator.integers(0, 8, 1000)})
    y = ((x["k"] % 3 == 1) ^ (x["a"] > 1)).astype(int)
    model = HistGradientBoostingClassifier(max_iter=20, categorical_features=["k"], random_state=0).fit(x, y)
    columns = [
        kit.ColumnInfo(name="a", dtype="float64", nullable=False),
        kit.ColumnInfo(name="k", dtype="int64", nullable=False),
    ]
    with pytest.raises(
        onnx_export.RefusedError, match=r"predictions differ .* on [\d,]+ of 1,000 rows, by up to 0\.\d+"
    ):
        onnx_export.export(model, "binary", columns, x, tolerance=1e-4)


def test_an_estimator_without_a_converter_is_refused_with_its_name():
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Constant(ClassifierMixin, BaseEstimator):
        classes_ = np.array([0, 1])

        def fit(self, x, y):
            return self

        def predict_proba(self, x):
            return np.full((len(x), 2), 0.5)

    columns = [kit.ColumnInfo(name="a", dtype="float64", nullable=False)]
    with pytest.raises(onnx_export.RefusedError, match="Constant"):
        onnx_export.export(Constant(), "binary", columns, pd.DataFrame({"a": np.zeros(3, "float32")}), tolerance=1e-4)


def test_integers_that_32_bit_floats_can_not_tell_apart_are_noticed():
    x = pd.DataFrame({"k": np.arange(2**24, 2**24 + 400)})
    y = x["k"] % 2

    model = HistGradientBoostingClassifier(max_iter=50, min_samples_leaf=1, max_bins=255, random_state=0).fit(x, y)
    columns = [kit.ColumnInfo(name="k", dtype="int64", nullable=False)]
    with pytest.raises(onnx_export.RefusedError, match="differ"):
        onnx_export.export(model, "binary", columns, x, tolerance=1e-4)
