"""What a window showed, as JSON files for people and programs."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlops_runtime.monitoring.config import DriftSignal, MonitorConfig
from mlops_runtime.monitoring.drift import Comparison, Judgement, Verdict
from mlops_runtime.monitoring.windows import Window
from mlops_runtime.stores.layout import write_atomically

KEEP = 2000
"""Windows whose reports are kept: 83 days of hours."""

_UNITS = {"latency_p99": " s", "min_requests": " requests"}


def iso(moment: float) -> str:
    """A moment (seconds since 1970) in UTC, ISO 8601; milliseconds only where there are any."""
    precision = "seconds" if moment == int(moment) else "milliseconds"
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def window_report(config: MonitorConfig, window: Window, verdict: Verdict, closed_at: float) -> dict[str, Any]:
    """What a window showed, as JSON values; infinity (an answer time beyond the last bound) is null."""
    traffic = window.traffic
    names = {"latency_p50": 0.5, "latency_p95": 0.95, "latency_p99": 0.99}
    return {
        "monitor": config.name,
        "endpoint": config.endpoint,
        "model": config.model,
        "start": iso(window.start),
        "end": iso(window.end),
        "judged_at": iso(closed_at),
        "rows": window.rows,
        "late_rows": window.late_rows,
        "versions": {version: observed.rows for version, observed in window.versions.items()},
        "traffic": {
            "requests": round(traffic.requests),
            "errors": round(traffic.errors),
            "error_rate": traffic.error_rate,
            **{name: finite(traffic.quantile(rank)) for name, rank in names.items()},
            "scrapes": window.scrapes,
            "failed_scrapes": window.failed_scrapes,
        },
        "version": verdict.version,
        "signals": [_judgement(config.endpoint, judgement) for judgement in verdict.judgements],
        "features": {name: comparison(found, config.signals.feature_drift) for name, found in verdict.features.items()},
        "prediction": None
        if verdict.prediction is None
        else comparison(verdict.prediction, config.signals.prediction_drift),
        "bias": bias(verdict),
    }


def comparison(found: Comparison, signal: DriftSignal | None) -> dict[str, Any]:
    """Distance of a column as JSON values."""
    limit = {} if signal is None else {"statistic": signal.statistic, "threshold": signal.threshold}
    return {
        **limit,
        "value": round(found.distance, 6),
        "drifted": found.drifted,
        "baseline": found.before,
        "window": found.now,
    }


def bias(verdict: Verdict) -> dict[str, Any] | None:
    """Predictions by group as JSON values; `mean` is the share of positive ones where the model is binary."""
    if verdict.groups is None:
        return None
    found = sorted(verdict.groups.found.items())
    return {
        "column": verdict.groups.column,
        "groups": {name: {"rows": group.rows, "mean": finite(group.mean)} for name, group in found},
        "missing": verdict.groups.missing,
    }


def write_window(folder: Path, report: dict[str, Any]) -> None:
    """Write the report of a window, and delete the oldest ones beyond `KEEP`.

    Raises:
        OSError: it can't be written.
    """
    name = report["start"].replace(":", "").replace("-", "")
    write_atomically(folder / f"{name}.json", json.dumps(report, indent=2, allow_nan=False))
    for old in sorted(folder.glob("*.json"))[:-KEEP]:
        old.unlink(missing_ok=True)


def finite(value: float | None) -> float | None:
    """A number as JSON knows it: infinity is null."""
    return None if value is None or math.isinf(value) else round(value, 6)


def describe(endpoint: str, judgement: Judgement) -> str:
    """A judgement in a line for people."""
    if judgement.exceeded is None:
        return f"{judgement.signal} of {endpoint} is not judged: {judgement.reason}"
    above, within = ("<", "≥") if judgement.signal == "min_requests" else (">", "≤")
    unit = _UNITS.get(judgement.signal, "")
    value = (
        "beyond measure" if judgement.value is None or math.isinf(judgement.value) else f"{judgement.value:.4g}{unit}"
    )
    sign = above if judgement.exceeded else within
    shown = judgement.groups or judgement.columns
    names = [f"{name} {value:.3g}" for name, value in list(shown.items())[:5]]
    more = f" and {len(shown) - 5} more" if len(shown) > 5 else ""
    text = f"{judgement.signal} of {endpoint}: {value} {sign} {judgement.threshold:.4g}{unit}"
    return text + (f" ({', '.join(names)}{more})" if names else "")


def _judgement(endpoint: str, judgement: Judgement) -> dict[str, Any]:
    return {
        "signal": judgement.signal,
        "exceeded": judgement.exceeded,
        "value": finite(judgement.value),
        "threshold": judgement.threshold,
        "columns": {name: finite(value) for name, value in judgement.columns.items()},
        "groups": {name: finite(value) for name, value in judgement.groups.items()},
        "reason": judgement.reason,
        "text": describe(endpoint, judgement),
    }
