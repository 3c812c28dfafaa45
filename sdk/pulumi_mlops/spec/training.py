"""How a model is made: rows, estimator, tuning and limits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from pulumi_mlops.spec.base import Column, Cpu, Duration, EntryPoint, Instant, Name, Section, Size, repeated
from pulumi_mlops.spec.errors import Mistake


def _import_path(value: str) -> str:
    if not re.fullmatch(_IMPORT_PATH, value):
        raise Mistake(
            "MLOPS-S021",
            "not the import path of an estimator",
            expected="package.module.Class",
            hint="For example sklearn.linear_model.LogisticRegression; a function of yours goes into `function`.",
        )
    return value


_IMPORT_PATH: Final = r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+"

ImportPath = Annotated[
    str,
    AfterValidator(_import_path),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": f"^{_IMPORT_PATH}$",
            "examples": ["sklearn.linear_model.LogisticRegression", "sklearn.ensemble.HistGradientBoostingClassifier"],
        }
    ),
]
"""A class by its import path."""


class Window(Section):
    """The stretch of time that training rows are taken from."""

    start: Instant | None = None
    """First timestamp taken (UTC). Default: the earliest."""

    end: Instant | None = None
    """First timestamp no longer taken (UTC). Default: after the latest."""

    last: Duration | None = None
    """Length of a window that ends with the newest row, instead of start and end. Default: none."""

    def mistakes(self) -> Iterator[Mistake]:
        """The window is given in one way, and start is before end."""
        if self.last is not None and (self.start or self.end):
            yield Mistake("MLOPS-S031", "last excludes start and end", at=("last",), hint="Keep one of the two ways.")
        if self.start and self.end and self.start >= self.end:
            yield Mistake("MLOPS-S030", "start is not before end", at=("start",))


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
    """Smallest value, for numbers. Default: none; needed for numbers."""

    high: float | None = None
    """Largest value, for numbers. Default: none; needed for numbers."""

    log: bool = False
    """Search on a logarithmic scale. Default: false."""

    choices: list[str | int | float | bool | None] | None = None
    """The values, for `categorical`. Default: none; needed for `categorical`."""

    def mistakes(self) -> Iterator[Mistake]:
        """A range for numbers, choices for categories."""
        if self.type == "categorical":
            for name in ("low", "high", "log"):
                if name in self.model_fields_set:
                    message = f"{name} has no effect: the type is categorical"
                    yield Mistake("MLOPS-S033", message, at=(name,), hint="Take it out.")
            if not self.choices:
                yield Mistake("MLOPS-S032", "a categorical parameter needs choices", hint="Add `choices: [...]`.")
            yield from repeated(self.choices or [], "choices")
            return
        if self.choices is not None:
            message = f"choices has no effect: the type is {self.type}"
            yield Mistake("MLOPS-S033", message, at=("choices",), hint="Set type: categorical, or give low and high.")
        for name in ("low", "high"):
            value = getattr(self, name)
            if value is None:
                message = f"a parameter of type {self.type} needs {name}"
                yield Mistake("MLOPS-S032", message, hint=f"Add `{name}:`.")
            elif self.type == "int" and not float(value).is_integer():
                message = f"{name} of an int parameter is not a whole number"
                yield Mistake("MLOPS-S014", message, at=(name,), expected="a whole number", found=f"{value:g}")
        if self.low is None or self.high is None:
            return
        if self.low >= self.high:
            message = f"low ({self.low:g}) is not smaller than high ({self.high:g})"
            yield Mistake("MLOPS-S030", message, at=("low",))
        if self.log and self.low <= 0:
            yield Mistake("MLOPS-S014", "a logarithmic scale begins above 0", at=("low",), expected="more than 0")


class Tuning(Section):
    """Search for the estimator's parameters (Optuna, tree-structured Parzen estimator)."""

    space: Annotated[dict[str, Parameter], Field(min_length=1)]
    """Parameters searched, by name; none of them is also in `training.params`."""

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

    def mistakes(self) -> Iterator[Mistake]:
        """No more trials at a time than there are."""
        if self.parallel > self.trials:
            message = f"parallel ({self.parallel}) is larger than trials ({self.trials})"
            yield Mistake("MLOPS-S030", message, at=("parallel",))


