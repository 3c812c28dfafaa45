"""The step `evaluate`: metrics with intervals on held-out rows, per segment, with figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from mlops_runtime.definition import Definition
from mlops_runtime.errors import BadDataError
from mlops_runtime.steps import figures, frames, metrics
from mlops_runtime.steps.base import Outputs, Run, Step
from mlops_runtime.steps.featurize import LABEL, SEGMENT, FeaturizeOutputs
from mlops_runtime.steps.fitting import threads
from mlops_runtime.steps.metrics import Binary, Interval, Multiclass, Outcome, Regression
from mlops_runtime.steps.train import TrainOutputs
from mlops_runtime.stores.layout import write_atomically

if TYPE_CHECKING:
    import pandas as pd

MISSING = "(missing)"
"""Name of the segment of rows without a value."""

_IMPORTANCE_ROWS = 5_000
_IMPORTANCE_REPEATS = 3


class SegmentMetrics(BaseModel):
    """Metrics of the rows with one value of a segment's column."""

    model_config = ConfigDict(frozen=True)

    rows: int
    metrics: dict[str, Interval]


class EvaluateOutputs(Outputs):
    """What the held-out rows say about the model.

    Arguments:
        rows: held-out rows.
        classes: the model's classes, in the order of its probabilities; empty for a regression.
        positive_class: the class whose probability is the score, for a binary task.
        metrics: metrics with intervals.
        baseline: the same metrics of a model that knows only the training labels (class shares, or their mean).
        segments: by column and value; only those with enough rows.
        small_segments: by column, values with fewer rows than `min_rows`.
        importance: loss of the primary metric when an input is shuffled.
        figures: PNG files.
        report: all of it as JSON.
        predictions: Parquet: `__label` and the model's outputs for each held-out row.
    """

    rows: int
    classes: list[str]
    positive_class: str | None
    metrics: dict[str, Interval]
    baseline: dict[str, float]
    segments: dict[str, dict[str, SegmentMetrics]]
    small_segments: dict[str, dict[str, int]]
    importance: dict[str, float]
    figures: list[Path]
    report: Path
    predictions: Path


def read_outcome(evaluated: EvaluateOutputs, definition: Definition) -> Outcome:
    """The model's predictions on the held-out rows, beside the truth."""
    import pandas as pd

    table = pd.read_parquet(evaluated.predictions)
    truth = table[LABEL].to_numpy()
    if definition.training.task == "regression":
        return Regression(truth.astype(np.float64), table["prediction"].to_numpy(dtype=np.float64))
    shares = table[[f"probability_{name}" for name in evaluated.classes]].to_numpy(dtype=np.float64)
    return metrics.outcome(
        definition.training.task,
        truth,
        shares,
        evaluated.classes,
        evaluated.positive_class,
        definition.evaluation.threshold,
    )


def calibration_curve(outcome: Binary, bins: int) -> list[dict[str, float]]:
    """Mean score and observed rate in bins of equal counts (fewer bins where there are fewer rows)."""
    order = np.argsort(outcome.score, kind="stable")
    return [
        {
            "predicted": float(outcome.score[part].mean()),
            "observed": float(outcome.truth[part].mean()),
            "rows": float(len(part)),
        }
        for part in np.array_split(order, min(bins, outcome.rows))
    ]


def _inputs(run: Run) -> dict[str, Any]:
    features = run.outputs("featurize", FeaturizeOutputs)
    trained = run.outputs("train", TrainOutputs)
    settings = run.definition.evaluation.model_dump(mode="json", exclude={"champion", "floors"})
    for segment in settings["segments"]:
        segment.pop("floors")
    return {
        "model": trained.digest,
        "data": features.data_digest,
        "evaluation": settings,
        "positive_class": run.definition.training.positive_class,
    }


