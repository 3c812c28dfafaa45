"""A monitor's Grafana dashboard: traffic, answer times, errors, versions, drift and bias, with the spec's limits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from pulumi_mlops.platforms.kubernetes.durations import duration
from pulumi_mlops.spec.monitors import Monitor

_SCHEMA: Final = 39
"""Version of the dashboards' JSON model: Grafana 10 and newer; newer ones migrate it by themselves."""

_WIDTH, _HEIGHT, _COLUMNS = 12, 8, 2
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


def dashboard(settings: Monitor, namespace: str, model: str) -> str:
    """The dashboard's JSON.

    Arguments:
        settings: the monitor.
        namespace: its namespace.
        model: the endpoint's model.
    """
    endpoint = f'namespace="{namespace}",endpoint="{settings.endpoint}"'
    monitor = f'namespace="{namespace}",monitor="{settings.name}"'
    signals = settings.signals
    requests = f"mlops_serving_requests_total{{{endpoint}}}[$__rate_interval]"
    errors = f'mlops_serving_requests_total{{{endpoint},status=~"5.."}}[$__rate_interval]'
    buckets = f"mlops_serving_request_duration_seconds_bucket{{{endpoint}}}[$__rate_interval]"
    slowest = None if signals.latency_p99 is None else signals.latency_p99.total_seconds()
    panels = [
        _panel(
            "Requests by version",
            [(f"sum by (version) (rate({requests}))", "version {{version}}")],
            "reqps",
            description="While a canary runs, its share of the traffic.",
        ),
        _panel(
            "Errors by version",
            [
                (
                    f"sum by (version) (rate({errors})) / sum by (version) (rate({requests}))",
                    "version {{version}}",
                )
            ],
            "percentunit",
            limit=signals.error_rate,
        ),
        _panel(
            "Answer time",
            [
                (f"histogram_quantile({rank}, sum by (le) (rate({buckets})))", f"{rank:.0%}")
                for rank in (0.5, 0.95, 0.99)
            ],
            "s",
            limit=slowest,
        ),
        _panel(
            "Servers, and requests at a time",
            [
                (f"count(mlops_serving_requests_in_flight{{{endpoint}}})", "servers"),
                (f"sum(mlops_serving_requests_in_flight{{{endpoint}}})", "requests"),
            ],
            "short",
        ),
    ]
    if signals.feature_drift is not None:
        drift = signals.feature_drift
        panels.append(
            _panel(
                f"Drift of the inputs ({drift.statistic})",
                [(f"max by (column) (mlops_monitor_feature_drift{{{monitor}}})", "{{column}}")],
                "short",
                limit=drift.threshold,
                description=f"Distance from the training data, in windows of {duration(settings.window)}.",
            )
        )
    if signals.prediction_drift is not None:
        panels.append(
            _panel(
                f"Drift of the predictions ({signals.prediction_drift.statistic})",
                [(f"max(mlops_monitor_prediction_drift{{{monitor}}})", "predictions")],
                "short",
                limit=signals.prediction_drift.threshold,
            )
        )
    if signals.bias is not None:
        panels.append(
            _panel(
                f"Difference between the groups of {signals.bias.column}",
                [(f"max(mlops_monitor_bias{{{monitor}}})", "largest less smallest")],
                "short",
                limit=signals.bias.threshold,
            )
        )
    if signals.captured_signals:
        panels.append(
            _panel(
                "Captured rows judged",
                [(f"sum(increase(mlops_monitor_rows_total{{{monitor}}}[{duration(settings.window)}]))", "rows")],
                "short",
                limit=settings.min_rows,
                description="Below the line, drift is not judged.",
            )
        )
    return json.dumps(_document(f"{model}: {settings.name}", f"{namespace}-{settings.name}", panels), sort_keys=True)


def _document(title: str, uid: str, panels: Sequence[dict[str, Any]]) -> dict[str, Any]:
    placed = [
        {
            **panel,
            "id": number + 1,
            "gridPos": {
                "x": number % _COLUMNS * _WIDTH,
                "y": number // _COLUMNS * _HEIGHT,
                "w": _WIDTH,
                "h": _HEIGHT,
            },
        }
        for number, panel in enumerate(panels)
    ]
    return {
        # Grafana takes 40 characters at most.
        "uid": uid[:40].rstrip("-"),
        "title": title,
        "tags": ["mlops"],
        "schemaVersion": _SCHEMA,
        "editable": False,
        "refresh": "1m",
        "time": {"from": "now-24h", "to": "now"},
        "templating": {
            "list": [{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Source"}]
        },
        "panels": placed,
    }


def _panel(
    title: str,
    series: Sequence[tuple[str, str]],
    unit: str,
    *,
    limit: float | None = None,
    description: str = "",
) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": unit, "min": 0, "custom": {"lineWidth": 1, "showPoints": "auto"}}
    if limit is not None:
        steps = [{"color": "green", "value": None}, {"color": "red", "value": limit}]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
        defaults["custom"]["thresholdsStyle"] = {"mode": "line"}
    return {
        "type": "timeseries",
        "title": title,
        "description": description,
        "datasource": _SOURCE,
        "targets": [
            {"refId": chr(ord("A") + number), "expr": expression, "legendFormat": legend, "datasource": _SOURCE}
            for number, (expression, legend) in enumerate(series)
        ],
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
    }
