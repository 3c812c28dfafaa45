"""Metrics of held-out rows, written so that a bootstrap resample is a vector of row weights and needs no sorting.

Definitions are scikit-learn's (with `sample_weight`), against which they are tested.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from mlops_runtime.definition import Bootstrap, Definition
from mlops_runtime.steps import frames

if TYPE_CHECKING:
    import pandas as pd

Vector = npt.NDArray[np.float64]


class Interval(BaseModel):
    """A metric and its confidence interval; the bounds are None where resamples leave it undefined."""

    model_config = ConfigDict(frozen=True)

    value: float
    low: float | None
    high: float | None


class Outcome(ABC):
    """Predictions beside the truth, on a set of rows."""

    rows: int

    @abstractmethod
    def metric(self, name: str, weights: Vector | None = None) -> float:
        """Value of a metric, NaN where it is undefined (one class only).

        Arguments:
            name: name of the metric.
            weights: weight of each row; None weighs all alike.
        """

    @abstractmethod
    def take(self, rows: npt.NDArray[Any]) -> Outcome:
        """The same on some of the rows (a mask or row numbers)."""


@dataclass
class Binary(Outcome):
    """Two classes.

    Arguments:
        truth: 1 for rows of the positive class, else 0.
        score: probability of the positive class.
        threshold: score from which the positive class is predicted.
    """

    truth: Vector
    score: Vector
    threshold: float

    def __post_init__(self) -> None:
        self.rows = len(self.truth)

    def take(self, rows: npt.NDArray[Any]) -> Binary:
        """See `Outcome`."""
        return Binary(self.truth[rows], self.score[rows], self.threshold)

    def metric(self, name: str, weights: Vector | None = None) -> float:
        """See `Outcome`."""
        w = np.ones(self.rows) if weights is None else weights
        match name:
            case "roc_auc" | "average_precision":
                return self._ranking(name, w)
            case "log_loss":
                return float(np.average(self._losses, weights=w))
            case "brier":
                return float(np.average((self.score - self.truth) ** 2, weights=w))
        hit = float(w @ (self.truth * self._called))
        called, positive, total = float(w @ self._called), float(w @ self.truth), float(w.sum())
        negative_hit = total - called - positive + hit
        match name:
            case "accuracy":
                return (hit + negative_hit) / total
            case "balanced_accuracy":
                return (_ratio(hit, positive, np.nan) + _ratio(negative_hit, total - positive, np.nan)) / 2
            case "precision":
                return _ratio(hit, called, 0.0)
            case "recall":
                return _ratio(hit, positive, 0.0)
            case "f1":
                return _ratio(2 * hit, called + positive, 0.0)
        raise KeyError(name)

    @cached_property
    def _called(self) -> Vector:
        return (self.score >= self.threshold).astype(np.float64)

    @cached_property
    def _losses(self) -> Vector:
        tiny = np.finfo(np.float64).eps
        p = np.clip(self.score, tiny, 1 - tiny)
        return -np.where(self.truth == 1, np.log(p), np.log1p(-p))

    @cached_property
    def _order(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Rows by falling score, and the place of the last row of each group of equal scores."""
        order = np.argsort(-self.score, kind="stable")
        ends = np.append(np.nonzero(np.diff(self.score[order]))[0], self.rows - 1)
        return order, ends

    def _ranking(self, name: str, w: Vector) -> float:
        order, ends = self._order
        ordered = w[order]
        hits = np.cumsum(ordered * self.truth[order])[ends]
        misses = np.cumsum(ordered)[ends] - hits
        positive, negative = hits[-1], misses[-1]
        if positive <= 0 or (negative <= 0 and name == "roc_auc"):
            return float("nan")
        if name == "roc_auc":
            # Trapezoids under the curve: ties count half.
            before = np.concatenate(([0.0], hits[:-1]))
            return float(np.sum(np.diff(misses, prepend=0.0) * (hits + before) / 2) / (positive * negative))
        called = hits + misses
        precision = np.divide(hits, called, out=np.ones_like(hits), where=called > 0)
        return float(np.sum(np.diff(hits, prepend=0.0) * precision) / positive)


@dataclass
class Multiclass(Outcome):
    """Several classes.

    Arguments:
        truth: number of each row's class.
        probabilities: rows by classes.
    """

    truth: npt.NDArray[np.int64]
    probabilities: Vector

    def __post_init__(self) -> None:
        self.rows = len(self.truth)

    def take(self, rows: npt.NDArray[Any]) -> Multiclass:
        """See `Outcome`."""
        return Multiclass(self.truth[rows], self.probabilities[rows])

    def metric(self, name: str, weights: Vector | None = None) -> float:
        """See `Outcome`."""
        w = np.ones(self.rows) if weights is None else weights
        match name:
            case "roc_auc_ovr":
                return float(np.mean([one.metric("roc_auc", w) for one in self._one_versus_rest]))
            case "log_loss":
                return float(np.average(self._losses, weights=w))
        counts = self.confusion(w)
        hits, predicted, present = np.diag(counts), counts.sum(axis=0), counts.sum(axis=1)
        match name:
            case "accuracy":
                return float(hits.sum() / counts.sum())
            case "balanced_accuracy":
                seen = present > 0
                return float(np.mean(hits[seen] / present[seen]))
            case "f1_macro":
                seen = (present + predicted) > 0
                return float(np.mean(2 * hits[seen] / (present + predicted)[seen]))
        raise KeyError(name)

    def confusion(self, weights: Vector | None = None) -> Vector:
        """Weight of rows by class (down) and predicted class (across)."""
        count = self.probabilities.shape[1]
        flat = np.bincount(self.truth * count + self._called, weights=weights, minlength=count * count)
        return flat.reshape(count, count).astype(np.float64)

    @cached_property
    def _called(self) -> npt.NDArray[np.int64]:
        return np.asarray(np.argmax(self.probabilities, axis=1), dtype=np.int64)

    @cached_property
    def _losses(self) -> Vector:
        tiny = np.finfo(np.float64).eps
        shares = np.clip(self.probabilities, tiny, 1 - tiny)
        shares = shares / shares.sum(axis=1, keepdims=True)
        losses: Vector = -np.log(shares[np.arange(self.rows), self.truth])
        return losses

    @cached_property
    def _one_versus_rest(self) -> list[Binary]:
        return [
            Binary((self.truth == number).astype(np.float64), self.probabilities[:, number], 0.5)
            for number in range(self.probabilities.shape[1])
        ]


