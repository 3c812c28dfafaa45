"""Bias: how much predictions differ between groups, from sums in constant memory.

A binary model's groups differ by the demographic parity difference: the largest share of positive predictions less the
smallest (Barocas, Hardt and Narayanan, "Fairness and Machine Learning", 2023, chapter 3: independence). A regression's
differ by their means, in standard deviations within the groups (Cohen, "Statistical Power Analysis for the Behavioral
Sciences", 1988). Both need predictions only, and so hold before any truth is known: an examination for biases as of
Regulation (EU) 2024/1689, Art. 10(2)(f), on the model in use.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mlops_runtime.monitoring.sketches import is_missing, text_of

MAX_GROUPS = 100
"""Values of a column that are told apart. A column with more is not judged: it names no groups, or somebody sends
noise, and to leave some out would hide what they show."""

MAX_TEXT = 200
"""Characters of a value that are kept; values that differ only later are one group."""


@dataclass(frozen=True)
class Group:
    """Predictions of one group.

    Attributes:
        rows: number of predictions.
        mean: their mean; of a binary model, the share of positive ones.
        squares: sum of the squared deviations from the mean.
    """

    rows: int
    mean: float
    squares: float

    def merged(self, other: Group) -> Group:
        """Both as one group (Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
        variances", 1979)."""
        rows = self.rows + other.rows
        apart = other.mean - self.mean
        squares = self.squares + other.squares + apart * apart * self.rows * other.rows / rows
        return Group(rows, self.mean + apart * other.rows / rows, squares)


@dataclass
class Groups:
    """Predictions by the values of a column.

    Attributes:
        column: the column.
        found: the groups by value, at most `MAX_GROUPS`; empty where there were more.
        missing: rows without a value or without a prediction.
        too_many: whether there were more.
    """

    column: str
    found: dict[str, Group] = field(default_factory=dict)
    missing: int = 0
    too_many: bool = False

    def add(self, values: Iterable[Any], predictions: NDArray[np.float64]) -> None:
        """Add rows.

        Args:
            values: the column's value of each row.
            predictions: the prediction of each row: 1 or 0, or a number; NaN where there is none.

        Raises:
            ValueError: there are not as many values as predictions.
        """
        names = np.array(["" if is_missing(value) else text_of(value)[:MAX_TEXT] for value in values], dtype=object)
        if len(names) != len(predictions):
            raise ValueError(f"{len(names)} values and {len(predictions)} predictions")
        known = (names != "") & np.isfinite(predictions)
        self.missing += len(names) - int(known.sum())
        groups, of_row = np.unique(names[known].astype(str), return_inverse=True)
        numbers = predictions[known]
        rows = np.bincount(of_row, minlength=len(groups))
        means = np.bincount(of_row, numbers, len(groups)) / rows
        squares = np.bincount(of_row, (numbers - means[of_row]) ** 2, len(groups))
        parts = zip(groups.tolist(), rows.tolist(), means.tolist(), squares.tolist(), strict=True)
        self._merge({name: Group(*sums) for name, *sums in parts})

    def merge(self, other: Groups) -> None:
        """Add all rows of other groups of the same column."""
        self.missing += other.missing
        self.too_many |= other.too_many
        self._merge(other.found)

    def _merge(self, found: Mapping[str, Group]) -> None:
        for name, group in found.items():
            self.found[name] = self.found[name].merged(group) if name in self.found else group
        self.too_many |= len(self.found) > MAX_GROUPS
        if self.too_many:
            self.found.clear()

    def to_json(self) -> dict[str, Any]:
        """The groups as JSON values."""
        found = {name: [group.rows, group.mean, group.squares] for name, group in self.found.items()}
        return {"column": self.column, "found": found, "missing": self.missing, "too_many": self.too_many}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """The groups that `to_json` wrote."""
        found = {name: Group(*sums) for name, sums in document["found"].items()}
        return cls(document["column"], found, document["missing"], document["too_many"])


@dataclass(frozen=True)
class Disparity:
    """How much the groups differ.

    Attributes:
        value: the difference; infinity where means differ and nothing varies within the groups.
        lowest: group with the smallest mean, and that mean.
        highest: group with the largest mean, and that mean.
    """

    value: float
    lowest: tuple[str, float]
    highest: tuple[str, float]


def disparity(groups: Groups, min_rows: int, task: str) -> Disparity | str:
    """How much the predictions differ between the groups, or why that can't be said.

    Args:
        groups: the groups.
        min_rows: rows below which a group is left out.
        task: binary or regression.
    """
    if groups.too_many:
        return f"{groups.column} has more than {MAX_GROUPS} values"
    judged = {name: group for name, group in groups.found.items() if group.rows >= min_rows}
    if len(judged) < 2:
        return f"{len(judged)} groups of {groups.column} have {min_rows} rows; two are needed"
    ordered = sorted((group.mean, name) for name, group in judged.items())
    (low, lowest), (high, highest) = ordered[0], ordered[-1]
    value = high - low
    if task == "regression" and value > 0:
        freedom = sum(group.rows for group in judged.values()) - len(judged)
        deviation = math.sqrt(sum(group.squares for group in judged.values()) / freedom) if freedom else 0.0
        value = value / deviation if deviation else math.inf
    return Disparity(value, (lowest, low), (highest, high))


def decisions(
    outputs: Mapping[str, Any], *, task: str, classes: Iterable[str] | None, positive_class: str | None
) -> NDArray[np.float64]:
    """What is compared, one number for each row: whether the label is the positive class, or the prediction.

    Args:
        outputs: captured outputs by name: `label`, or `prediction` [rows] or [rows, 1].
        task: binary or regression.
        classes: a classifier's classes.
        positive_class: the class of a binary model that counts; None takes the last one.

    Raises:
        KeyError: the output that the task needs is missing.
        ValueError: the output is not of numbers, or the task is another one.
    """
    if task == "regression":
        return np.asarray(outputs["prediction"], dtype=np.float64).reshape(-1)
    if task != "binary":
        raise ValueError(f"a {task} model has no positive class")
    positive = [*(classes or ())][-1] if positive_class is None else positive_class
    labels = np.asarray(outputs["label"]).reshape(-1).tolist()
    return np.array([str(label) == str(positive) for label in labels], dtype=np.float64)
