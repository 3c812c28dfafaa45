"""Endpoints that outlive the failure of a machine."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from mlops_policies.findings import Finding
from mlops_policies.kinds import aws, kubernetes, mlops
from mlops_policies.registry import Parameters, pack
from mlops_policies.resources import Resource, Stack, View
from mlops_policies.several import some, thorough
from mlops_policies.values import NotApplicable

rule = pack("security")


class Availability(Parameters):
    """Parameters of `endpoint-ha`."""

    environments: tuple[str, ...] = mlops.PRODUCTION
    """Environments in which it holds, as patterns: of the spec, else the Pulumi stack's name. Default: production."""

    instances: int = Field(default=2, ge=2)
    """Least number of instances or replicas. Default: 2, one more than the control forbids."""


@rule(
    *aws.ENDPOINT_CONFIGURATION,
    *aws.SCALING_TARGET,
    *kubernetes.INFERENCE_SERVICE,
    graph=True,
    severity="medium",
    remediation="Let every variant start, and scale down to, at least two instances (`initialInstanceCount`,"
    " `minCapacity`); on KServe, set `minReplicas` to at least 2.",
    references={
        "aws-ai-bp": ["SageMaker.4"],
        "prowler": ["sagemaker_endpoint_config_prod_variant_instances"],
        "gdpr": ["Art. 32(1)(b)"],
        "eu-ai-act": ["Art. 15(4)"],
        "soc2": ["A1.2"],
    },
    parameters=Availability,
)
def endpoint_ha(resource: Resource, stack: Stack, parameters: Availability) -> Iterator[Finding]:
    """Endpoints in production run on more than one instance.

    SageMaker spreads them over availability zones. Judged are the variants of endpoints and the targets that scale
    them, and the predictors and transformers of InferenceServices. Shadow variants answer nobody, and serverless
    variants are spread by AWS.
    """
    if not mlops.in_production(stack, resource, parameters.environments):
        raise NotApplicable(f"{mlops.environment(stack, resource)} is not production")
    if resource.type in aws.ENDPOINT_CONFIGURATION:
        variants = (found for found in resource.each("productionVariants") if not found.has("serverlessConfig"))
        found = some(variants, "all its variants are serverless")
        yield from thorough(_variant(each, parameters.instances) for each in found)
    elif resource.type in aws.SCALING_TARGET:
        if resource.text("scalableDimension") != "sagemaker:variant:DesiredInstanceCount":
            raise NotApplicable("it does not scale the instances of an endpoint")
        yield from _fewer(resource, "minCapacity", "the variant scales down to", parameters.instances)
    else:
        for part in ("predictor", "transformer"):
            if resource.has(f"spec.{part}"):
                yield from _fewer(resource, f"spec.{part}.minReplicas", f"the {part} runs", parameters.instances)


def _variant(variant: View, least: int) -> Iterator[Finding]:
    name = variant.value("variantName")
    who = f"variant {name}" if isinstance(name, str) and name else "a variant"
    yield from _fewer(variant, "initialInstanceCount", f"{who} starts with", least)
    if variant.text("managedInstanceScaling.status") == "ENABLED":
        yield from _fewer(variant, "managedInstanceScaling.minInstanceCount", f"{who} scales down to", least)


def _fewer(view: View, path: str, what: str, least: int) -> Iterator[Finding]:
    # What is not set is one instance, for SageMaker as for KServe.
    count = view.number(path)
    if (count := 1 if count is None else count) < least:
        yield view.finding(f"{what} {count:g} of the {least} instances that outlive a failure", path)
