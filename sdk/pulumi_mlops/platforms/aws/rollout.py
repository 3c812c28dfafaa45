"""How a new version takes over on an endpoint: SageMaker's deployment guardrails, and the alarms that they heed.

SageMaker starts the new instances beside the old ones, shifts traffic by a canary or in equal steps, and goes back by
itself where an alarm goes off. The metrics are those of the variant, which both versions answer for while traffic is
shifted: a limit holds for the endpoint as its clients see it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from pulumi_mlops.platforms.aws import endpoint_limits, endpoint_names
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.spec.endpoints import RestEndpoint, Rollout
from pulumi_mlops.spec.identity import Identity

BROKEN: Final = 0.5
"""Share of server errors above which any version is taken back, where the spec names no other: a version that answers
less than half of the requests is broken, whatever it is for."""

_FEW: Final = 20
"""Requests a minute below which errors are no sign yet, where the spec names no other number: the spec's own default
of `rollout.min_requests`."""

_PERIOD: Final = 60
_NAME: Final = 255
"""Longest name of an alarm."""

_BAKE: Final = timedelta(minutes=5)
"""How long a version is watched that takes over at once."""

_START: Final = timedelta(minutes=30)
"""Time in which new instances must have started."""

_LONGEST: Final = timedelta(hours=8)
"""Longest deployment that SageMaker makes (`MaximumExecutionTimeoutInSeconds`)."""


@dataclass(frozen=True)
class Watch:
    """An alarm on the variant of an endpoint.

    Arguments:
        name: what is watched, part of the alarm's name.
        threshold: value above which it goes off.
        metrics: the metrics of its expression, by identifier: name and statistic.
        expression: of the metrics.
        label: what the expression is.
    """

    name: str
    threshold: float
    metrics: Mapping[str, tuple[str, str]]
    expression: str
    label: str


def guardrails(settings: RestEndpoint, alarms: list[str]) -> dict[str, Any] | None:
    """`DeploymentConfig` of an update that puts another version in place of the one that serves.

    Arguments:
        settings: the endpoint.
        alarms: names of the alarms that take a version back.

    Returns:
        None for a serverless endpoint, which has no instances to shift traffic between.
    """
    if settings.serverless is not None:
        return None
    shift = _shift(settings.rollout)
    bake = _BAKE if settings.rollout is None else settings.rollout.interval
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": shift,
            "TerminationWaitInSeconds": round(bake.total_seconds()),
            "MaximumExecutionTimeoutInSeconds": round(longest(settings).total_seconds()),
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms]},
    }


def longest(settings: RestEndpoint) -> timedelta:
    """Time that a deployment may take."""
    rollout = settings.rollout
    waits = _BAKE if rollout is None else rollout.interval * (len(endpoint_limits.steps(rollout) or []) + 1)
    return min(_START + waits, _LONGEST)


def watches(settings: RestEndpoint) -> list[Watch]:
    """What takes a version back while it takes over."""
    rollout = settings.rollout
    few = _FEW if rollout is None else rollout.min_requests
    rate = None if rollout is None else rollout.max_error_rate
    found = [errors(BROKEN if rate is None else rate, few)]
    if rollout is not None and rollout.max_latency_p99 is not None:
        found.append(
            Watch(
                "latency",
                rollout.max_latency_p99.total_seconds() * 1e6,
                {"latency": ("ModelLatency", "p99"), "requests": ("Invocations", "Sum")},
                f"IF(requests >= {few}, latency, 0)",
                "p99 of the time to answer, microseconds",
            )
        )
    return found


def errors(threshold: float, few: int = _FEW) -> Watch:
    """The share of requests that were answered with a server error."""
    return Watch(
        "errors",
        threshold,
        {"errors": ("Invocation5XXErrors", "Sum"), "requests": ("Invocations", "Sum")},
        f"IF(requests >= {few}, errors / requests, 0)",
        "share of server errors",
    )


def alarms(
    account: Account,
    parent: pulumi.Resource,
    name: str,
    settings: RestEndpoint,
    identity: Identity,
    watched: list[Watch],
    *,
    variant: str = endpoint_names.VARIANT,
) -> list[aws.cloudwatch.MetricAlarm]:
    """Make the alarms of an endpoint's variant. A minute without requests is a good one."""
    endpoint = endpoint_names.endpoint(account, identity.name, settings.name)
    part = "deploy" if variant == endpoint_names.VARIANT else variant.lower()
    return [
        aws.cloudwatch.MetricAlarm(
            f"{name}-{part}-{watch.name}",
            name=account.called(identity.name, settings.name, part, watch.name, limit=_NAME),
            alarm_description=f"{watch.label} of endpoint {endpoint}, variant {variant}: takes a new version back",
            comparison_operator="GreaterThanThreshold",
            threshold=watch.threshold,
            evaluation_periods=1,
            datapoints_to_alarm=1,
            treat_missing_data="notBreaching",
            metric_queries=_queries(watch, {"EndpointName": endpoint, "VariantName": variant}),
            tags=account.tags("endpoint", identity),
            opts=account.options(parent=parent),
        )
        for watch in watched
    ]


def alarm_names(
    account: Account, settings: RestEndpoint, identity: Identity, watched: list[Watch], part: str = "deploy"
) -> list[str]:
    """Names of an endpoint's alarms; see `alarms`."""
    return [account.called(identity.name, settings.name, part, watch.name, limit=_NAME) for watch in watched]


def _shift(rollout: Rollout | None) -> dict[str, Any]:
    if rollout is None:
        return {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    steps = endpoint_limits.steps(rollout) or []
    size = {"Type": "CAPACITY_PERCENT", "Value": steps[0]}
    kind: dict[str, Any] = {"Type": "CANARY", "CanarySize": size}
    if len(steps) > 1:
        kind = {"Type": "LINEAR", "LinearStepSize": size}
    return {**kind, "WaitIntervalInSeconds": math.ceil(rollout.interval.total_seconds())}


def _queries(watch: Watch, dimensions: dict[str, str]) -> list[aws.cloudwatch.MetricAlarmMetricQueryArgsDict]:
    read: list[aws.cloudwatch.MetricAlarmMetricQueryArgsDict] = [
        {
            "id": key,
            "return_data": False,
            "metric": {
                "namespace": "AWS/SageMaker",
                "metric_name": metric,
                "dimensions": dimensions,
                "period": _PERIOD,
                "stat": statistic,
            },
        }
        for key, (metric, statistic) in watch.metrics.items()
    ]
    return [{"id": "watched", "expression": watch.expression, "label": watch.label, "return_data": True}, *read]
