"""Recording and alerting rules (PromQL) of monitors and of continuous training.

Alerts on traffic are judged over the monitor's window, which slides; those on drift and bias on the last window that
the drift monitor judged, by its gauges. All carry the labels `namespace`, `model`, `signal` and `severity`, a monitor's
also `monitor` and `endpoint`; Alertmanager's routes and the event that starts a run tell them by these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from pulumi_mlops.platforms.kubernetes.durations import duration
from pulumi_mlops.platforms.kubernetes.workflow import (
    LAST_SUCCESS_METRIC,
    METRIC_NAMESPACE,
    METRIC_PREFIX,
    RUNS_METRIC,
)
from pulumi_mlops.spec.monitors import Monitor
from pulumi_mlops.spec.retraining import Retraining

Rule = dict[str, Any]
Group = dict[str, Any]

REQUESTS: Final = "monitor:mlops_serving_requests:increase"
ERRORS: Final = "monitor:mlops_serving_errors:ratio"
LATENCY: Final = "monitor:mlops_serving_latency_seconds:p99"

LONGEST_LATENCY: Final = timedelta(seconds=10)
"""Last bound of the servers' histogram (`mlops_runtime.serving.metrics.BUCKETS`): longer answers look like this."""

DOWN: Final = timedelta(minutes=10)
"""How long something may be away before it is an alert: longer than a node's replacement."""

STALLED: Final = timedelta(minutes=30)
"""How long the drift monitor may fail to read captures."""

_INTERVAL: Final = "30s"


@dataclass(frozen=True)
class Watched:
    """What a monitor's rules are about.

    Arguments:
        namespace: the namespace.
        model: the endpoint's model.
        service: the Service whose targets are the endpoint's servers.
        monitor_service: the Service of the drift monitor, or None without one.
        sleeps: whether the endpoint may have no server at all.
    """

    namespace: str
    model: str
    service: str
    monitor_service: str | None
    sleeps: bool


def monitor_groups(settings: Monitor, watched: Watched) -> list[Group]:
    """Rule groups of a monitor."""
    labels = {
        "namespace": watched.namespace,
        "monitor": settings.name,
        "endpoint": settings.endpoint,
        "model": watched.model,
    }
    of_endpoint = _selector(namespace=watched.namespace, endpoint=settings.endpoint)
    of_monitor = _selector(namespace=watched.namespace, monitor=settings.name)
    window = duration(settings.window)
    return [
        {
            "name": f"mlops-{settings.name}",
            "interval": _INTERVAL,
            "rules": [
                *_records(of_endpoint, window, labels),
                *_traffic(settings, of_monitor, window, labels),
                *_captured(settings, of_endpoint, of_monitor, window, labels),
                *_alive(settings, watched, of_monitor, labels),
            ],
        }
    ]


def retraining_groups(settings: Retraining, namespace: str, model: str) -> list[Group]:
    """Rule groups of continuous training: failed runs, and runs that are overdue."""
    labels = {"namespace": namespace, "model": model}
    # `namespace` is that of Argo's controller, which is scraped.
    runs = _selector(**{METRIC_NAMESPACE: namespace, "model": model})
    failed = f'{METRIC_PREFIX}{RUNS_METRIC}{{{runs},status=~"Failed|Error"}}'
    success = f"{METRIC_PREFIX}{LAST_SUCCESS_METRIC}{{{runs}}}"
    found = [
        _alert(
            "MLOpsTrainingFailed",
            # Not `increase`: the first failure makes the series, and no increase. The hour bridges missed scrapes.
            f"sum({failed}) - (sum(max_over_time({failed}[1h] offset 15m)) or vector(0)) > 0",
            {**labels, "signal": "run_failed", "severity": "warning"},
            f"A training run of {model} failed.",
            f"See which step: argo list --namespace {namespace}; mlops history.",
        )
    ]
    if settings.overdue is not None:
        # Argo's controller forgets its metrics when it starts again; the silence must not hide what is overdue.
        recalled = duration(2 * settings.overdue)
        found.append(
            _alert(
                "MLOpsTrainingOverdue",
                f"time() - max(max_over_time({success}[{recalled}])) > {_number(settings.overdue.total_seconds())}",
                {**labels, "signal": "run_overdue", "severity": "warning"},
                f"No training run of {model} succeeded for longer than {duration(settings.overdue)}.",
                "Last success {{ $value | humanizeDuration }} ago. Look at the triggers and at the last runs: "
                f"argo cron list --namespace {namespace}; mlops history.",
            )
        )
    return [{"name": f"mlops-{model}-training", "interval": _INTERVAL, "rules": found}]


