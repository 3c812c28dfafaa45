"""Continuous training on this machine: a supervised scheduler with a durable queue."""

from __future__ import annotations

import json

import pulumi

from pulumi_mlops.platforms.base import BuiltPipeline, PipelinePlan
from pulumi_mlops.platforms.local.host import Host
from pulumi_mlops.platforms.local.monitor import alerting
from pulumi_mlops.spec.endpoints import BatchEndpoint
from pulumi_mlops.spec.retraining import Retraining


def build(
    host: Host,
    parent: pulumi.Resource,
    name: str,
    settings: Retraining,
    plan: PipelinePlan,
    pipeline: BuiltPipeline,
) -> None:
    """Start the scheduler of a pipeline."""
    triggers = settings.triggers
    batch = [
        {"name": endpoint.name, "schedule": endpoint.schedule}
        for endpoint in plan.endpoints
        if isinstance(endpoint, BatchEndpoint) and endpoint.schedule is not None
    ]
    config = {
        "model": plan.identity.name,
        "data_dir": str(host.layout.root),
        "definition": str(host.layout.definition(plan.identity.name)),
        "retraining": {
            "schedule": triggers.schedule,
            "drift": triggers.drift,
            "new_data": None
            if triggers.new_data is None
            else {
                "source": triggers.new_data.source,
                "interval_s": triggers.new_data.interval.total_seconds(),
            },
            "cooldown_s": settings.cooldown.total_seconds(),
            "overdue_s": None if settings.overdue is None else settings.overdue.total_seconds(),
            **alerting(host, settings.alerts),
        },
        "materialization_schedule": plan.features.materialization_schedule,
        "batch": batch,
        "exit_with_parent": True,
    }
    host.service(
        parent,
        f"{name}-scheduler",
        service=f"scheduler-{plan.identity.name}",
        arguments=["-m", "mlops_runtime", "scheduler", "--config", "{config}"],
        config=json.dumps(config, sort_keys=True),
        needs=host.secrets.resources,
    )
