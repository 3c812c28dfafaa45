"""That what resources refer to is there: each ARN and name within the stack, or given, or known to come later."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

import regex  # type: ignore[import-untyped]

from tests.aws_kit.permissions import overlap
from tests.aws_kit.world import Thing, World

LATER: Final[Mapping[str, str]] = {
    "logs::log-group:/aws/sagemaker/*": "SageMaker makes the log groups of its jobs, account-wide",
    "logs::log-group:/aws/vendedlogs/*": "vended logs of state machines",
    "application-autoscaling::scalable-target/*": "AWS gives the ids of targets",
    "glue::catalog": "the catalogue of the account",
    "glue::database/sagemaker_featurestore": "SageMaker makes the database of offline stores",
    "glue::table/sagemaker_featurestore/*": "SageMaker makes the tables of offline stores",
    "iam::role/*-overdue": "the role of that schedule, which a run hands back to it",
    "sagemaker::endpoint/sagemaker-clarify-*": "Clarify makes an endpoint of its own for the time of a job",
    "scheduler::schedule/default/*-overdue": "a run puts off this schedule where retraining.overdue makes it",
    "ec2::network-interface/*": "interfaces of SageMaker's jobs in the VPC",
    "sagemaker::processing-job/*": "jobs are made by the pipeline",
    "sagemaker::training-job/*": "jobs are made by the pipeline",
    "sagemaker::hyper-parameter-tuning-job/*": "jobs are made by the pipeline",
    "sagemaker::model-package/*": "versions are registered by the pipeline",
    "sagemaker::model/*": "models are made by the deployment",
    "sagemaker::endpoint-config/*": "configurations are made by the deployment",
    "sagemaker::experiment*": "SageMaker records executions of pipelines",
    "sagemaker::artifact/*": "SageMaker records the lineage of executions",
    "sagemaker::mlflow-tracking-server/*": "its ARN is static, and the server is made, or given",
    "events::rule/StepFunctions*": "rules that Step Functions makes to wait for what it starts",
    "states::execution:*": "executions of state machines",
    "secretsmanager::secret:*": "secrets that the user keeps; checked by `mlops preflight`",
    "iam::role/aws-service-role/*": "roles that AWS makes for its services",
}
"""Service and resource in ARNs of what is not in the stack, each with why."""

_ARN: Final = regex.compile(r"arn:aws:[a-z0-9-]+:[a-z0-9-]*:[0-9]*:[^\s\"']+")

NAMED: Final[Mapping[tuple[str, str], str]] = {
    ("appautoscaling/policy", "resourceId"): "endpoint",
    ("appautoscaling/target", "resourceId"): "endpoint",
    ("cloudwatch/eventTarget", "rule"): "cloudwatch/eventRule",
    ("ecr/lifecyclePolicy", "repository"): "ecr/repository",
    ("ecr/repositoryPolicy", "repository"): "ecr/repository",
    ("iam/rolePolicy", "role"): "iam/role",
    ("sagemaker/endpoint", "endpointConfigName"): "sagemaker/endpointConfiguration",
    ("sagemaker/modelPackageGroupPolicy", "modelPackageGroupName"): "sagemaker/modelPackageGroup",
    ("scheduler/schedule", "groupName"): "scheduler/scheduleGroup",
}
"""Inputs that name a resource of a type."""

ENDINGS: Final[Mapping[tuple[str, str], str]] = {
    ("", "bucket"): "s3/bucket",
    ("", "s3BucketName"): "s3/bucket",
    ("", "targetBucket"): "s3/bucket",
    ("sagemaker/endpoint", "alarmName"): "cloudwatch/metricAlarm",
    ("sagemaker/endpointConfiguration", "modelName"): "sagemaker/model",
}
"""Names at any depth, by type and last part of the path."""


def problems(world: World, given: Collection[str] = ()) -> list[str]:
    """What refers to nothing, a sentence each.

    Arguments:
        world: the stack in its account.
        given: ARNs and names (patterns) of what exists before.
    """
    return [f"{thing.title}: {each}" for thing in world.things for each in _dangling(thing, world, given)]


def _dangling(thing: Thing, world: World, given: Collection[str]) -> Iterator[str]:
    for path, text in thing.mentioned:
        # Conditions and prefixes limit; they need not have anything to limit.
        if ".Condition." in path or ".startsWiths[" in path:
            continue
        for arn in _ARN.findall(text):
            if not _is_there(arn, world, given):
                yield f"{path} refers to {arn}, which is nowhere"
    for (kind, field), target in NAMED.items():
        if kind == thing.kind and field in thing.inputs:
            name = str(thing.inputs[field])
            found = _is_variant(name, world) if target == "endpoint" else name in world.names(target)
            if not found and not _matches(name, given):
                yield f"{field} names {name}, which is no {target}"
    for path, name in thing.mentioned:
        last = path.rpartition(".")[2]
        for (kind, ending), target in ENDINGS.items():
            named = last == ending and kind in ("", thing.kind) and thing.kind != target
            if named and name not in world.names(target) and not _matches(name, given):
                yield f"{path} names {name}, which is no {target}"


def _matches(text: str, patterns: Collection[str]) -> bool:
    return any(overlap(text, each) for each in patterns)


def _is_variant(resource: str, world: World) -> bool:
    """Whether `endpoint/NAME/variant/VARIANT` is a variant of an endpoint of the stack."""
    match resource.split("/"):
        case ["endpoint", name, "variant", variant]:
            for endpoint in world.of("sagemaker/endpoint"):
                for config in world.of("sagemaker/endpointConfiguration"):
                    if endpoint.name == name and config.name == endpoint.inputs["endpointConfigName"]:
                        return variant in [each["variantName"] for each in config.inputs["productionVariants"]]
    return False


def _is_there(arn: str, world: World, given: Collection[str]) -> bool:
    _, _, service, _, owner, what = arn.split(":", 5)
    if owner == "aws" or (owner == "" and service != "s3"):
        return True  # AWS's own: managed policies, integrations of Step Functions
    if _matches(arn, given) or _matches(f"{service}::{what}", LATER):
        return True
    pattern = arn.split(":log-stream:")[0].removesuffix(":*") if service == "logs" else arn
    if service == "s3":
        pattern = pattern.split("/")[0]
    if pattern.endswith(":root"):
        return owner == world.account
    if pattern in world.arns or ("*" in pattern and any(overlap(each, pattern) for each in world.arns)):
        return True
    # A part of something: a variant, a version, an object.
    return any(pattern.startswith((f"{each}/", f"{each}:")) for each in world.arns)