def _records(of_endpoint: str, window: str, labels: Mapping[str, str]) -> Iterator[Rule]:
    requests = f"mlops_serving_requests_total{{{of_endpoint}"
    buckets = f"mlops_serving_request_duration_seconds_bucket{{{of_endpoint}}}"
    # `or vector(0)`: also where nobody has asked yet, so that the series begins with the rule.
    yield _record(REQUESTS, f"sum(increase({requests}}}[{window}])) or vector(0)", labels)
    yield _record(
        ERRORS,
        f'(sum(increase({requests},status=~"5.."}}[{window}])) or vector(0)) / sum(increase({requests}}}[{window}]))',
        labels,
    )
    yield _record(LATENCY, f"histogram_quantile(0.99, sum by (le) (increase({buckets}[{window}])))", labels)


def _traffic(settings: Monitor, of_monitor: str, window: str, labels: Mapping[str, str]) -> Iterator[Rule]:
    signals, endpoint = settings.signals, settings.endpoint
    if (slowest := signals.latency_p99) is not None:
        yield _alert(
            "MLOpsLatencyHigh",
            f"{LATENCY}{{{of_monitor}}} > {_number(slowest.total_seconds())}",
            {**labels, "signal": "latency_p99", "severity": "critical"},
            f"{endpoint} answers slowly: 99th percentile above {duration(slowest)}.",
            f"{{{{ $value | humanizeDuration }}}} over the last {window}. Compare the versions on the dashboard; "
            "if a new one is slower, `mlops rollback`; if the servers are busy, raise scale.max or resources.cpu.",
        )
    if (largest := signals.error_rate) is not None:
        yield _alert(
            "MLOpsErrorRateHigh",
            f"{ERRORS}{{{of_monitor}}} > {_number(largest)}",
            {**labels, "signal": "error_rate", "severity": "critical"},
            f"{endpoint} answers with server errors: more than {largest:.3%} of requests.",
            f"{{{{ $value | humanizePercentage }}}} over the last {window}. The servers' logs name the cause; if a new "
            "version brought it, `mlops rollback`.",
        )
    if (fewest := signals.min_requests) is not None:
        series = f"{REQUESTS}{{{of_monitor}}}"
        yield _alert(
            "MLOpsNoData",
            # Only where the rule was there for the whole window: right after `up` it has not been watched that long.
            f"{series} < {fewest} and {series} offset {window} >= 0",
            {**labels, "signal": "min_requests", "severity": "critical"},
            f"{endpoint} gets fewer than {fewest} requests in {window}.",
            "{{ $value | humanize }} came. Ask its clients, and look at the Gateway and at the NetworkPolicies.",
        )


