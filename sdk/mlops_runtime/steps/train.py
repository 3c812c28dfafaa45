"""The step `train`: a model from the training rows, and from nothing else."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mlops_runtime.definition import Definition
from mlops_runtime.errors import BadDataError
from mlops_runtime.steps import distributed, fitting, frames, tune
from mlops_runtime.steps.base import Outputs, Run, Step, digest_of_file
from mlops_runtime.steps.featurize import FeaturizeOutputs

if TYPE_CHECKING:
    import pandas as pd


class TrainOutputs(Outputs):
    """The fitted model.

    Arguments:
        model: cloudpickle of the fitted estimator.
        digest: SHA-256 of that file; same code, data, parameters and seed give the same.
        params: parameters used, with those that tuning found.
        tuning_trials: parameter sets tried; 0 without tuning.
        seconds: time of the last fit, without tuning.
    """

    model: Path
    digest: str
    params: dict[str, Any]
    tuning_trials: int
    seconds: float


def check_classes(y: npt.NDArray[Any], task: str, label: str) -> None:
    """Check that there is something to learn.

    Raises:
        BadDataError: one class only, or more than two in a binary task.
    """
    if task == "regression":
        return
    classes = np.unique(y)
    if len(classes) < 2:
        raise BadDataError(
            f"label {label}: all {len(y):,} training rows are of class {classes[0]}; a model needs at least two "
            "classes. Widen training.window, or look at the label's transform"
        )
    if task == "binary" and len(classes) > 2:
        shown = ", ".join(map(str, classes[:5])) + ("…" if len(classes) > 5 else "")
        raise BadDataError(f"label {label}: a binary task has two classes, and there are {len(classes)}: {shown}")


def _inputs(run: Run) -> dict[str, Any]:
    from mlops_runtime.code import digest_of_code

    features = run.outputs("featurize", FeaturizeOutputs)
    settings = run.definition.training
    return {
        "data": features.data_digest,
        "columns": [column.model_dump() for column in features.columns],
        "training": settings.model_dump(mode="json", exclude={"window", "split", "compute", "distribution"}),
        "split": settings.split.strategy,
        "cpu": settings.compute.cpu,
        "primary": run.definition.evaluation.primary if settings.tuning else None,
        "code": digest_of_code(run.definition) if settings.function else None,
    }


def _run(run: Run) -> TrainOutputs:
    from mlops_runtime.code import pickled

    definition = run.definition
    settings = definition.training
    features = run.outputs("featurize", FeaturizeOutputs)
    table = frames.read_table(features.training)
    y = frames.labels(table, settings.task, settings.label)
    x = frames.model_inputs(table, features.columns)
    del table
    check_classes(y, settings.task, settings.label)
    params = dict(settings.params)
    trials = 0
    if settings.tuning is not None:
        found = tune.search(run, features.columns, x, y)
        params |= found.params
        trials = found.trials
    import sklearn  # noqa: F401 - its import takes a second that is not part of the fit

    started = time.monotonic()
    if settings.estimator is not None and distributed.connected(definition):
        # The workers have the cores and the GPUs; a training function asks for them itself.
        work = (definition, features.columns, x, y)
        model = distributed.Workers(definition, 1, work).submit(_fit, params).result()
    else:
        model = _fit((definition, features.columns, x, y), params)
    seconds = time.monotonic() - started
    path = run.directory / "train" / "model.pkl"
    path.write_bytes(pickled(definition, model))
    if kept := distributed.checkpoints(definition.identity.name, run.id):
        shutil.rmtree(kept, ignore_errors=True)
    name = settings.estimator or settings.function
    run.progress(f"train: {name} on {len(x):,} rows, {x.shape[1]} inputs, fitted in {seconds:.1f} s")
    return TrainOutputs(
        model=path, digest=digest_of_file(path), params=params, tuning_trials=trials, seconds=round(seconds, 3)
    )


def _fit(
    work: tuple[Definition, Sequence[frames.Named], pd.DataFrame, npt.NDArray[Any]], params: dict[str, Any]
) -> Any:
    from threadpoolctl import threadpool_limits

    definition, columns, x, y = work
    with threadpool_limits(fitting.threads(definition.training.compute.cpu)):
        # Copies: what comes from a cluster's shared memory can't be written, and estimators may.
        return fitting.fit(definition, columns, x.copy(), y.copy(), params)


STEP = Step("train", _run, TrainOutputs, _inputs)
