from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import cloudpickle
import numpy as np
import pandas as pd
import pytest
import training_kit as kit

from mlops_runtime.errors import BadDataError, BadInputError
from mlops_runtime.steps import train
from mlops_runtime.steps.featurize import FeaturizeOutputs

FOREST = {"training__estimator": "sklearn.ensemble.RandomForestClassifier", "training__params": {"n_estimators": 5}}


def trained(root, table=None, task="binary", run_id="r1", **overrides):
    run = kit.featurized(
        kit.definition(root, task, **overrides), kit.rows(400, task) if table is None else table, run_id
    )
    return run, train.STEP.execute(run)


def test_the_model_never_sees_held_out_rows(tmp_path):
    run = kit.featurized(kit.definition(tmp_path, **FOREST), kit.rows(400))
    before = train.STEP.execute(run).digest
    features = run.outputs("featurize", FeaturizeOutputs)
    poisoned = pd.read_parquet(features.holdout)
    poisoned["__label"] = 1 - poisoned["__label"]
    poisoned["c"] = "only here"
    poisoned.to_parquet(features.holdout)
    other = kit.featurized(kit.definition(tmp_path, **FOREST), kit.rows(400), "r2")
    poisoned.to_parquet(other.outputs("featurize", FeaturizeOutputs).holdout)
    assert train.STEP.execute(other).digest == before
    third = kit.featurized(kit.definition(tmp_path, **FOREST), kit.rows(400), "r3")
    third.outputs("featurize", FeaturizeOutputs).holdout.unlink()
    assert train.STEP.execute(third).digest == before


def test_same_inputs_give_the_same_digest_in_another_process_and_another_seed_gives_another(tmp_path):
    digests = set()
    for number, hash_seed in enumerate(("0", "1")):
        script = textwrap.dedent(f"""
            import pathlib, sys
            sys.path.insert(0, {str(kit.__file__)!r}.rpartition("/")[0])
            import training_kit as kit
            from mlops_runtime.steps import train
            made = kit.definition(pathlib.Path({str(tmp_path / str(number))!r}), **{FOREST!r})
            print(train.STEP.execute(kit.featurized(made, kit.rows(400))).digest)
        """)
        done = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            check=True,
        )
        digests.add(done.stdout.strip())
    _, here = trained(tmp_path / "here", **FOREST)
    assert digests == {here.digest}
    _, other = trained(tmp_path / "other", **FOREST, training__seed=2)
    assert other.digest != here.digest


def test_a_function_gets_a_frame_and_parameters_and_no_missing_strings(tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "mine.py").write_text(
        textwrap.dedent("""
            from sklearn.dummy import DummyClassifier

            def fit(X, y, *, strategy):
                assert list(X.columns) == ["a", "h", "flag", "c"], X.columns
                assert str(X["a"].dtype) == "float32" and (X["c"] == "").any() and X["c"].notna().all()
                model = DummyClassifier(strategy=strategy).fit(X, y)
                model.rows_ = len(X)
                return model
        """)
    )
    _, outputs = trained(tmp_path, training__function="mine:fit", training__params={"strategy": "prior"})
    assert cloudpickle.loads(outputs.model.read_bytes()).rows_ == 300


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return None", "returned NoneType, which has no predict"),
        ("raise ValueError('no such column')", r"mine:fit failed.*mine.py:2.*no such column"),
        ("from sklearn.svm import LinearSVC; return LinearSVC().fit(X[['h']], y)", "no predict_proba"),
    ],
)
def test_a_function_that_does_not_train_is_told_so(tmp_path, body, message):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "mine.py").write_text(f"def fit(X, y):\n    {body}\n")
    with pytest.raises(BadInputError, match=message):
        trained(tmp_path, training__function="mine:fit")


def test_wrong_parameter_values_are_told_without_a_traceback(tmp_path):
    with pytest.raises(BadInputError, match=r"LogisticRegression can't be fitted: .*'max_iter'"):
        trained(tmp_path, training__params={"max_iter": -1})


def test_missing_numbers_without_imputation_say_how_to_mend(tmp_path):
    settings = {"numeric": "standard", "impute": "none", "categorical": "onehot", "min_frequency": 1}
    with pytest.raises(BadInputError, match=r"set training\.preprocessing\.impute"):
        trained(tmp_path, training__preprocessing=settings)


@pytest.mark.parametrize(
    ("labels", "task", "message"),
    [
        (lambda y: y * 0, "binary", "all 300 training rows are of class 0"),
        (lambda y: np.arange(400) % 3, "binary", "there are 3: 0, 1, 2"),
        (lambda y: y.where(y > 0), "binary", "rows have none"),
        (lambda y: y + 0.5, "multiclass", "whole numbers or strings"),
        (lambda y: y.astype(str), "regression", "a regression needs numbers"),
    ],
)
def test_labels_that_can_not_be_learned_are_refused(tmp_path, labels, task, message):
    table = kit.rows(400)
    table["late"] = labels(table["late"])
    with pytest.raises(BadDataError, match=message):
        trained(tmp_path, table, task)


def test_a_finished_step_is_not_run_again(tmp_path):
    run, first = trained(tmp_path)
    stamp = first.model.stat().st_mtime_ns
    assert train.STEP.execute(run) == first
    assert first.model.stat().st_mtime_ns == stamp
