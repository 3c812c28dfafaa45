"""The step `validate`: the gate that a model passes before it may serve."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict

from mlops_runtime.definition import Champion, Definition
from mlops_runtime.errors import StepError
from mlops_runtime.scoring import Scorer
from mlops_runtime.steps import metrics
from mlops_runtime.steps.base import Outputs, Run, Step, digest_of_file
from mlops_runtime.steps.evaluate import EvaluateOutputs, read_outcome
from mlops_runtime.steps.featurize import FeaturizeOutputs
from mlops_runtime.steps.metrics import Interval, Outcome
from mlops_runtime.stores import deployments
from mlops_runtime.stores.layout import write_atomically


class Comparison(BaseModel):
    """The candidate beside the champion, on the same held-out rows.

    Arguments:
        champion: version of the champion.
        metric: the primary metric.
        candidate_value: the candidate's.
        champion_value: the champion's.
        difference: how much better the candidate is (positive is better, whatever the metric's direction).
        low: lower bound of the difference's interval.
        high: upper bound.
        p_value: probability of such a difference if the candidate were no worse than the margin allows.
        margin: how much worse it may be.
        worse: whether the candidate is refused for it.
    """

    model_config = ConfigDict(frozen=True)

    champion: int
    metric: str
    candidate_value: float
    champion_value: float
    difference: float
    low: float
    high: float
    p_value: float
    margin: float
    worse: bool


class ValidateOutputs(Outputs):
    """The verdict.

    Arguments:
        passed: whether the model may serve.
        reasons: why not, a sentence each.
        notes: what could not be judged, and why.
        comparison: with the champion, if there is one that can score these rows.
    """

    passed: bool
    reasons: list[str]
    notes: list[str]
    comparison: Comparison | None


def check_floors(evaluated: EvaluateOutputs, definition: Definition) -> tuple[list[str], list[str]]:
    """Metrics that miss their floors, and floors that can't be judged; a sentence each.

    A floor on all rows that can't be judged counts as missed: unknown is never passed silently.
    """
    settings = definition.evaluation
    reasons, notes = [], []
    for name, floor in settings.floors.items():
        found = evaluated.metrics.get(name)
        if found is None:
            reasons.append(f"{name} is undefined on the held-out rows (one class only), so its floor can't be judged")
        elif (problem := _misses(name, found, floor, settings.metrics[name])) is not None:
            reasons.append(f"{problem} on {evaluated.rows:,} held-out rows")
    for segment in settings.segments:
        for value, part in evaluated.segments.get(segment.column, {}).items():
            for name, floor in segment.floors.items():
                found = part.metrics.get(name)
                where = f"segment {segment.column} = {value} ({part.rows:,} rows)"
                if found is None:
                    notes.append(f"{where}: {name} is undefined there and was not judged")
                elif (problem := _misses(name, found, floor, settings.metrics[name])) is not None:
                    reasons.append(f"{where}: {problem}")
        if segment.floors and (small := evaluated.small_segments.get(segment.column)):
            shown = ", ".join(f"{value} ({rows})" for value, rows in list(small.items())[:5])
            more = f" and {len(small) - 5} more" if len(small) > 5 else ""
            notes.append(
                f"segments of {segment.column} with under {segment.min_rows} rows were not judged: {shown}{more}"
            )
    return reasons, notes


def compare(
    candidate: Outcome, champion: Outcome, version: int, definition: Definition, settings: Champion
) -> Comparison | None:
    """Paired bootstrap of the primary metric's difference (Efron & Tibshirani 1993, ch. 16): both models are judged on
    the same resamples, and the candidate is worse if hardly any resample leaves it within the margin.

    Returns:
        The comparison, or None where the metric is undefined.
    """
    from threadpoolctl import threadpool_limits

    name = definition.evaluation.primary
    sign = 1.0 if definition.evaluation.metrics[name] else -1.0
    mine, theirs = candidate.metric(name), champion.metric(name)
    if not (np.isfinite(mine) and np.isfinite(theirs)):
        return None
    bootstrap = definition.evaluation.bootstrap
    # Short products, as in evaluate.
    with threadpool_limits(1):
        drawn = np.array(
            [
                sign * (candidate.metric(name, w) - champion.metric(name, w))
                for w in metrics.resamples(candidate.rows, bootstrap, definition.training.seed)
            ]
        )
    drawn = drawn[np.isfinite(drawn)]
    difference = sign * (mine - theirs)
    # One is added on both sides so that the level is never claimed to be zero (Davison & Hinkley 1997, eq. 4.11).
    p_value = float((1 + np.sum(drawn >= -settings.margin)) / (1 + len(drawn)))
    tail = (1 - bootstrap.confidence) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail]) if len(drawn) else (difference, difference)
    return Comparison(
        champion=version,
        metric=name,
        candidate_value=mine,
        champion_value=theirs,
        difference=difference,
        low=float(low),
        high=float(high),
        p_value=p_value,
        margin=settings.margin,
        worse=p_value < settings.significance,
    )


def champion_version(run: Run) -> int | None:
    """The version that serves now, on the first endpoint that has one."""
    for endpoint in run.definition.endpoints:
        current = deployments.current(run.store, endpoint.name)
        if current is not None and current.model == run.definition.identity.name:
            return current.version
    return None


def _misses(name: str, found: Interval, floor: float, larger_is_better: bool) -> str | None:
    if larger_is_better and not found.value >= floor:
        return f"{name} {found.value:.4f} is below the floor {floor:g}"
    if not larger_is_better and not found.value <= floor:
        return f"{name} {found.value:.4f} is above the limit {floor:g}"
    return None


def _inputs(run: Run) -> dict[str, Any]:
    settings = run.definition.evaluation
    return {
        "evaluation": digest_of_file(run.outputs("evaluate", EvaluateOutputs).report),
        "predictions": digest_of_file(run.outputs("evaluate", EvaluateOutputs).predictions),
        "settings": settings.model_dump(mode="json"),
        "champion": champion_version(run) if settings.champion else None,
    }


def _run(run: Run) -> ValidateOutputs:
    settings = run.definition.evaluation
    evaluated = run.outputs("evaluate", EvaluateOutputs)
    reasons, notes = check_floors(evaluated, run.definition)
    comparison = None
    version = champion_version(run)
    if settings.champion is not None and version is not None:
        try:
            champion = _champion(run, version, evaluated)
        except StepError as error:
            notes.append(f"not compared with the champion (version {version}): {error}")
        else:
            comparison = compare(
                read_outcome(evaluated, run.definition), champion, version, run.definition, settings.champion
            )
            if comparison is None:
                notes.append(f"not compared with the champion (version {version}): {settings.primary} is undefined")
            elif comparison.worse:
                reasons.append(
                    f"{comparison.metric} {comparison.candidate_value:.4f} is worse than the champion's "
                    f"{comparison.champion_value:.4f} (version {version}) by more than {comparison.margin:g} "
                    f"(p = {comparison.p_value:.3f})"
                )
    result = ValidateOutputs(passed=not reasons, reasons=reasons, notes=notes, comparison=comparison)
    write_atomically(run.directory / "validate" / "verdict.json", json.dumps(result.model_dump(mode="json"), indent=2))
    for note in notes:
        run.progress(f"validate: {note}")
    if comparison is not None and not comparison.worse:
        run.progress(
            f"validate: {comparison.metric} {comparison.candidate_value:.4f} against the champion's "
            f"{comparison.champion_value:.4f} (version {version}): difference {comparison.difference:+.4f} "
            f"({comparison.low:+.4f} to {comparison.high:+.4f})"
        )
    run.progress("validate: passed" if result.passed else "validate: rejected: " + "; ".join(reasons))
    return result


def _champion(run: Run, version: int, evaluated: EvaluateOutputs) -> Outcome:
    """The champion's predictions on the candidate's held-out rows.

    Raises:
        StepError: it can't score them.
    """
    definition = run.definition
    scorer = Scorer(run.store.bundle(definition.identity.name, version))
    manifest = scorer.manifest
    if manifest.task != definition.training.task:
        raise StepError(f"it is a {manifest.task} model")
    if set(manifest.classes or ()) != set(evaluated.classes):
        raise StepError(f"its classes are {', '.join(manifest.classes or ())}")
    outputs = scorer.predict(pl.read_parquet(run.outputs("featurize", FeaturizeOutputs).holdout))
    truth = pl.read_parquet(evaluated.predictions, columns=["__label"])["__label"].to_numpy()
    predicted = outputs["prediction" if manifest.task == "regression" else "probabilities"]
    return metrics.outcome(
        manifest.task,
        truth,
        predicted,
        manifest.classes or (),
        evaluated.positive_class,
        definition.evaluation.threshold,
    )


STEP = Step("validate", _run, ValidateOutputs, _inputs)
