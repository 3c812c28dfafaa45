from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from mlops_runtime.errors import BadDataError, BadInputError
from mlops_runtime.scoring import Scorer


@pytest.mark.parametrize("runtime", ["onnxruntime", "sklearn"])
def test_scores_are_the_estimators(real_bundle, trained, runtime):
    scores = Scorer(real_bundle(1, runtime=runtime)).score(pl.from_pandas(trained.rows))
    expected = trained.model.predict_proba(trained.rows)[:, 1]
    assert scores.columns == ["prediction", "score"]
    np.testing.assert_allclose(scores["score"], expected, atol=1e-5)
    assert scores["prediction"].dtype == pl.Int64
    assert scores["prediction"].to_list() == (expected >= 0.5).astype(int).tolist()


def test_the_prediction_follows_the_models_threshold(real_bundle, trained):
    scores = Scorer(real_bundle(1, threshold=0.8)).score(pl.from_pandas(trained.rows))
    assert scores["prediction"].to_list() == (scores["score"] >= np.float32(0.8)).cast(pl.Int64).to_list()
    assert 0 < scores["prediction"].sum() < (scores["score"] >= 0.5).sum()


@pytest.mark.parametrize("runtime", ["onnxruntime", "sklearn"])
def test_a_missing_number_is_imputed_as_in_training(real_bundle, trained, runtime):
    table = pl.DataFrame({"carrier": ["UA", "UA"], "x": [None, float("nan")], "other": [1, 2]})
    filled = trained.rows.head(1).assign(x=np.float32("nan"), carrier="UA")
    expected = trained.model.predict_proba(filled)[0, 1]
    np.testing.assert_allclose(Scorer(real_bundle(1, runtime=runtime)).score(table)["score"], [expected] * 2, atol=1e-5)


def test_rows_that_lack_what_the_model_needs_get_no_prediction(real_bundle):
    scorer = Scorer(real_bundle(1))
    table = pl.DataFrame({"x": [0.1, 0.2, 0.3], "carrier": ["AA", None, "UA"]})
    whole = scorer.score(table.filter(pl.col("carrier").is_not_null()))
    scores = scorer.score(table)
    assert scores["prediction"].is_null().to_list() == [False, True, False]
    assert scores.drop_nulls().equals(whole)
    assert scorer.lacking(table).to_list() == [False, True, False]
    with pytest.raises(BadDataError, match="carrier lacks 1 values, the first in row 1"):
        scorer.predict(table)


def test_a_table_of_nothing_but_such_rows_and_an_empty_table(real_bundle):
    scorer = Scorer(real_bundle(1))
    schema = {"x": pl.Float64, "carrier": pl.String}
    lacking = scorer.score(pl.DataFrame({"x": [1.0], "carrier": [None]}, schema=schema))
    empty = scorer.score(pl.DataFrame(schema=schema))
    assert lacking.rows() == [(None, None)]
    assert empty.schema == lacking.schema == {"prediction": pl.Int64, "score": pl.Float64}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"x": [1.0]}, "input carrier is no column"),
        ({"x": ["far"], "carrier": ["AA"]}, "column x is String and can't be converted to the model's float32"),
    ],
)
def test_a_table_of_another_shape_is_refused(real_bundle, table, message):
    with pytest.raises(BadDataError, match=message):
        Scorer(real_bundle(1)).score(pl.DataFrame(table))


def test_a_damaged_bundle_is_refused(real_bundle):
    directory = real_bundle(1)
    (directory / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(BadInputError, match=r"model\.onnx has digest"):
        Scorer(directory)