@dataclass
class Regression(Outcome):
    """Numbers.

    Arguments:
        truth: the number of each row.
        prediction: the predicted number.
    """

    truth: Vector
    prediction: Vector

    def __post_init__(self) -> None:
        self.rows = len(self.truth)

    def take(self, rows: npt.NDArray[Any]) -> Regression:
        """See `Outcome`."""
        return Regression(self.truth[rows], self.prediction[rows])

    def metric(self, name: str, weights: Vector | None = None) -> float:
        """See `Outcome`."""
        w = np.ones(self.rows) if weights is None else weights
        error = self._error
        match name:
            case "rmse":
                return float(np.sqrt(np.average(error**2, weights=w)))
            case "mae":
                return float(np.average(np.abs(error), weights=w))
            case "r2":
                spread = float(w @ (self.truth - np.average(self.truth, weights=w)) ** 2)
                return 1 - float(w @ error**2) / spread if spread > 0 else float("nan")
            case "mape":
                return float(np.average(np.abs(error) / np.maximum(np.abs(self.truth), np.finfo(float).eps), weights=w))
            case "median_absolute_error":
                order, ordered = self._by_error
                reached = np.cumsum(w[order])
                middle = reached[-1] / 2
                # The mean of the two middle values where the weight splits exactly between them.
                return float(
                    (
                        ordered[np.searchsorted(reached, middle, side="left")]
                        + ordered[min(np.searchsorted(reached, middle, side="right"), self.rows - 1)]
                    )
                    / 2
                )
        raise KeyError(name)

    @cached_property
    def _error(self) -> Vector:
        return self.truth - self.prediction

    @cached_property
    def _by_error(self) -> tuple[npt.NDArray[np.int64], Vector]:
        sizes = np.abs(self._error)
        order = np.argsort(sizes, kind="stable")
        return order, sizes[order]


def outcome(
    task: str,
    truth: npt.NDArray[Any],
    predicted: npt.NDArray[Any],
    classes: Sequence[Any],
    positive: Any,
    threshold: float,
) -> Outcome:
    """Predictions beside the truth.

    Arguments:
        task: binary, multiclass or regression.
        truth: labels of the rows.
        predicted: probabilities, rows by classes, or the predicted numbers.
        classes: the classes, in the order of the probabilities.
        positive: the positive class of a binary task.
        threshold: score from which it is predicted.
    """
    if task == "regression":
        return Regression(truth.astype(np.float64), predicted.reshape(-1).astype(np.float64))
    names = [frames.class_name(value) for value in classes]
    numbers = np.array([names.index(name) if name in names else -1 for name in map(frames.class_name, truth)])
    if task == "binary":
        place = names.index(frames.class_name(positive))
        return Binary((numbers == place).astype(np.float64), predicted[:, place].astype(np.float64), threshold)
    return Multiclass(numbers, predicted.astype(np.float64))


def predict(model: Any, x: pd.DataFrame, y: npt.NDArray[Any], definition: Definition) -> Outcome:
    """A model's predictions for rows, beside their labels."""
    task = definition.training.task
    if task == "regression":
        return outcome(task, y, np.asarray(model.predict(x)), [], None, 0.0)
    classes = list(model.classes_)
    positive = None
    if task == "binary":
        positive = frames.positive_class(model.classes_, definition.training.positive_class, definition.training.label)
    return outcome(task, y, np.asarray(model.predict_proba(x)), classes, positive, definition.evaluation.threshold)


def resamples(rows: int, bootstrap: Bootstrap, seed: int) -> Iterator[Vector]:
    """Weights of the rows in each bootstrap resample: how often each was drawn."""
    generator = np.random.default_rng(seed)
    for _ in range(bootstrap.resamples):
        yield np.bincount(generator.integers(0, rows, rows), minlength=rows).astype(np.float64)


def intervals(outcome: Outcome, names: Sequence[str], bootstrap: Bootstrap, seed: int) -> dict[str, Interval]:
    """Metrics with percentile bootstrap intervals (Efron & Tibshirani 1993, ch. 13). Undefined ones are left out."""
    values = {name: outcome.metric(name) for name in names}
    defined = [name for name in names if np.isfinite(values[name])]
    drawn = np.array([[outcome.metric(name, w) for name in defined] for w in resamples(outcome.rows, bootstrap, seed)])
    tail = (1 - bootstrap.confidence) / 2
    found = {}
    for place, name in enumerate(defined):
        usable = drawn[:, place][np.isfinite(drawn[:, place])]
        low, high = np.quantile(usable, [tail, 1 - tail]) if len(usable) else (None, None)
        found[name] = Interval(
            value=values[name], low=None if low is None else float(low), high=None if high is None else float(high)
        )
    return found


def _ratio(part: float, whole: float, otherwise: float) -> float:
    return part / whole if whole > 0 else otherwise
