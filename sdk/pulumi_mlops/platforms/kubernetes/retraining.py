"""Continuous training on Kubernetes: schedules and events start the model's workflows.

A trigger's run begins with the step `admit`, which keeps the cooldown and looks for new data, and waits for the model's
lock where another run works on the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import pulumi

from pulumi_mlops.platforms.base import PipelinePlan
from pulumi_mlops.platforms.kubernetes import alerting, names, scoring, tasks, workflow
from pulumi_mlops.platforms.kubernetes.cluster import Cluster, component
from pulumi_mlops.spec.endpoints import BatchEndpoint
from pulumi_mlops.spec.kubernetes import Kubernetes
from pulumi_mlops.spec.retraining import Retraining

_NAME: Final = 52
"""Longest name of a CronWorkflow: Argo adds 11 characters for each workflow."""

_CATCH_UP: Final = round(timedelta(days=1).total_seconds())
"""Seconds for which a time that passed while Argo's controller was away is made up for, once."""


def build(cluster: Cluster, parent: pulumi.Resource, name: str, settings: Retraining, plan: PipelinePlan) -> None:
    """Make the schedules, event bindings and alerts of a model.

    Raises:
        pulumi.RunError: a trigger can't be kept by a cluster.
    """
    if found := problems(settings, cluster.settings):
        raise pulumi.RunError(f"{name}: " + "; ".join(found))
    model, triggers = plan.identity.name, settings.triggers
    cooldown = f"{settings.cooldown.total_seconds():g}"
    for what, expression, arguments in _runs(settings):
        spec = _spec(model, {**arguments, "cooldown": cooldown})
        # Not `Forbid`: a version that waits for its approval is a workflow under way.
        _cron(cluster, parent, f"{name}-{what}", f"{model}-{what}", expression, spec, "Allow", model)
    if (refresh := plan.features.materialization_schedule) is not None:
        spec = _task(model, tasks.MATERIALIZE)
        _cron(cluster, parent, f"{name}-materialize", f"{model}-materialize", refresh, spec, "Forbid", model)
    for endpoint in plan.endpoints:
        if isinstance(endpoint, BatchEndpoint) and endpoint.schedule is not None:
            spec = _task(model, *scoring.ask(endpoint))
            batch = f"{endpoint.name}-batch"
            _cron(cluster, parent, f"{name}-{batch}", batch, endpoint.schedule, spec, "Forbid", model)
    for monitor in triggers.drift:
        _binding(cluster, parent, f"{name}-drift-{monitor}", monitor, model, cooldown)
    alerting.for_retraining(cluster, parent, name, settings, model)


def problems(settings: Retraining, platform: Kubernetes) -> list[str]:
    """Triggers and alerts that a cluster can't keep, a sentence each."""
    found = []
    new_data = settings.triggers.new_data
    if new_data is not None and every(new_data.interval) is None:
        found.append(
            "retraining.triggers.new_data.interval: no cron schedule comes every "
            f"{new_data.interval.total_seconds():g} s; take minutes that divide an hour, hours that divide a day, "
            "1d or 7d"
        )
    if settings.triggers.drift and platform.argo is None:
        found.append(
            "retraining.triggers.drift: alerts start runs by way of Argo's server; say where it is in "
            "platform.kubernetes.argo.url"
        )
    if settings.alerts or settings.overdue is not None:
        found += alerting.problems("retraining", settings.alerts, platform)
    return found


def every(interval: timedelta) -> str | None:
    """The cron schedule that comes at an interval, evenly; None where no schedule does.

    Cron counts within an hour or a day: 45 minutes, for one, would come at 0:00, 0:45, 1:00.
    """
    seconds = interval.total_seconds()
    minutes, hours, days = seconds / 60, seconds / 3600, seconds / 86_400
    if minutes.is_integer() and minutes < 60 and 60 % minutes == 0:
        return f"*/{minutes:.0f} * * * *"
    if hours.is_integer() and hours < 24 and 24 % hours == 0:
        return f"0 */{hours:.0f} * * *"
    return {1.0: "0 0 * * *", 7.0: "0 0 * * 0"}.get(days)


def _runs(settings: Retraining) -> list[tuple[str, str, dict[str, str]]]:
    """Schedules of runs: what they are for, when, and the workflow's parameters."""
    found = []
    triggers = settings.triggers
    if triggers.schedule is not None:
        found.append(("schedule", triggers.schedule, {"trigger": "schedule"}))
    if triggers.new_data is not None:
        expression = every(triggers.new_data.interval)
        assert expression is not None, "problems refuses that"
        source = triggers.new_data.source
        found.append(("new-data", expression, {"trigger": f"new-data:{source}", "new-data": source}))
    return [(what, when, {**arguments, "requested-by": "schedule"}) for what, when, arguments in found]


def _spec(model: str, arguments: Mapping[str, str]) -> dict[str, Any]:
    return {"workflowTemplateRef": {"name": model}, "arguments": workflow.parameters(arguments)}


def _task(model: str, template: str, arguments: Mapping[str, str] | None = None) -> dict[str, Any]:
    spec: dict[str, Any] = {"workflowTemplateRef": {"name": tasks.template(model)}, "entrypoint": template}
    return spec if arguments is None else {**spec, "arguments": workflow.parameters(arguments)}


def _cron(
    cluster: Cluster,
    parent: pulumi.Resource,
    resource: str,
    name: str,
    expression: str,
    spec: Mapping[str, Any],
    together: str,
    model: str,
) -> None:
    manifest = {
        "apiVersion": workflow.API,
        "kind": "CronWorkflow",
        "spec": {
            "schedules": [expression],
            "timezone": "Etc/UTC",
            "concurrencyPolicy": together,
            "startingDeadlineSeconds": _CATCH_UP,
            # The time limits of the WorkflowTemplate clear up, before these do.
            "successfulJobsHistoryLimit": _KEPT,
            "failedJobsHistoryLimit": _KEPT,
            "workflowSpec": dict(spec),
        },
    }
    labels = component("pipeline", model)
    cluster.objects.add(resource, manifest, name=names.fit(name, _NAME), parent=parent, labels=labels)


_KEPT: Final = 30


def _binding(cluster: Cluster, parent: pulumi.Resource, resource: str, monitor: str, model: str, cooldown: str) -> None:
    """Start a run where Alertmanager posts a monitor's drift to Argo's server."""
    values = {"trigger": f"drift:{monitor}", "requested-by": f"monitor:{monitor}", "cooldown": cooldown}
    # Each value is an expression over the event; a text in quotes stands for itself.
    parameters = [{"name": key, "valueFrom": {"event": f'"{value}"'}} for key, value in values.items()]
    manifest = {
        "apiVersion": workflow.API,
        "kind": "WorkflowEventBinding",
        "spec": {
            "event": {"selector": f'discriminator == "{monitor}" && payload.status == "firing"'},
            "submit": {"workflowTemplateRef": {"name": model}, "arguments": {"parameters": parameters}},
        },
    }
    labels = component("pipeline", model)
    cluster.objects.add(resource, manifest, name=names.fit(f"{model}-{monitor}"), parent=parent, labels=labels)
