"""Fitting the declared estimator or function, the same in training and in every trial of tuning."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mlops_runtime.definition import Definition
from mlops_runtime.errors import BadInputError
from mlops_runtime.steps import estimators, frames, preprocessing

if TYPE_CHECKING:
    import pandas as pd


def fit(
    definition: Definition,
    columns: Sequence[frames.Named],
    x: pd.DataFrame,
    y: npt.NDArray[Any],
    params: dict[str, Any],
) -> Any:
    """Fit the definition's estimator, or call its function.

    Arguments:
        definition: the pipeline definition.
        columns: the model's inputs.
        x: rows by inputs, as `frames.model_inputs` gives them.
        y: labels of the rows.
        params: parameters of the estimator, or keyword arguments of the function.

    Raises:
        BadInputError: wrong estimator, parameter or function; user code failed.
    """
    training = definition.training
    if training.function is not None:
        return _call(definition, x, y, params)
    estimator = estimators.make(training, params)
    assert training.preprocessing is not None
    model = preprocessing.pipeline(estimator, training.preprocessing, columns, x)
    try:
        return model.fit(x, y)
    except (ValueError, TypeError) as error:
        raise BadInputError(
            f"{training.estimator} can't be fitted: {error}{_hint(training.preprocessing, x)}"
        ) from error


def threads(cpu: float) -> int:
    """Threads that numerical libraries may use: CPU cores, rounded up."""
    return max(1, math.ceil(cpu))


def _call(definition: Definition, x: pd.DataFrame, y: npt.NDArray[Any], params: dict[str, Any]) -> Any:
    from mlops_runtime import code

    training = definition.training
    assert training.function is not None
    # User code that draws random numbers without a seed of its own is reproducible nonetheless.
    np.random.seed(training.seed)
    random.seed(training.seed)
    model = code.call(definition, training.function, x, y, expects="training.function", **params)
    estimators.check_fitted(model, training.task, f"training.function {training.function}")
    return model


def _hint(settings: Any, x: pd.DataFrame) -> str:
    if settings.impute == "none" and bool(x.isna().to_numpy().any()):
        return (
            ". The rows have missing numbers: set training.preprocessing.impute, or take an estimator that allows them"
        )
    return ""