def _run(run: Run) -> EvaluateOutputs:
    import cloudpickle
    from threadpoolctl import threadpool_limits

    definition = run.definition
    training, settings = definition.training, definition.evaluation
    features = run.outputs("featurize", FeaturizeOutputs)
    folder = run.directory / "evaluate"
    table = frames.read_table(features.holdout)
    if table.empty:
        raise BadDataError("no rows are held out; raise training.split.holdout or widen training.window")
    truth = frames.labels(table, training.task, training.label)
    x = frames.model_inputs(table, features.columns)
    model = cloudpickle.loads(run.outputs("train", TrainOutputs).model.read_bytes())
    _check_classes(model, truth, training.task, training.label)
    with threadpool_limits(threads(training.compute.cpu)):
        outcome = metrics.predict(model, x, truth, definition)
        shuffled = _importance(model, x, truth, definition) if settings.importance == "permutation" else {}
    # The bootstrap's many short products only wait for each other in more than one thread.
    with threadpool_limits(1):
        found = metrics.intervals(outcome, list(settings.metrics), settings.bootstrap, training.seed)
        segments, small = _segments(table, outcome, definition)
    classes = [] if training.task == "regression" else [frames.class_name(value) for value in model.classes_]
    positive = None
    if training.task == "binary":
        positive = frames.class_name(frames.positive_class(model.classes_, training.positive_class, training.label))
    base = _baseline(definition, features.training, truth, classes, positive)
    curve = _curve(outcome, settings.calibration_bins)
    result = EvaluateOutputs(
        rows=outcome.rows,
        classes=classes,
        positive_class=positive,
        metrics=found,
        baseline=base,
        segments=segments,
        small_segments=small,
        importance=shuffled,
        figures=_figures(folder, outcome, found, curve, classes, shuffled, definition),
        report=folder / "evaluation.json",
        predictions=_write_predictions(folder / "predictions.parquet", outcome, truth, classes, positive),
    )
    write_atomically(
        result.report,
        json.dumps({**result.model_dump(mode="json"), "calibration": curve}, indent=2),
    )
    primary = found.get(settings.primary)
    if primary is not None:
        against = f", base rate {base[settings.primary]:.4f}" if settings.primary in base else ""
        low, high = (primary.low or 0.0), (primary.high or 0.0)
        run.progress(
            f"evaluate: {settings.primary} {primary.value:.4f} ({low:.4f} to {high:.4f}) on {outcome.rows:,} held-out "
            f"rows{against}"
        )
    return result


def _check_classes(model: Any, truth: npt.NDArray[Any], task: str, label: str) -> None:
    if task == "regression":
        return
    known = {frames.class_name(value) for value in model.classes_}
    if strange := sorted({frames.class_name(value) for value in np.unique(truth)} - known):
        raise BadDataError(
            f"label {label}: held-out rows have classes that no training row has: {', '.join(strange[:5])}; "
            "drop rare classes in a transform, or split at random"
        )


def _importance(model: Any, x: pd.DataFrame, truth: npt.NDArray[Any], definition: Definition) -> dict[str, float]:
    settings = definition.evaluation
    generator = np.random.default_rng(definition.training.seed)
    rows = np.sort(generator.permutation(len(x))[:_IMPORTANCE_ROWS])
    x, truth = x.iloc[rows].reset_index(drop=True), truth[rows]
    sign = 1.0 if settings.metrics[settings.primary] else -1.0
    whole = metrics.predict(model, x, truth, definition).metric(settings.primary)
    if not np.isfinite(whole):
        return {}
    found = {}
    for name in x.columns:
        losses = []
        for _ in range(_IMPORTANCE_REPEATS):
            shuffled = x.copy(deep=False)
            shuffled[name] = x[name].to_numpy()[generator.permutation(len(x))]
            losses.append(sign * (whole - metrics.predict(model, shuffled, truth, definition).metric(settings.primary)))
        found[str(name)] = float(np.mean(losses))
    return found


