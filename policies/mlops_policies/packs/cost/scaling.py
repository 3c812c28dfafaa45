"""How far things scale: up to a bound, and down to nothing outside production."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mlops_policies.findings import Finding
from mlops_policies.kinds import aws, kubernetes, mlops
from mlops_policies.kinds.labels import label
from mlops_policies.registry import Parameters, pack
from mlops_policies.resources import Resource, Stack, View
from mlops_policies.several import some, thorough
from mlops_policies.values import NotApplicable

rule = pack("cost")

_AUTOSCALER: Final = ("kubernetes:autoscaling/*:HorizontalPodAutoscaler",)
_KEDA: Final = ("kubernetes:keda.sh/*:ScaledObject",)
_PARTS: Final = ("predictor", "transformer", "explainer")


class Bounds(Parameters):
    """How far is too far."""

    most: int = 20
    """Most instances or replicas that anything may scale to. Default: 20, a bound that a team reviews before it is
    raised."""


@rule(
    *aws.SCALING_TARGET,
    *aws.SCALING_GROUP,
    *aws.NODE_GROUP,
    *aws.ENDPOINT_CONFIGURATION,
    *_AUTOSCALER,
    *_KEDA,
    *kubernetes.INFERENCE_SERVICE,
    severity="medium",
    remediation="Set the upper bound to what the budget allows, and no lower than the lower bound.",
    reason="Autoscaling without an upper bound turns a burst of traffic, or an attack, into unbounded spend; without a "
    "lower bound an endpoint may scale away.",
    parameters=Bounds,
)
def autoscaling_bounded(scaled: Resource, settings: Bounds) -> Iterator[Finding]:
    """What scales has an upper bound, which is not below the lower one.

    Judged are targets of Application Auto Scaling, Auto Scaling groups, EKS node groups, managed instance scaling of
    endpoints, HorizontalPodAutoscalers, KEDA's ScaledObjects and InferenceServices. An InferenceService on Knative
    without `maxReplicas` has no bound; in the deployment modes Standard and RawDeployment it has a fixed size then.
    """
    yield from thorough(_unbounded(*found, settings.most) for found in some(_scaling(scaled), "it does not scale"))


def _scaling(scaled: Resource) -> Iterator[tuple[View, str, str, bool]]:
    """What scales: the part, its lower and its upper bound, and whether there is no bound where none is set."""
    if scaled.type in aws.ENDPOINT_CONFIGURATION:
        for variant in scaled.each("productionVariants"):
            if variant.has("managedInstanceScaling"):
                yield variant.view("managedInstanceScaling"), "minInstanceCount", "maxInstanceCount", True
    elif scaled.type in aws.SCALING_TARGET:
        yield scaled, "minCapacity", "maxCapacity", True
    elif scaled.type in aws.SCALING_GROUP:
        yield scaled, "minSize", "maxSize", True
    elif scaled.type in aws.NODE_GROUP:
        yield scaled.view("scalingConfig"), "minSize", "maxSize", True
    elif scaled.kind == "InferenceService":
        for part in (scaled.view(f"spec.{name}") for name in _PARTS if scaled.has(f"spec.{name}")):
            yield part, "minReplicas", "maxReplicas", _on_knative(scaled)
    elif scaled.kind == "ScaledObject":
        yield scaled.view("spec"), "minReplicaCount", "maxReplicaCount", True
    else:
        yield scaled.view("spec"), "minReplicas", "maxReplicas", True


def _on_knative(service: Resource) -> bool:
    return label(service, "deploymentMode") not in ("Standard", "RawDeployment")


def _unbounded(part: View, lower: str, upper: str, required: bool, most: int) -> Iterator[Finding]:
    largest = part.number(upper)
    if not largest:
        if required:
            yield part.finding("nothing bounds how far it scales", upper)
        return
    if largest > most:
        yield part.finding(f"it may scale to {largest:g}, which is more than {most}", upper)
    smallest = part.number(lower)
    if smallest is not None and smallest > largest:
        yield part.finding(f"its upper bound {largest:g} is below its lower bound {smallest:g}", upper)


class Environments(Parameters):
    """Where endpoints may run all day."""

    production: tuple[str, ...] = mlops.PRODUCTION
    """Names of environments that are production, as patterns; the environment is the spec's, else the Pulumi stack's
    name. Default: `prod`, `prod-*`, `*-prod`, `production`."""


@rule(
    *aws.ENDPOINT_CONFIGURATION,
    *kubernetes.INFERENCE_SERVICE,
    graph=True,
    severity="low",
    remediation="Serve serverless, or let it scale to zero: `minInstanceCount` or `minReplicas` of 0.",
    reason="Endpoints outside production serve no one most of the day and bill all of it.",
    parameters=Environments,
)
def scale_to_zero_nonprod(served: Resource, stack: Stack, settings: Environments) -> Iterator[Finding]:
    """Outside production, endpoints scale to zero.

    A variant of a SageMaker endpoint does so if it is serverless, if managed instance scaling starts at 0, or if the
    endpoint is asynchronous and a scaling target of the stack starts at 0; an InferenceService if `minReplicas` is 0
    (it is 1 where none is set).
    """
    if mlops.in_production(stack, served, settings.production):
        raise NotApplicable(f"{mlops.environment(stack, served)} is production")
    if served.kind == "InferenceService":
        if served.number("spec.predictor.minReplicas") != 0:
            yield served.finding("it never scales to zero, and is not production", "spec.predictor.minReplicas")
        return
    if served.has("asyncInferenceConfig") and any(
        target.number("minCapacity") == 0 for target in stack.of(*aws.SCALING_TARGET)
    ):
        return
    for variant in served.each("productionVariants"):
        if not variant.has("serverlessConfig") and variant.number("managedInstanceScaling.minInstanceCount") != 0:
            yield variant.finding("it never scales to zero, and is not production")
