"""Search for parameters (Optuna), within the training rows; part of the step `train`.

The study is kept in the run's folder, or on the volume for checkpoints where there is one, so an interrupted search
goes on where it was. One process asks the sampler and tells it the results; folds are fitted in worker processes, or
by the workers of a Ray cluster. Each trial's sampler is seeded by its number, so that a search of one trial at a time
finds the same parameters whether it was interrupted or not.
"""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mlops_runtime.definition import Definition, Parameter, Tuning
from mlops_runtime.errors import BadInputError, StepError
from mlops_runtime.lifecycle import end_with_parent
from mlops_runtime.steps import distributed, fitting, frames, metrics
from mlops_runtime.steps.base import Run

if TYPE_CHECKING:
    import optuna
    import pandas as pd


_ERROR = "error"
_FAILURES = 3
"""Trials that may fail before the search is given up."""


@dataclass(frozen=True)
class Found:
    """Result of a search.

    Arguments:
        params: the best parameters.
        value: their mean over the folds, in the primary metric.
        trials: parameter sets tried, pruned ones included.
    """

    params: dict[str, Any]
    value: float
    trials: int


@dataclass
class _Trial:
    trial: optuna.Trial
    params: dict[str, Any]
    scores: list[float] = field(default_factory=list)


def search(run: Run, columns: Sequence[frames.Named], x: pd.DataFrame, y: npt.NDArray[Any]) -> Found:
    """Find parameters by the tree-structured Parzen estimator (Bergstra et al. 2011).

    Arguments:
        run: the run, whose definition has `training.tuning`.
        columns: the model's inputs.
        x: training rows by inputs, in order of time where the split is by time.
        y: their labels.

    Raises:
        BadInputError: a parameter does not exist, or no trial succeeded.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    definition = run.definition
    tuning = definition.training.tuning
    assert tuning is not None
    primary = definition.evaluation.primary
    larger = definition.evaluation.metrics[primary]
    folder = distributed.checkpoints(definition.identity.name, run.id) or run.directory / "train"
    folder.mkdir(parents=True, exist_ok=True)
    journal = folder / "study.journal"
    study = optuna.create_study(
        storage=optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(journal))),
        study_name=definition.identity.name,
        direction="maximize" if larger else "minimize",
        pruner=optuna.pruners.MedianPruner() if tuning.pruner == "median" else optuna.pruners.NopPruner(),
        load_if_exists=True,
    )
    for left in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(left.number, state=optuna.trial.TrialState.FAIL)
    with _fold_runner(definition, columns, x, y, tuning) as submit:
        _optimise(study, submit, tuning, definition.training.seed, run)
    finished = study.get_trials(
        deepcopy=False, states=(optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    )
    best = study.best_trial
    run.progress(
        f"train: tuned over {len(finished)} trials, best {primary} {best.value:.4f} with "
        + ", ".join(f"{name}={value}" for name, value in best.params.items())
    )
    return Found(dict(best.params), float(best.value), len(finished))


def folds(y: npt.NDArray[Any], definition: Definition) -> list[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    """Row numbers of training and test part of each fold: forward in time, or stratified and shuffled."""
    from sklearn.model_selection import KFold, StratifiedKFold, TimeSeriesSplit

    training = definition.training
    assert training.tuning is not None
    count = training.tuning.folds
    if training.split.strategy == "time":
        splitter = TimeSeriesSplit(count)
    elif training.task == "regression":
        splitter = KFold(count, shuffle=True, random_state=training.seed)
    else:
        splitter = StratifiedKFold(count, shuffle=True, random_state=training.seed)
    return list(splitter.split(np.zeros(len(y)), y))


def fold_score(
    definition: Definition,
    columns: Sequence[frames.Named],
    x: pd.DataFrame,
    y: npt.NDArray[Any],
    fold: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    params: dict[str, Any],
    threads: int,
) -> float:
    """The primary metric on a fold's test part, of a model fitted on its training part with some threads.

    Raises:
        BadInputError: the parameters or the function are wrong.
    """
    from threadpoolctl import threadpool_limits

    training = definition.training
    train, test = fold
    with threadpool_limits(threads):
        model = fitting.fit(definition, columns, x.iloc[train], y[train], {**training.params, **params})
        outcome = metrics.predict(model, x.iloc[test], y[test], definition)
    value = outcome.metric(definition.evaluation.primary)
    return float(value)


def _optimise(study: optuna.Study, submit: Any, tuning: Tuning, seed: int, run: Run) -> None:
    import optuna

    deadline = None if tuning.timeout is None else time.monotonic() + tuning.timeout
    done = len([trial for trial in study.trials if trial.state.is_finished() and trial.state.name != "FAIL"])
    running: dict[concurrent.futures.Future[float], _Trial] = {}
    # A trial that was interrupted is asked again as if it had not been; one that failed by itself is not.
    failures = len([trial for trial in study.trials if _ERROR in trial.user_attrs])
    problem: StepError | None = None
    while True:
        while len(running) < tuning.parallel and done + len(running) < tuning.trials and problem is None:
            if deadline is not None and time.monotonic() > deadline:
                break
            number = done + failures + len(running)
            study.sampler = optuna.samplers.TPESampler(seed=seed + number, constant_liar=tuning.parallel > 1)
            trial = study.ask()
            attempt = _Trial(trial, {name: _suggest(trial, name, kind) for name, kind in tuning.space.items()})
            running[submit(0, attempt.params)] = attempt
        if not running:
            break
        finished, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
        for future in finished:
            attempt = running.pop(future)
            try:
                attempt.scores.append(future.result())
            except StepError as error:
                attempt.trial.set_user_attr(_ERROR, str(error))
                study.tell(attempt.trial, state=optuna.trial.TrialState.FAIL)
                failures += 1
                run.progress(f"train: trial {attempt.trial.number} failed: {error}")
                if failures >= _FAILURES:
                    problem = error
                continue
            fold = len(attempt.scores)
            attempt.trial.report(float(np.mean(attempt.scores)), fold)
            if fold == tuning.folds:
                study.tell(attempt.trial, float(np.mean(attempt.scores)))
                done += 1
            elif attempt.trial.should_prune():
                study.tell(attempt.trial, state=optuna.trial.TrialState.PRUNED)
                done += 1
            else:
                running[submit(fold, attempt.params)] = attempt
    if problem is not None:
        raise problem
    if not any(trial.state == optuna.trial.TrialState.COMPLETE for trial in study.trials):
        raise BadInputError(
            "training.tuning: no trial finished"
            + (f" within timeout ({tuning.timeout:g} s)" if tuning.timeout is not None else "")
            + "; widen the limits or narrow training.tuning.space"
        )


def _suggest(trial: optuna.Trial, name: str, kind: Parameter) -> Any:
    if kind.type == "categorical":
        assert kind.choices is not None
        return trial.suggest_categorical(name, kind.choices)
    assert kind.low is not None
    assert kind.high is not None
    if kind.type == "int":
        return trial.suggest_int(name, int(kind.low), int(kind.high), log=kind.log)
    return trial.suggest_float(name, kind.low, kind.high, log=kind.log)


@contextmanager
def _fold_runner(
    definition: Definition, columns: Sequence[frames.Named], x: pd.DataFrame, y: npt.NDArray[Any], tuning: Tuning
) -> Iterator[Any]:
    """Gives `submit(fold, params) -> Future`: on the workers of a cluster where there is one, else in this process for
    one trial at a time, and in worker processes for more."""
    threads = max(1, fitting.threads(definition.training.compute.cpu) // tuning.parallel)
    work: _Work = (definition, list(columns), x, y, folds(y, definition))
    if distributed.connected(definition):
        workers = distributed.Workers(definition, tuning.parallel, work)
        yield lambda number, params: workers.submit(_score, number, params, workers.share)
        return
    if tuning.parallel == 1:

        def here(number: int, params: dict[str, Any]) -> concurrent.futures.Future[float]:
            future: concurrent.futures.Future[float] = concurrent.futures.Future()
            try:
                future.set_result(_score(work, number, params, threads))
            except StepError as error:
                future.set_exception(error)
            return future

        yield here
        return
    pool = concurrent.futures.ProcessPoolExecutor(
        tuning.parallel,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(work,),
    )
    try:
        yield lambda number, params: pool.submit(_in_worker, number, params, threads)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_Work = tuple[
    Definition, list[frames.Named], "pd.DataFrame", npt.NDArray[Any], list[tuple[npt.NDArray[Any], npt.NDArray[Any]]]
]
"""Definition, inputs, rows, labels, and the row numbers of each fold."""

_WORK: list[_Work] = []


def _start_worker(work: _Work) -> None:
    end_with_parent()
    _WORK[:] = [work]


def _in_worker(number: int, params: dict[str, Any], threads: int) -> float:
    return _score(_WORK[0], number, params, threads)


def _score(work: _Work, number: int, params: dict[str, Any], threads: int) -> float:
    definition, columns, x, y, plan = work
    return fold_score(definition, columns, x, y, plan[number], params, threads)