class Compute(Section):
    """What a training run may use."""

    cpu: Cpu = 1.0
    """CPU cores; threads of numerical libraries are limited to it (rounded up). Default: 1."""

    memory: Size = 2 * 2**30
    """Memory; a step that needs more is stopped. Default: 2Gi."""

    time_limit: Duration = Field(default="1h")  # type: ignore[assignment]
    """Time after which a pipeline step is stopped. Default: 1h."""

    gpu: Annotated[int, Field(ge=0)] = 0
    """GPUs of the step that trains; for clusters. Default: 0."""

    spot: bool = False
    """Whether the step that trains may run on nodes that are taken away at any time, and is then started again; for
    clusters. Default: false."""


class Distribution(Section):
    """Training and tuning on several machines (Ray); for clusters. Trials of `tuning` are spread over the workers; a
    training function finds Ray connected."""

    min_workers: Annotated[int, Field(ge=0)] = 1
    """Fewest workers, each with `compute.cpu`, `memory` and `gpu`. Default: 1."""

    max_workers: Annotated[int, Field(ge=1)] = 2
    """Most workers; there are more than the fewest while work waits. Default: 2."""

    checkpoints: Size | None = None
    """Size of a volume for checkpoints, from which an interrupted search goes on (`MLOPS_CHECKPOINTS` names its
    folder). Default: none; an interrupted step begins again."""

    def mistakes(self) -> Iterator[Mistake]:
        """Bounds in order."""
        if self.min_workers > self.max_workers:
            message = f"min_workers ({self.min_workers}) is larger than max_workers ({self.max_workers})"
            yield Mistake("MLOPS-S030", message, at=("min_workers",))


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

    estimator: ImportPath | None = None
    """Import path of a scikit-learn estimator, such as sklearn.linear_model.LogisticRegression.
    Default: none; `function` makes the model."""

    params: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the estimator, or keyword arguments of the function. Default: none."""

    function: EntryPoint | None = None
    """Function `(X, y, **params) -> fitted estimator` instead of an estimator; X is a pandas DataFrame.
    Default: none; `estimator` makes the model."""

    preprocessing: Preprocessing | None = None
    """Treatment of columns in front of the estimator. Default: the defaults of this section; none for a function."""

    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seed of everything random: same commit, data and seed give the same model. Default: 0."""

    tuning: Tuning | None = None
    """Search for parameters. Default: none; `params` are used as they are."""

    compute: Compute = Compute()
    """What a run may use."""

    distribution: Distribution | None = None
    """Training on several machines; for clusters. Default: none; one machine."""

    def mistakes(self) -> Iterator[Mistake]:
        """One way to make the model, from something, and no field that it would not use."""
        if self.estimator is None and self.function is None:
            yield Mistake(
                "MLOPS-S032", "give either estimator or function", hint="Add `estimator: package.module.Class`."
            )
        if self.estimator is not None and self.function is not None:
            yield Mistake("MLOPS-S031", "estimator and function exclude each other", at=("function",))
        if self.function is not None and self.preprocessing is not None:
            message = "preprocessing has no effect: it is for an estimator, and a function does its own"
            yield Mistake("MLOPS-S033", message, at=("preprocessing",), hint="Take it out.")
        if self.positive_class is not None and self.task != "binary":
            message = f"positive_class has no effect: it is for binary tasks; the task is {self.task}"
            yield Mistake("MLOPS-S033", message, at=("positive_class",), hint="Take it out.")
        if not self.inputs and not self.views:
            yield Mistake("MLOPS-S032", "the model has no inputs", hint="Add `inputs:`, `views:`, or both.")
        if self.label in self.inputs:
            message = f"the label {self.label} is among the inputs"
            yield Mistake("MLOPS-S045", message, at=("inputs", self.inputs.index(self.label)), hint="Take it out.")
        yield from repeated(self.inputs, "inputs")
        yield from repeated(self.views, "views")
        yield from self._parameters()

    def _parameters(self) -> Iterator[Mistake]:
        space = self.tuning.space if self.tuning else {}
        for name in self.params:
            if name in space:
                message = f"{name} has no effect: tuning searches it"
                hint = "Take it out here, or out of tuning.space."
                yield Mistake("MLOPS-S033", message, at=("params", name), hint=hint)
        for at in (("params",), ("tuning", "space")):
            if "random_state" in (self.params if at == ("params",) else space):
                message = "the seed is set by training.seed, so that runs can be repeated"
                yield Mistake("MLOPS-S031", message, at=(*at, "random_state"), hint="Set training.seed instead.")
        if self.tuning and self.tuning.timeout and self.tuning.timeout > self.compute.time_limit:
            message = "the timeout has no effect: it is longer than compute.time_limit, which stops the step"
            yield Mistake(
                "MLOPS-S033", message, at=("tuning", "timeout"), hint="Raise compute.time_limit, or lower it."
            )
