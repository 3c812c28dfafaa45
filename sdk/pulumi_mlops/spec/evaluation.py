"""What a model must achieve before it may serve."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema

from pulumi_mlops.spec.base import Column, Section, off, repeated
from pulumi_mlops.spec.errors import Mistake

METRICS: Final[dict[str, dict[str, bool]]] = {
    "binary": {
        "roc_auc": True,
        "average_precision": True,
        "log_loss": False,
        "brier": False,
        "accuracy": True,
        "balanced_accuracy": True,
        "precision": True,
        "recall": True,
        "f1": True,
    },
    "multiclass": {
        "roc_auc_ovr": True,
        "log_loss": False,
        "accuracy": True,
        "balanced_accuracy": True,
        "f1_macro": True,
    },
    "regression": {"rmse": False, "mae": False, "r2": True, "mape": False, "median_absolute_error": False},
}
"""The metrics of each task, and whether a larger value is better."""


Metric = Annotated[
    str,
    WithJsonSchema({"type": "string", "enum": sorted({name for names in METRICS.values() for name in names})}),
]
"""A metric of the task."""


class Segment(Section):
    """A column whose values split the held-out rows; each value is evaluated by itself."""

    column: Column
    """An input, a feature or another column of the training source."""

    min_rows: Annotated[int, Field(ge=1)] = 100
    """Segments with fewer held-out rows are not judged. Default: 100."""

    floors: dict[Metric, float] = Field(default_factory=dict)
    """Worst value allowed for a metric in any segment (for errors, the largest). Default: none."""


class Bootstrap(Section):
    """Confidence intervals of the metrics by the percentile bootstrap (Efron & Tibshirani 1993, ch. 13)."""

    resamples: Annotated[int, Field(ge=100, le=10_000)] = 200
    """Resamples of the held-out rows. Default: 200."""

    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Coverage of the intervals. Default: 0.95."""


class Champion(Section):
    """Comparison with the version that serves now, on the same held-out rows."""

    margin: Annotated[float, Field(ge=0)] = 0.0
    """How much worse than the champion the primary metric may be. Default: 0."""

    significance: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """The candidate is refused if it is worse by more than the margin at this one-sided level (paired bootstrap,
    Efron & Tibshirani 1993, ch. 16). Default: 0.05."""


class Evaluation(Section):
    """Metrics on held-out rows, and the gate."""

    metrics: list[Metric] = Field(default_factory=list)
    """Metrics computed. Default: all of the task's."""

    primary: Metric | None = None
    """The metric that tuning optimises and the champion is compared by. Default: the first of `metrics`, or of the
    task's (roc_auc, roc_auc_ovr, rmse)."""

    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Probability from which the positive class is predicted, for `binary`. Default: 0.5."""

    floors: dict[Metric, float] = Field(default_factory=dict)
    """Worst value allowed for a metric on all held-out rows (for errors, the largest). Default: none."""

    segments: list[Segment] = Field(default_factory=list)
    """Columns by which the held-out rows are also evaluated. Default: none."""

    bootstrap: Bootstrap = Bootstrap()
    """Confidence intervals."""

    champion: Annotated[
        Champion | None, BeforeValidator(off, json_schema_input_type=Champion | Literal[False] | None)
    ] = Champion()
    """Comparison with the version that serves now; false to switch it off."""

    calibration_bins: Annotated[int, Field(ge=2, le=100)] = 10
    """Bins of the calibration curve (equal counts), for classes. Default: 10."""

    importance: Literal["none", "permutation"] = "permutation"
    """Permutation importance of each input on held-out rows (Breiman 2001). Default: permutation."""

    def for_task(self, task: str) -> Self:
        """The same section with the task's metrics and primary metric filled in.

        Arguments:
            task: binary, multiclass or regression.
        """
        metrics = self.metrics or list(METRICS[task])
        return self.model_copy(update={"metrics": metrics, "primary": self.primary or metrics[0]})

    def mistakes(self) -> Iterator[Mistake]:
        """Metrics and segments differ."""
        yield from repeated(self.metrics, "metrics")
        columns = [segment.column for segment in self.segments]
        for i, column in enumerate(columns):
            if column in columns[:i]:
                yield Mistake("MLOPS-S034", f"{column} is named twice", at=("segments", i, "column"))
