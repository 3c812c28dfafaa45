"""Monitors on this machine: a supervised process that reads what the server captured."""

from __future__ import annotations

import json
from typing import Any

import pulumi

from pulumi_mlops.platforms.base import BuiltMonitor
from pulumi_mlops.platforms.local.host import Host
from pulumi_mlops.spec.endpoints import RestEndpoint
from pulumi_mlops.spec.identity import Identity
from pulumi_mlops.spec.monitors import Alert, Monitor


def build(
    host: Host,
    parent: pulumi.Resource,
    name: str,
    settings: Monitor,
    endpoint: RestEndpoint,
    identity: Identity,
    *,
    retrain: bool,
) -> BuiltMonitor:
    """Watch an endpoint."""
    signals = settings.signals.model_dump(mode="json")
    config = {
        "name": settings.name,
        "endpoint": endpoint.name,
        "model": identity.name,
        "data_dir": str(host.layout.root),
        "metrics_url": f"http://127.0.0.1:{endpoint.port}/metrics",
        "window_s": settings.window.total_seconds(),
        "min_rows": settings.min_rows,
        "signals": {
            "feature_drift": signals["feature_drift"],
            "prediction_drift": signals["prediction_drift"],
            "latency_p99_s": signals["latency_p99"],
            "error_rate": signals["error_rate"],
            "min_requests": signals["min_requests"],
        },
        "alerts": alerts(host, settings.alerts),
        "retrain_on_drift": retrain,
        "port": settings.port,
        "exit_with_parent": True,
    }
    service = host.service(
        parent,
        f"{name}-process",
        service=f"monitor-{settings.name}",
        arguments=["-m", "mlops_runtime", "monitor", "--config", "{config}"],
        config=json.dumps(config, sort_keys=True),
        port=settings.port,
        ready_path=None if settings.port is None else "/metrics",
        needs=host.secrets.resources,
    )
    report = host.layout.monitoring(settings.name).as_uri()
    return BuiltMonitor(report_uri=service.status.apply(lambda _: report))


def alerts(host: Host, declared: list[Alert]) -> list[dict[str, Any]]:
    """Alerts as the runtime reads them: secret URLs as references that it can resolve."""
    return [
        {
            "webhook": alert.webhook if alert.webhook.startswith("http") else host.secrets.reference(alert.webhook),
            "min_interval_s": alert.min_interval.total_seconds(),
        }
        for alert in declared
    ]
