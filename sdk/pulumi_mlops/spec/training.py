"""How a model is made: rows, estimator, tuning and limits."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from pulumi_mlops.spec.base import Column, Cpu, Duration, EntryPoint, Name, Section, Size


class Window(Section):
    """The stretch of time that training rows are taken from."""

    start: datetime | None = None
    """First timestamp taken (UTC). Default: the earliest."""

    end: datetime | None = None
    """First timestamp no longer taken (UTC). Default: after the latest."""

    last: Duration | None = None
    """Length of a window that ends with the newest row, instead of start and end. Default: none."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.last is not None and (self.start or self.end):
            raise ValueError("give either last, or start and end")
        if self.start and self.end and self.start >= self.end:
            raise ValueError("start is not before end")
        return self


class Split(Section):
    """Division of the rows into training and held-out rows."""

    strategy: Literal["time", "random"] = "random"
    """`time` holds out the latest rows, as the model will meet the future; `random` draws them (stratified by class).
    Default: random."""

    holdout: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of rows held out for evaluation, never seen in training or tuning. Default: 0.2."""


class Preprocessing(Section):
    """Treatment of columns in front of an `estimator`; a training `function` does its own."""

    numeric: Literal["none", "standard"] = "standard"
    """`standard` scales numbers to mean 0 and variance 1. Default: standard."""

    impute: Literal["none", "median", "mean"] = "median"
    """What missing numbers are replaced with. Default: median."""

    categorical: Literal["onehot", "ordinal"] = "onehot"
    """Encoding of strings; values not seen in training are encoded as such. Default: onehot."""

    min_frequency: Annotated[int, Field(ge=1)] = 10
    """Categories seen fewer times are treated as unseen. Default: 10."""


class Parameter(Section):
    """Range that tuning searches for one parameter of the estimator."""

    type: Literal["float", "int", "categorical"]
    """Kind of value."""

    low: float | None = None
    """Smallest value, for numbers."""

    high: float | None = None
    """Largest value, for numbers."""

    log: bool = False
    """Search on a logarithmic scale. Default: false."""

    choices: list[str | int | float | bool | None] | None = None
    """The values, for `categorical`."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.type == "categorical":
            if not self.choices or self.low is not None or self.high is not None or self.log:
                raise ValueError("a categorical parameter has choices, and no low, high or log")
        elif self.low is None or self.high is None or self.choices is not None:
            raise ValueError(f"a parameter of type {self.type} has low and high, and no choices")
        elif self.low >= self.high:
            raise ValueError(f"low ({self.low:g}) is not smaller than high ({self.high:g})")
        elif self.log and self.low <= 0:
            raise ValueError("a logarithmic scale needs low above 0")
        return self


class Tuning(Section):
    """Search for the estimator's parameters (Optuna, tree-structured Parzen estimator)."""

    space: Annotated[dict[str, Parameter], Field(min_length=1)]
    """Parameters searched, by name; they override `training.params`."""

    trials: Annotated[int, Field(ge=1)] = 20
    """Parameter sets tried. Default: 20."""

    parallel: Annotated[int, Field(ge=1)] = 1
    """Trials at a time, each in a process of its own. Default: 1."""

    timeout: Duration | None = None
    """Time after which no further trial starts. Default: none."""

    folds: Annotated[int, Field(ge=2)] = 3
    """Cross-validation folds of a trial, within the training rows (in order of time where the split is by time).
    Default: 3."""

    pruner: Literal["none", "median"] = "median"
    """Stop trials that are below the median of earlier ones after a fold. Default: median."""


class Compute(Section):
    """What a training run may use."""

    cpu: Cpu = 1.0
    """CPU cores; threads of numerical libraries are limited to it (rounded up). Default: 1."""

    memory: Size = 2 * 2**30
    """Memory; a step that needs more is stopped. Default: 2Gi."""

    time_limit: Duration = Field(default="1h")  # type: ignore[assignment]
    """Time after which a pipeline step is stopped. Default: 1h."""


class Training(Section):
    """How a model is made from the data."""

    task: Literal["binary", "multiclass", "regression"]
    """What is predicted: one of two classes, one of several, or a number."""

    source: Name
    """The source whose rows are learned from; each row is one example."""

    label: Column
    """Column of the source that is to be predicted."""

    positive_class: str | int | bool | None = None
    """The class whose probability is the score, for `binary`. Default: the larger of the two."""

    inputs: list[Column] = Field(default_factory=list)
    """Columns of the source that are known when a prediction is asked. Default: none."""

    views: list[Name] = Field(default_factory=list)
    """Feature views joined to each row as of its timestamp, never later. Default: none."""

    window: Window = Window()
    """Rows used. Default: all."""

    split: Split = Split()
    """Held-out rows."""

    estimator: str | None = None
    """Import path of a scikit-learn estimator, such as sklearn.linear_model.LogisticRegression."""

    params: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the estimator, or keyword arguments of the function. Default: none."""

    function: EntryPoint | None = None
    """Function `(X, y, **params) -> fitted estimator` instead of an estimator; X is a pandas DataFrame."""

    preprocessing: Preprocessing | None = None
    """Treatment of columns in front of the estimator. Default: the defaults of this section; none for a function."""

    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seed of everything random: same commit, data and seed give the same model. Default: 0."""

    tuning: Tuning | None = None
    """Search for parameters. Default: none; `params` are used as they are."""

    compute: Compute = Compute()
    """What a run may use."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.estimator is None) == (self.function is None):
            raise ValueError("give either estimator or function")
        if self.function is not None and self.preprocessing is not None:
            raise ValueError("preprocessing is for an estimator; a function does its own")
        if self.positive_class is not None and self.task != "binary":
            raise ValueError(f"positive_class is for binary tasks; the task is {self.task}")
        if not self.inputs and not self.views:
            raise ValueError("give inputs, views, or both")
        if self.label in self.inputs:
            raise ValueError(f"the label {self.label} is among the inputs")
        return self
