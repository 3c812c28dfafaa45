from __future__ import annotations

import json

import cloudpickle
import pandas as pd
import pytest
import training_kit as kit
from sklearn import metrics as reference

from mlops_runtime.errors import BadDataError
from mlops_runtime.steps import evaluate, frames, train
from mlops_runtime.steps.featurize import FeaturizeOutputs

FIGURES = {
    "binary": ["roc.png", "precision_recall.png", "calibration.png", "importance.png"],
    "multiclass": ["confusion.png", "calibration.png", "importance.png"],
    "regression": ["residuals.png", "importance.png"],
}


def evaluated(root, task="binary", table=None, **overrides):
    run = kit.featurized(kit.definition(root, task, **overrides), kit.rows(1200, task) if table is None else table)
    train.STEP.execute(run)
    return run, evaluate.STEP.execute(run)


@pytest.mark.parametrize("task", FIGURES)
def test_each_task_has_its_metrics_figures_and_a_baseline_that_it_beats(tmp_path, task):
    run, outputs = evaluated(tmp_path, task)
    settings = run.definition.evaluation
    assert set(outputs.metrics) == set(settings.metrics)
    assert [figure.name for figure in outputs.figures] == FIGURES[task]
    for figure in outputs.figures:
        assert figure.read_bytes().startswith(b"\x89PNG")
    better = settings.metrics[settings.primary]
    value, base = outputs.metrics[settings.primary], outputs.baseline[settings.primary]
    assert value.value > base if better else value.value < base
    assert value.low < value.value < value.high
    assert max(outputs.importance, key=outputs.importance.get) in ("a", "h")
    assert outputs.importance["flag"] == pytest.approx(0, abs=0.5)
    report = json.loads(outputs.report.read_text())
    assert report["metrics"][settings.primary]["value"] == value.value


def test_metrics_are_those_of_the_model_on_the_held_out_rows(tmp_path):
    run, outputs = evaluated(tmp_path)
    features = run.outputs("featurize", FeaturizeOutputs)
    table = pd.read_parquet(features.holdout)
    model = cloudpickle.loads((run.directory / "train" / "model.pkl").read_bytes())
    score = model.predict_proba(frames.model_inputs(table, features.columns))[:, 1]
    assert outputs.rows == len(table) == 300
    assert outputs.metrics["roc_auc"].value == pytest.approx(reference.roc_auc_score(table["__label"], score))
    again = evaluate.read_outcome(outputs, run.definition)
    assert again.metric("roc_auc") == outputs.metrics["roc_auc"].value


def test_segments_are_evaluated_by_themselves_and_small_ones_are_not_judged(tmp_path):
    segments = [{"column": "c", "min_rows": 50, "floors": {}}]
    run, outputs = evaluated(tmp_path, evaluation__segments=segments)
    table = pd.read_parquet(run.outputs("featurize", FeaturizeOutputs).holdout)
    counts = table["c"].fillna("(missing)").value_counts()
    assert {name: part.rows for name, part in outputs.segments["c"].items()} == counts[counts >= 50].to_dict()
    assert outputs.small_segments["c"] == counts[counts < 50].to_dict()
    assert set(outputs.small_segments["c"]) >= {"(missing)"}


def test_the_positive_class_can_be_chosen(tmp_path):
    _, larger = evaluated(tmp_path / "a")
    _, smaller = evaluated(tmp_path / "b", training__positive_class=0)
    assert (larger.positive_class, smaller.positive_class) == ("1", "0")
    assert larger.metrics["recall"].value != smaller.metrics["recall"].value
    assert larger.metrics["roc_auc"].value == pytest.approx(smaller.metrics["roc_auc"].value)


def test_calibration_bins_have_equal_counts(tmp_path):
    outputs = evaluated(tmp_path)[1]
    curve = json.loads(outputs.report.read_text())["calibration"]
    assert [point["rows"] for point in curve] == [30] * 10
    assert [point["predicted"] for point in curve] == sorted(point["predicted"] for point in curve)


def test_a_class_that_only_held_out_rows_have_is_told(tmp_path):
    table = kit.rows(1200, "multiclass")
    table.loc[1199, "late"] = "never"
    with pytest.raises(BadDataError, match="no training row has: never"):
        evaluated(tmp_path, "multiclass", table)


def test_evaluation_is_the_same_for_the_same_model(tmp_path):
    first, second = evaluated(tmp_path / "a")[1], evaluated(tmp_path / "b")[1]
    assert first.metrics == second.metrics
    assert first.importance == second.importance