def _baseline(
    definition: Definition, training: Path, truth: npt.NDArray[Any], classes: list[str], positive: str | None
) -> dict[str, float]:
    import pandas as pd

    task = definition.training.task
    learned = frames.labels(pd.read_parquet(training, columns=[LABEL]), task, definition.training.label)
    if task == "regression":
        predicted = np.full(len(truth), learned.mean())
    else:
        names, counts = np.unique(np.array([frames.class_name(value) for value in learned]), return_counts=True)
        share = dict(zip(names.tolist(), (counts / counts.sum()).tolist(), strict=True))
        predicted = np.tile([share.get(name, 0.0) for name in classes], (len(truth), 1))
    outcome = metrics.outcome(task, truth, predicted, classes, positive, definition.evaluation.threshold)
    values = {name: outcome.metric(name) for name in definition.evaluation.metrics}
    return {name: value for name, value in values.items() if np.isfinite(value)}


def _segments(
    table: pd.DataFrame, outcome: Outcome, definition: Definition
) -> tuple[dict[str, dict[str, SegmentMetrics]], dict[str, dict[str, int]]]:
    settings = definition.evaluation
    judged: dict[str, dict[str, SegmentMetrics]] = {}
    small: dict[str, dict[str, int]] = {}
    for segment in settings.segments:
        name = segment.column if segment.column in table.columns else f"{SEGMENT}{segment.column}"
        values = table[name].astype(object).where(table[name].notna(), MISSING).map(str).to_numpy()
        judged[segment.column], small[segment.column] = {}, {}
        for value in sorted(set(values)):
            rows = np.nonzero(values == value)[0]
            if len(rows) < segment.min_rows:
                small[segment.column][value] = len(rows)
                continue
            part = outcome.take(rows)
            found = metrics.intervals(part, list(settings.metrics), settings.bootstrap, definition.training.seed)
            judged[segment.column][value] = SegmentMetrics(rows=len(rows), metrics=found)
    return judged, small


def _curve(outcome: Outcome, bins: int) -> list[dict[str, float]]:
    if isinstance(outcome, Binary):
        return calibration_curve(outcome, bins)
    if isinstance(outcome, Multiclass):
        # Of the predicted class: its probability against how often it is right (Guo et al. 2017, section 2).
        top = outcome.probabilities.argmax(axis=1)
        right = (top == outcome.truth).astype(np.float64)
        return calibration_curve(Binary(right, outcome.probabilities.max(axis=1), 0.5), bins)
    return []


def _figures(
    folder: Path,
    outcome: Outcome,
    found: dict[str, Interval],
    curve: list[dict[str, float]],
    classes: Sequence[str],
    shuffled: dict[str, float],
    definition: Definition,
) -> list[Path]:
    drawn = []
    if isinstance(outcome, Binary) and 0 < outcome.truth.sum() < outcome.rows:
        drawn.append(figures.roc(folder / "roc.png", outcome, outcome.metric("roc_auc")))
        drawn.append(figures.precision_recall(folder / "precision_recall.png", outcome))
    if isinstance(outcome, Multiclass):
        drawn.append(figures.confusion(folder / "confusion.png", outcome, classes))
    if isinstance(outcome, Regression):
        drawn.append(figures.residuals(folder / "residuals.png", outcome, definition.training.seed))
    if curve:
        drawn.append(figures.calibration(folder / "calibration.png", curve))
    if shuffled:
        drawn.append(figures.importance(folder / "importance.png", shuffled, definition.evaluation.primary))
    return drawn


def _write_predictions(
    path: Path, outcome: Outcome, truth: npt.NDArray[Any], classes: list[str], positive: str | None
) -> Path:
    import pandas as pd

    columns: dict[str, Any] = {LABEL: truth}
    if isinstance(outcome, Regression):
        columns["prediction"] = outcome.prediction
    elif isinstance(outcome, Binary):
        for name in classes:
            columns[f"probability_{name}"] = outcome.score if name == positive else 1 - outcome.score
    elif isinstance(outcome, Multiclass):
        for number, name in enumerate(classes):
            columns[f"probability_{name}"] = outcome.probabilities[:, number]
    pd.DataFrame(columns).to_parquet(path, engine="pyarrow")
    return path


STEP = Step("evaluate", _run, EvaluateOutputs, _inputs)
