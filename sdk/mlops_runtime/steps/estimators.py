"""Estimators by import path: found, checked, seeded."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Iterable
from typing import Any

from mlops_runtime.definition import Training
from mlops_runtime.errors import BadInputError


def make(training: Training, params: dict[str, Any]) -> Any:
    """The estimator that a definition names, with parameters and seed, not fitted.

    Raises:
        BadInputError: no such class, not an estimator for the task, or no such parameter; names the nearest one.
    """
    path = training.estimator
    assert path is not None
    kind = _find(path)
    accepted = _parameters(kind)
    for name in params:
        if accepted is not None and name not in accepted:
            raise BadInputError(f"training.params: {path} has no parameter {name!r}{_near(name, accepted)}")
    try:
        estimator = kind(**params)
    except (TypeError, ValueError) as error:
        raise BadInputError(f"training.params: {path}: {error}") from None
    _check_task(estimator, path, training.task)
    return seeded(estimator, training.seed)


def seeded(estimator: Any, seed: int) -> Any:
    """Set every `random_state` that is not given, also of nested estimators."""
    if hasattr(estimator, "get_params"):
        states = {
            name: seed
            for name, value in estimator.get_params(deep=True).items()
            if value is None and name.rpartition("__")[2] == "random_state"
        }
        if states:
            estimator.set_params(**states)
    return estimator


def check_fitted(model: Any, task: str, where: str) -> None:
    """Check that what a training function returned can predict for the task.

    Raises:
        BadInputError: it can't; says what is missing.
    """
    needed = ["predict"] if task == "regression" else ["predict", "predict_proba", "classes_"]
    for name in needed:
        if not hasattr(model, name):
            raise BadInputError(
                f"{where} returned {type(model).__name__}, which has no {name}; "
                f"return a fitted scikit-learn estimator for a {task} task"
            )


def _find(path: str) -> type[Any]:
    module_name, _, name = path.rpartition(".")
    if not module_name:
        raise BadInputError(
            f"training.estimator: {path!r} is not an import path such as sklearn.linear_model.LogisticRegression"
        )
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        if not (module_name == missing or module_name.startswith(f"{missing}.")):
            raise BadInputError(f"training.estimator: importing {module_name} failed: {error}") from None
        parent = missing.rpartition(".")[0]
        raise BadInputError(
            f"training.estimator: there is no module {missing!r}{_near(missing, _submodules(parent))}"
        ) from None
    except Exception as error:
        raise BadInputError(f"training.estimator: importing {module_name} failed: {error!r}") from None
    kind = getattr(module, name, None)
    if kind is None:
        raise BadInputError(f"training.estimator: {module_name} has no {name!r}{_near(name, dir(module))}")
    if not (inspect.isclass(kind) and hasattr(kind, "fit")):
        raise BadInputError(f"training.estimator: {path} is not an estimator class (it has no fit)")
    return kind


def _submodules(parent: str) -> list[str]:
    import pkgutil

    if not parent:
        return []
    package = importlib.import_module(parent)
    return [f"{parent}.{module.name}" for module in pkgutil.iter_modules(getattr(package, "__path__", []))]


def _parameters(kind: type[Any]) -> list[str] | None:
    """Names of the parameters; None if any is taken."""
    parameters = inspect.signature(kind).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return [parameter.name for parameter in parameters]


def _check_task(estimator: Any, path: str, task: str) -> None:
    from sklearn.base import is_classifier, is_regressor

    if task == "regression":
        if is_classifier(estimator):
            raise BadInputError(f"training.estimator: {path} is a classifier; the task is {task}")
        return
    if is_regressor(estimator):
        raise BadInputError(f"training.estimator: {path} is a regressor; the task is {task}")
    if not hasattr(estimator, "predict_proba"):
        raise BadInputError(
            f"training.estimator: {path} gives no probabilities (predict_proba) as it is set; wrap it in "
            "sklearn.calibration.CalibratedClassifierCV by a training function, or take another"
        )


def _near(name: str, known: Iterable[str]) -> str:
    by_sound = {each.casefold(): each for each in known}
    near = difflib.get_close_matches(name.casefold(), list(by_sound), n=1, cutoff=0.5)
    return f"; did you mean {by_sound[near[0]]!r}?" if near else ""
