"""How many instances answer: Application Auto Scaling on the variant of a real-time endpoint."""

from __future__ import annotations

from typing import Any, Final

import pulumi
import pulumi_aws as aws

from pulumi_mlops.platforms.aws import endpoint_names
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.spec.endpoints import Scale
from pulumi_mlops.spec.identity import Identity

_NAMESPACE: Final = "sagemaker"
_DIMENSION: Final = "sagemaker:variant:DesiredInstanceCount"

_IN_SECONDS: Final = 300
"""Seconds between instances being taken away (default of the SageMaker Developer Guide)."""

_OUT_SECONDS: Final = 60
"""Seconds between instances being added: a new one takes minutes to start, so the first ones are not waited for."""


def build(
    account: Account,
    parent: pulumi.Resource,
    name: str,
    endpoint: aws.sagemaker.Endpoint,
    called: str,
    scale: Scale,
    identity: Identity,
) -> None:
    """Scale an endpoint's instances; nothing is made where their number is fixed.

    The number belongs to Auto Scaling from then on: deployments keep it (`RetainAllVariantProperties`).

    Arguments:
        account: where it is made.
        parent: component that it belongs to.
        name: beginning of the Pulumi resources' names.
        endpoint: the endpoint.
        called: its name.
        scale: bounds and target.
        identity: its model.
    """
    if scale.min == scale.max:
        return
    place: dict[str, Any] = {
        "service_namespace": _NAMESPACE,
        "resource_id": f"endpoint/{called}/variant/{endpoint_names.VARIANT}",
        "scalable_dimension": _DIMENSION,
    }
    target = aws.appautoscaling.Target(
        f"{name}-scale",
        min_capacity=scale.min,
        max_capacity=scale.max,
        tags=account.tags("endpoint", identity),
        opts=account.options(parent=parent, needs=[endpoint]),
        **place,
    )
    kept: Any = tracking(scale, called)  # as plain data, which tests read
    aws.appautoscaling.Policy(
        f"{name}-scale",
        name=f"{called}-{scale.metric}",
        policy_type="TargetTrackingScaling",
        target_tracking_scaling_policy_configuration=kept,
        opts=account.options(parent=parent, needs=[target]),
        **place,
    )


def tracking(scale: Scale, called: str) -> dict[str, Any]:
    """The metric that is kept at its target.

    CPU is that of all cores of an instance together, in per cent; AWS counts requests by the minute, the spec by the
    second.
    """
    made: dict[str, Any] = {"scale_in_cooldown": _IN_SECONDS, "scale_out_cooldown": _OUT_SECONDS}
    match scale.metric:
        case "cpu":
            metric = {
                "namespace": "/aws/sagemaker/Endpoints",
                "metric_name": "CPUUtilizationNormalized",
                "statistic": "Average",
                "dimensions": [
                    {"name": "EndpointName", "value": called},
                    {"name": "VariantName", "value": endpoint_names.VARIANT},
                ],
            }
            return {**made, "target_value": float(scale.target), "customized_metric_specification": metric}
        case "concurrency":
            kind, value = "SageMakerVariantConcurrentRequestsPerModelHighResolution", float(scale.target)
        case "rps":
            kind, value = "SageMakerVariantInvocationsPerInstance", float(scale.target * 60)
    return {**made, "target_value": value, "predefined_metric_specification": {"predefined_metric_type": kind}}
