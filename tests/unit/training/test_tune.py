from __future__ import annotations

import numpy as np
import pytest
import training_kit as kit

from mlops_runtime.errors import BadInputError
from mlops_runtime.steps import frames, tune


def search_for(root, table=None, **settings):
    """A definition that tunes a logistic regression."""
    tuning = {
        "space": {"C": {"type": "float", "low": 1e-4, "high": 10.0, "log": True, "choices": None}},
        "trials": 6,
        "parallel": 1,
        "timeout": None,
        "folds": 3,
        "pruner": "none",
        **settings,
    }
    made = kit.definition(root, training__tuning=tuning)
    table = kit.rows(400) if table is None else table
    run = kit.featurized(made, table)
    (run.directory / "train").mkdir(exist_ok=True)
    y = frames.labels(table.rename(columns={"late": "__label"}), "binary", "late")
    return run, frames.model_inputs(table, kit.COLUMNS), y


def test_an_interrupted_search_goes_on_and_finds_what_an_uninterrupted_one_does(tmp_path, monkeypatch):
    run, x, y = search_for(tmp_path / "whole")
    whole = tune.search(run, kit.COLUMNS, x, y)
    assert whole.trials == 6

    run, x, y = search_for(tmp_path / "parts")
    real = tune.fold_score
    calls = []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 8:  # in the third trial
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(tune, "fold_score", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tune.search(run, kit.COLUMNS, x, y)
    calls.clear()
    monkeypatch.setattr(tune, "fold_score", lambda *arguments: (calls.append(1), real(*arguments))[1])
    assert tune.search(run, kit.COLUMNS, x, y) == whole
    # Two trials were finished; the one that was cut short is asked again.
    assert len(calls) == 4 * 3


def test_folds_go_forward_in_time(tmp_path):
    run, _, y = search_for(tmp_path)
    for learned, tested in tune.folds(y, run.definition):
        assert learned.max() < tested.min()


def test_random_folds_keep_the_share_of_classes(tmp_path):
    made = kit.definition(tmp_path, training__split={"strategy": "random", "holdout": 0.25})
    tuning = search_for(tmp_path)[0].definition.training.tuning
    made = made.model_copy(update={"training": made.training.model_copy(update={"tuning": tuning})})
    y = (np.arange(900) < 90).astype(int)
    for _, tested in tune.folds(y, made):
        assert y[tested].sum() == 30


def test_parallel_workers_run_exactly_the_trials_asked_for(tmp_path):
    run, x, y = search_for(tmp_path, parallel=2, trials=4, folds=2)
    found = tune.search(run, kit.COLUMNS, x, y)
    assert found.trials == 4
    assert 1e-4 <= found.params["C"] <= 10


def test_trials_below_the_median_are_stopped_after_a_fold(tmp_path, monkeypatch):
    run, x, y = search_for(tmp_path, pruner="median", trials=12)
    folds_of = {}

    def score(definition, columns, x, y, fold, params, threads):
        folds_of[params["C"]] = folds_of.get(params["C"], 0) + 1
        return 0.9 if len(folds_of) <= 6 else 0.1

    monkeypatch.setattr(tune, "fold_score", score)
    assert tune.search(run, kit.COLUMNS, x, y).trials == 12
    assert list(folds_of.values()) == [3] * 6 + [1] * 6


def test_a_parameter_that_does_not_exist_ends_the_search(tmp_path):
    space = {"c": {"type": "float", "low": 0.1, "high": 1.0, "log": False, "choices": None}}
    run, x, y = search_for(tmp_path, space=space)
    with pytest.raises(BadInputError, match=r"no parameter 'c'; did you mean 'C'"):
        tune.search(run, kit.COLUMNS, x, y)


def test_the_metric_decides_the_direction(tmp_path, monkeypatch):
    run, x, y = search_for(tmp_path, trials=5)
    evaluation = run.definition.evaluation.model_copy(update={"primary": "log_loss"})
    run.definition = run.definition.model_copy(update={"evaluation": evaluation})
    seen = []
    monkeypatch.setattr(tune, "fold_score", lambda *arguments: (seen.append(arguments[5]["C"]), arguments[5]["C"])[1])
    assert tune.search(run, kit.COLUMNS, x, y).params["C"] == min(seen)
