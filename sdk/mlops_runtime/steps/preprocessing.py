"""Treatment of columns in front of an estimator, made of parts that ONNX can express exactly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mlops_runtime.definition import Preprocessing
from mlops_runtime.steps.frames import Named

if TYPE_CHECKING:
    import pandas as pd


def pipeline(estimator: Any, preprocessing: Preprocessing, columns: Sequence[Named], training: pd.DataFrame) -> Any:
    """A scikit-learn pipeline of column treatment and estimator, not fitted yet.

    Categories are fixed from the training rows, rather than by the encoders' own `min_frequency`, whose grouping of
    rare values has no ONNX counterpart: rare and unseen values get the same encoding, all zeros (one-hot) or -1
    (ordinal). Numbers are not scaled in front of trees, which are invariant to it; scaled thresholds would differ in
    their last bit between 32 and 64-bit arithmetic and send rows down another branch.

    Arguments:
        estimator: scikit-learn estimator.
        preprocessing: settings.
        columns: the model's inputs.
        training: rows that categories are taken from.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

    numbers = [column.name for column in columns if column.dtype in ("float64", "float32", "int64")]
    truths = [column.name for column in columns if column.dtype == "bool"]
    parts: list[tuple[str, Any, list[str]]] = []
    treatment: list[tuple[str, Any]] = []
    if preprocessing.impute != "none":
        treatment.append(("impute", SimpleImputer(strategy=preprocessing.impute, keep_empty_features=True)))
    if preprocessing.numeric == "standard" and not _made_of_trees(estimator):
        treatment.append(("scale", StandardScaler()))
    if numbers:
        parts.append(("numbers", Pipeline(treatment) if treatment else "passthrough", numbers))
    if truths:
        parts.append(("truths", "passthrough", truths))
    categories = _categories(training, columns, preprocessing.min_frequency)
    dense = not _takes_sparse(estimator)
    if categories:
        kept = list(categories.values())
        encoder = (
            OneHotEncoder(categories=kept, handle_unknown="ignore", sparse_output=not dense)
            if preprocessing.categorical == "onehot"
            else OrdinalEncoder(categories=kept, handle_unknown="use_encoded_value", unknown_value=-1)
        )
        parts.append(("categories", encoder, list(categories)))
    return Pipeline([("columns", ColumnTransformer(parts, sparse_threshold=0 if dense else 0.3)), ("model", estimator)])


def _categories(training: pd.DataFrame, columns: Sequence[Named], min_frequency: int) -> dict[str, list[str]]:
    """The frequent values of each string column; a column without any says nothing and is left out."""
    found: dict[str, list[str]] = {}
    for column in columns:
        if column.dtype == "string":
            counts = training[column.name].value_counts()
            if frequent := sorted(counts[counts >= min_frequency].index):
                found[column.name] = frequent
    return found


def _takes_sparse(estimator: Any) -> bool:
    from sklearn.utils import get_tags

    return bool(get_tags(estimator).input_tags.sparse)


def _made_of_trees(estimator: Any) -> bool:
    inner = getattr(estimator, "estimator", None)
    if inner is not None and not isinstance(inner, str):
        return _made_of_trees(inner)
    name = type(estimator).__name__
    return any(part in name for part in ("Tree", "Forest", "GradientBoosting", "XGB", "LGBM"))