def _captured(
    settings: Monitor, of_endpoint: str, of_monitor: str, window: str, labels: Mapping[str, str]
) -> Iterator[Rule]:
    signals, endpoint = settings.signals, settings.endpoint
    warning = {**labels, "severity": "warning"}
    if (features := signals.feature_drift) is not None:
        series = f"mlops_monitor_feature_drift{{{of_monitor}}}"
        yield _alert(
            "MLOpsFeatureDrift",
            f"(count({series} > {_number(features.threshold)}) or vector(0)) / count({series}) > "
            f"{_number(features.share)}",
            {**warning, "signal": "feature_drift"},
            f"Inputs of {endpoint} have drifted from the training data.",
            f"{{{{ $value | humanizePercentage }}}} of the watched columns are beyond {features.statistic} "
            f"{features.threshold:g}; the dashboard shows which. Retrain on newer data, or mend the source.",
        )
    if (predictions := signals.prediction_drift) is not None:
        yield _alert(
            "MLOpsPredictionDrift",
            f"max(mlops_monitor_prediction_drift{{{of_monitor}}}) > {_number(predictions.threshold)}",
            {**warning, "signal": "prediction_drift"},
            f"Predictions of {endpoint} have drifted from those at training.",
            f"{predictions.statistic} {{{{ $value | humanize }}}}, limit {predictions.threshold:g}. Look at the "
            "inputs' drift first; without one, the model itself or its features have changed.",
        )
    if (bias := signals.bias) is not None:
        yield _alert(
            "MLOpsBias",
            f"max(mlops_monitor_bias{{{of_monitor}}}) > {_number(bias.threshold)}",
            {**warning, "signal": "bias"},
            f"Predictions of {endpoint} differ between the groups of {bias.column}.",
            f"Difference {{{{ $value | humanize }}}}, limit {bias.threshold:g}. The window's report in the store names "
            "the groups; tell the model's owner.",
        )
    if signals.captured_signals:
        yield _alert(
            "MLOpsCaptureLost",
            f"sum(increase(mlops_serving_capture_dropped_total{{{of_endpoint}}}[{window}])) > 0",
            {**warning, "signal": "capture_lost"},
            f"Captured requests of {endpoint} are lost, so drift and bias are judged on fewer.",
            f"{{{{ $value | humanize }}}} in the last {window}. The label `reason` of "
            "mlops_serving_capture_dropped_total tells why: mostly the bucket refuses or does not answer.",
        )


def _alive(settings: Monitor, watched: Watched, of_monitor: str, labels: Mapping[str, str]) -> Iterator[Rule]:
    def up(service: str) -> str:
        return f"absent(up{{{_selector(namespace=watched.namespace, service=service)}}} == 1)"

    if not watched.sleeps:
        yield {
            **_alert(
                "MLOpsEndpointDown",
                up(watched.service),
                {**labels, "signal": "endpoint_down", "severity": "critical"},
                f"No server of {settings.endpoint} can be scraped, so nothing watches it.",
                f"kubectl --namespace {watched.namespace} get inferenceservice,pods. If the pods are ready, Prometheus "
                "is kept out: does platform.kubernetes.monitoring name its namespace and labels?",
            ),
            "for": duration(DOWN),
        }
    if watched.monitor_service is not None:
        down = {**labels, "signal": "monitor_down", "severity": "warning"}
        yield {
            **_alert(
                "MLOpsMonitorDown",
                up(watched.monitor_service),
                down,
                f"The drift monitor {settings.name} is down.",
                f"kubectl --namespace {watched.namespace} describe deployment {watched.monitor_service}.",
            ),
            "for": duration(DOWN),
        }
        yield _alert(
            "MLOpsMonitorStalled",
            f"time() - max(mlops_monitor_last_look_seconds{{{of_monitor}}}) > {_number(STALLED.total_seconds())}",
            down,
            f"The drift monitor {settings.name} can't read what the servers captured.",
            "For {{ $value | humanizeDuration }}. Its log names the cause: mostly the bucket's credentials.",
        )


def _selector(**labels: str) -> str:
    return ",".join(f'{name}="{value}"' for name, value in labels.items())


def _record(name: str, expression: str, labels: Mapping[str, str]) -> Rule:
    return {"record": name, "expr": expression, "labels": dict(labels)}


def _alert(name: str, expression: str, labels: Mapping[str, str], summary: str, description: str) -> Rule:
    return {
        "alert": name,
        "expr": expression,
        "labels": dict(labels),
        "annotations": {"summary": summary, "description": description},
    }


def _number(value: float) -> str:
    return f"{value:.12g}"
