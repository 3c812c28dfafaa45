"""Figures of an evaluation, as PNG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mlops_runtime.steps.metrics import Binary, Multiclass, Regression

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOUR = "#2a5db0"
_REFERENCE = "#8a8a8a"
_POINTS = 5_000
"""Points of a scatter plot at most; more only hide each other."""


def roc(path: Path, outcome: Binary, area: float) -> Path:
    """Receiver operating characteristic: hits against false alarms over all thresholds."""
    order = np.argsort(-outcome.score, kind="stable")
    ends = np.append(np.nonzero(np.diff(outcome.score[order]))[0], outcome.rows - 1)
    hits = np.cumsum(outcome.truth[order])[ends]
    misses = ends + 1 - hits
    with _axes(path, f"ROC curve, area {area:.3f}", "False positive rate", "True positive rate") as axes:
        axes.plot([0, 1], [0, 1], color=_REFERENCE, linestyle="--", label="chance")
        axes.plot(_from_zero(misses / misses[-1]), _from_zero(hits / hits[-1]), color=_COLOUR, label="model")
        axes.legend(loc="lower right")
    return path


def precision_recall(path: Path, outcome: Binary) -> Path:
    """Precision against recall over all thresholds, beside the share of positives."""
    order = np.argsort(-outcome.score, kind="stable")
    ends = np.append(np.nonzero(np.diff(outcome.score[order]))[0], outcome.rows - 1)
    hits = np.cumsum(outcome.truth[order])[ends]
    rate = float(outcome.truth.mean())
    with _axes(path, "Precision and recall", "Recall", "Precision") as axes:
        axes.axhline(rate, color=_REFERENCE, linestyle="--", label=f"share of positives, {rate:.3f}")
        axes.step(hits / hits[-1], hits / (ends + 1), where="post", color=_COLOUR, label="model")
        axes.set_ylim(0, 1.02)
        axes.legend(loc="upper right")
    return path


def calibration(path: Path, curve: Sequence[Mapping[str, float]]) -> Path:
    """Observed rate against mean predicted probability, in bins of equal counts."""
    with _axes(path, "Calibration", "Mean predicted probability", "Observed share") as axes:
        axes.plot([0, 1], [0, 1], color=_REFERENCE, linestyle="--", label="perfect")
        axes.plot(
            [point["predicted"] for point in curve],
            [point["observed"] for point in curve],
            color=_COLOUR,
            marker="o",
            label=f"model, {len(curve)} bins",
        )
        axes.legend(loc="upper left")
    return path


def confusion(path: Path, outcome: Multiclass, classes: Sequence[str]) -> Path:
    """Share of each class's rows that is predicted as each class."""
    counts = outcome.confusion()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    with _axes(path, "Confusion matrix (share of each class)", "Predicted class", "Class") as axes:
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right")
        axes.set_yticks(range(len(classes)), classes)
        if len(classes) <= 12:
            for row in range(len(classes)):
                for column in range(len(classes)):
                    share = shares[row, column]
                    axes.text(column, row, f"{share:.2f}", ha="center", va="center", color="w" if share > 0.5 else "k")
    return path


def residuals(path: Path, outcome: Regression, seed: int) -> Path:
    """Error against prediction, on a sample of the rows."""
    rows = np.random.default_rng(seed).permutation(outcome.rows)[:_POINTS]
    error = outcome.truth - outcome.prediction
    with _axes(path, f"Residuals ({len(rows):,} rows)", "Prediction", "Truth minus prediction") as axes:
        axes.axhline(0, color=_REFERENCE, linestyle="--")
        axes.scatter(outcome.prediction[rows], error[rows], s=6, alpha=0.4, color=_COLOUR, linewidths=0)
    return path


def importance(path: Path, values: Mapping[str, float], metric: str) -> Path:
    """What shuffling each input costs, the most important on top."""
    shown = sorted(values.items(), key=lambda item: item[1])[-30:]
    with _axes(
        path, "Permutation importance", f"Loss of {metric} when shuffled", "", height=1.5 + 0.3 * len(shown)
    ) as axes:
        axes.barh([name for name, _ in shown], [value for _, value in shown], color=_COLOUR)
        axes.axvline(0, color=_REFERENCE, linewidth=1)
    return path


class _axes:  # noqa: N801 - used as a function
    """Labelled axes that are written to a file in the end."""

    def __init__(self, path: Path, title: str, across: str, up: str, height: float = 4.5) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self._path = path
        self._figure = Figure(figsize=(6, height), layout="constrained")
        FigureCanvasAgg(self._figure)
        self._axes = self._figure.add_subplot()
        self._axes.set(title=title, xlabel=across, ylabel=up)
        self._axes.grid(alpha=0.25)
        self._axes.set_axisbelow(True)

    def __enter__(self) -> Axes:
        return self._axes

    def __exit__(self, kind: Any, *_: object) -> None:
        if kind is None:
            # No software version in the file: the same evaluation gives the same bytes.
            self._figure.savefig(self._path, dpi=120, metadata={"Software": None})


def _from_zero(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.concatenate(([0.0], values))
