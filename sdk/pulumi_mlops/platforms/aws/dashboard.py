"""A monitor's dashboard in CloudWatch: alarms, traffic, answer times, errors, load, drift and bias, with limits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from pulumi_mlops.platforms.aws import alarms, endpoint_names
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.aws.alarms import Watched
from pulumi_mlops.spec.endpoints import RestEndpoint

_WIDTH, _HEIGHT, _COLUMNS = 12, 6, 2
_ROW: Final = 2
_INSTANCES: Final = "/aws/sagemaker/Endpoints"
_MINUTE: Final = 60
_COARSEST: Final = timedelta(days=1)

Metric = list[Any]


def dashboard(account: Account, watched: Watched, endpoint: RestEndpoint) -> str:
    """The dashboard's body.

    Arguments:
        account: where the metrics are.
        watched: the monitor.
        endpoint: the endpoint that it watches.
    """
    settings, model = watched.settings, watched.identity.name
    limits = settings.signals
    of_endpoint = alarms.of_endpoint(account, model, endpoint.name)
    latency = [
        _metric(alarms.NAMESPACE, "ModelLatency", of_endpoint, stat=stat, label=stat) for stat in ("p50", "p95", "p99")
    ]
    slowest = None if limits.latency_p99 is None else limits.latency_p99.total_seconds() * 1_000_000
    panels = [
        _panel(
            account,
            "Requests",
            [_metric(alarms.NAMESPACE, "Invocations", of_endpoint, stat="Sum", label="requests")],
            limit=limits.min_requests,
            period=settings.window,
        ),
        _panel(
            account,
            "Share of server errors",
            [
                [{"expression": alarms.error_rate("rate", "errors", "requests")["expression"], "label": "5xx"}],
                _metric(alarms.NAMESPACE, "Invocation5XXErrors", of_endpoint, stat="Sum", id="errors", visible=False),
                _metric(alarms.NAMESPACE, "Invocations", of_endpoint, stat="Sum", id="requests", visible=False),
            ],
            limit=limits.error_rate,
        ),
        _panel(account, "Answer time (µs)", latency, limit=slowest),
        _panel(account, "Load", _load(of_endpoint, endpoint)),
    ]
    if limits.captured_signals:
        panels += _captured(account, watched)
    widgets = [_alarms(account, watched), *_placed(panels)]
    return json.dumps({"start": "-P1D", "widgets": widgets})


def _load(of_endpoint: Mapping[str, str], endpoint: RestEndpoint) -> list[Metric]:
    if endpoint.serverless is not None:
        used = "ServerlessConcurrentExecutionsUtilization"
        return [_metric(alarms.NAMESPACE, used, of_endpoint, stat="Maximum", label="concurrency used")]
    names = ("CPUUtilization", "MemoryUtilization")
    found = [_metric(_INSTANCES, name, of_endpoint, stat="Average", label=name) for name in names]
    # Each instance says how much it does; how many say so is how many there are.
    count = _metric(_INSTANCES, "CPUUtilization", of_endpoint, stat="SampleCount", label="instances")
    return [*found, [*count[:-1], {**count[-1], "yAxis": "right"}]]


def _captured(account: Account, watched: Watched) -> list[dict[str, Any]]:
    settings, limits = watched.settings, watched.settings.signals
    space, of_monitor = alarms.namespace(watched.identity.name), alarms.of_monitor(settings)
    found = []
    if limits.drift_signals:
        # Columns are found by search: there are as many as the model has inputs.
        found.append(
            _panel(
                account,
                "Drift by column",
                [[{"expression": _search(space, "Drift", settings.name), "label": "${PROP('Dim.Column')}"}]],
                limit=max(getattr(limits, signal).threshold for signal in limits.drift_signals),
                period=settings.window,
            )
        )
    for signal in limits.captured_signals:
        value = _metric(space, "Value", {**of_monitor, "Signal": signal}, stat="Maximum", label=signal)
        title = f"{signal.replace('_', ' ').capitalize()}: the largest"
        limit = getattr(limits, signal).threshold
        found.append(_panel(account, title, [value], limit=limit, period=settings.window))
    rows = [
        _metric(space, name, of_monitor, stat="Sum", label=label)
        for name, label in (("Rows", "captured"), ("LateRows", "of them late"))
    ]
    found.append(_panel(account, "Captured rows", rows, limit=settings.min_rows, period=settings.window))
    return found


def _search(space: str, metric: str, monitor: str) -> str:
    return f"SEARCH('{{{space},Column,Endpoint,Monitor}} MetricName=\"{metric}\" Monitor=\"{monitor}\"', 'Maximum')"


def _metric(
    space: str,
    name: str,
    dimensions: Mapping[str, str],
    *,
    stat: str,
    label: str | None = None,
    id: str | None = None,
    visible: bool = True,
) -> Metric:
    options = {"stat": stat, "label": label, "id": id, "visible": None if visible else False}
    told = [part for dimension in dimensions.items() for part in dimension]
    return [space, name, *told, {key: value for key, value in options.items() if value is not None}]


def _panel(
    account: Account,
    title: str,
    metrics: Sequence[Metric],
    *,
    limit: float | None = None,
    period: timedelta = timedelta(seconds=_MINUTE),
) -> dict[str, Any]:
    annotations = {} if limit is None else {"annotations": {"horizontal": [{"label": "limit", "value": limit}]}}
    properties = {
        "title": title,
        "view": "timeSeries",
        "region": account.region,
        "period": round(min(period, _COARSEST).total_seconds()),
        "metrics": list(metrics),
        "yAxis": {"left": {"min": 0}},
        **annotations,
    }
    return {"type": "metric", "width": _WIDTH, "height": _HEIGHT, "properties": properties}


def _alarms(account: Account, watched: Watched) -> dict[str, Any]:
    found = alarms.arns(account, watched.identity.name, watched.settings.name, alarms.signals(watched))
    title = f"Alarms of {endpoint_names.endpoint(account, watched.identity.name, watched.settings.endpoint)}"
    properties = {"title": title, "alarms": found}
    return {"type": "alarm", "x": 0, "y": 0, "width": 24, "height": _ROW, "properties": properties}


def _placed(panels: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {**panel, "x": number % _COLUMNS * _WIDTH, "y": _ROW + number // _COLUMNS * _HEIGHT}
        for number, panel in enumerate(panels)
    ]
