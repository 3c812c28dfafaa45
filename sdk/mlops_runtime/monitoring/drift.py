"""Judging a window: drift from the baseline, bias, latency, errors and traffic, each against its limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mlops_runtime.monitoring.bias import Groups, disparity
from mlops_runtime.monitoring.config import BiasSignal, DriftSignal, FeatureDriftSignal, SignalsConfig
from mlops_runtime.monitoring.sketches import STATISTICS, Sketch
from mlops_runtime.monitoring.windows import Observed, Reference, Window

SignalName = Literal["feature_drift", "prediction_drift", "bias", "latency_p99", "error_rate", "min_requests"]

DRIFT: tuple[SignalName, ...] = ("feature_drift", "prediction_drift")
"""Signals that a retraining may mend."""


@dataclass(frozen=True)
class Judgement:
    """What a signal says of a window.

    Attributes:
        signal: name of the signal.
        exceeded: whether its limit is exceeded; None where it can't be judged.
        value: what was measured (for drift, the largest distance), or None.
        threshold: the limit.
        columns: distance of each column that exceeds the limit, the largest first.
        groups: for bias, mean prediction of the lowest and of the highest group.
        reason: why it can't be judged.
    """

    signal: SignalName
    exceeded: bool | None
    value: float | None
    threshold: float
    columns: Mapping[str, float] = field(default_factory=dict)
    groups: Mapping[str, float] = field(default_factory=dict)
    reason: str | None = None


@dataclass(frozen=True)
class Comparison:
    """Distance of one column from its baseline.

    Attributes:
        distance: value of the statistic.
        drifted: whether it is above the threshold.
        before: description of the baseline (see `Sketch.describe`).
        now: description of the window.
    """

    distance: float
    drifted: bool
    before: dict[str, Any]
    now: dict[str, Any]


def compare(before: Mapping[str, Sketch], now: Mapping[str, Sketch], signal: DriftSignal) -> dict[str, Comparison]:
    """Distance of each column that both have, and whether it is beyond the signal's threshold."""
    distance = STATISTICS[signal.statistic]
    found = {}
    for name, sketch in now.items():
        if name in before and sketch.rows and before[name].rows:
            value = distance(before[name], sketch)
            found[name] = Comparison(value, value > signal.threshold, before[name].describe(), sketch.describe())
    return found


@dataclass(frozen=True)
class Verdict:
    """All that was found in a window.

    Attributes:
        version: the model version whose rows were compared; None where there were too few of any.
        judgements: one for each signal that is watched.
        features: distance of each watched input.
        prediction: distance of the predictions.
        groups: predictions by the groups that bias is judged on.
    """

    version: str | None
    judgements: tuple[Judgement, ...]
    features: dict[str, Comparison]
    prediction: Comparison | None
    groups: Groups | None


def judge(
    window: Window,
    signals: SignalsConfig,
    min_rows: int,
    reference_of: Callable[[str], Reference | None],
    *,
    tolerance: float,
) -> Verdict:
    """Judge a window.

    Rows of different model versions are never mixed: drift and bias are judged on the newest version with enough rows.

    Args:
        window: the window.
        signals: what is judged, and the limits.
        min_rows: rows of a version below which drift and bias are not judged.
        reference_of: gives what a version is compared with, None where it has nothing.
        tolerance: seconds at the window's ends that the monitor may have missed for its requests to count as too few.
    """
    enough = [version for version, observed in window.versions.items() if observed.rows >= min_rows]
    version = max(enough, key=_number, default=None)
    reference = None if version is None else reference_of(version)
    if version is None:
        reason: str | None = f"{window.rows} captured rows; {min_rows} of one version are needed"
    else:
        reason = f"version {version} has no baseline" if reference is None else None
    observed = window.versions[version] if version is not None else Observed()
    features: dict[str, Comparison] = {}
    prediction: Comparison | None = None
    judgements = []
    if signals.feature_drift is not None:
        if reference is not None:
            features = compare(reference.baseline.features, observed.features, signals.feature_drift)
        judgements.append(_feature_drift(features, signals.feature_drift, reason))
    if signals.prediction_drift is not None:
        if reference is not None and observed.prediction is not None:
            both = {"prediction": reference.baseline.prediction}, {"prediction": observed.prediction}
            prediction = compare(*both, signals.prediction_drift).get("prediction")
        judgements.append(_prediction_drift(prediction, signals.prediction_drift, reason))
    if signals.bias is not None:
        judgements.append(_bias(observed.groups, reference, signals.bias, reason))
    judgements += _traffic(window, signals, tolerance)
    return Verdict(version, tuple(judgements), features, prediction, observed.groups)


def _feature_drift(found: dict[str, Comparison], signal: FeatureDriftSignal, reason: str | None) -> Judgement:
    if not found:
        return Judgement(
            "feature_drift", None, None, signal.threshold, reason=reason or "no watched input was captured"
        )
    drifted = {name: column.distance for name, column in found.items() if column.drifted}
    return Judgement(
        "feature_drift",
        len(drifted) / len(found) > signal.share,
        max(column.distance for column in found.values()),
        signal.threshold,
        dict(sorted(drifted.items(), key=lambda item: -item[1])),
    )


def _prediction_drift(found: Comparison | None, signal: DriftSignal, reason: str | None) -> Judgement:
    if found is None:
        return Judgement("prediction_drift", None, None, signal.threshold, reason=reason or "no output was captured")
    columns = {"prediction": found.distance} if found.drifted else {}
    return Judgement("prediction_drift", found.drifted, found.distance, signal.threshold, columns)


def _bias(groups: Groups | None, reference: Reference | None, signal: BiasSignal, reason: str | None) -> Judgement:
    if groups is None or reference is None:
        return Judgement("bias", None, None, signal.threshold, reason=reason or f"no {signal.column} was captured")
    found = disparity(groups, signal.min_rows, reference.task)
    if isinstance(found, str):
        return Judgement("bias", None, None, signal.threshold, reason=found)
    exceeded = found.value > signal.threshold
    columns = {signal.column: found.value} if exceeded else {}
    return Judgement("bias", exceeded, found.value, signal.threshold, columns, dict([found.lowest, found.highest]))


def _traffic(window: Window, signals: SignalsConfig, tolerance: float) -> list[Judgement]:
    found = []
    if (limit := signals.latency_p99_s) is not None:
        found.append(_above("latency_p99", window.traffic.quantile(0.99), limit))
    if (limit := signals.error_rate) is not None:
        found.append(_above("error_rate", window.traffic.error_rate, limit))
    if (fewest := signals.min_requests) is not None:
        requests = window.traffic.requests
        if requests < fewest and not window.watched(tolerance):
            reason = "the monitor did not watch the whole window"
            found.append(Judgement("min_requests", None, requests, fewest, reason=reason))
        else:
            found.append(Judgement("min_requests", requests < fewest, requests, fewest))
    return found


def _above(signal: SignalName, value: float | None, limit: float) -> Judgement:
    if value is None:
        return Judgement(signal, None, None, limit, reason="no requests")
    return Judgement(signal, value > limit, value, limit)


def _number(version: str) -> tuple[int, str]:
    return (int(version), version) if version.isdecimal() else (-1, version)
