"""Monitors on this machine: a supervised process that reads what the server captured."""

from __future__ import annotations

import json
from typing import Any

import pulumi

from pulumi_mlops.platforms import services
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
    config = {
        **services.monitor(settings, endpoint, identity),
        "data_dir": str(host.layout.root),
        "metrics_url": f"http://127.0.0.1:{endpoint.port}/metrics",
        **alerting(host, settings.alerts),
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


def alerting(host: Host, declared: list[Alert]) -> dict[str, Any]:
    """Alerts and the mail server as the runtime reads them: what is secret as references that it can resolve."""
    alerts = [
        {
            **({"email": alert.email} if alert.webhook is None else {"webhook": _address(host, alert.webhook)}),
            "min_interval_s": alert.min_interval.total_seconds(),
        }
        for alert in declared
    ]
    server = host.settings.smtp
    if server is None or all(alert.email is None for alert in declared):
        return {"alerts": alerts, "smtp": None}
    password = None if server.password is None else host.secrets.reference(server.password)
    return {"alerts": alerts, "smtp": {**server.model_dump(), "port": server.port_number, "password": password}}


def _address(host: Host, webhook: str) -> str:
    return webhook if webhook.startswith("http") else host.secrets.reference(webhook)
