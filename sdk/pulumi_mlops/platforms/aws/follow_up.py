"""What follows a deployment: a pipeline that notes it in the registry, exports for devices, and scores tables.

The state machines of REST endpoints start it. A model without any has it started by the approval itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from pulumi_mlops.platforms.aws import endpoint_names, instances, jobs, schedules, scoring, tasks
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.aws.jobs import Job, parameter
from pulumi_mlops.platforms.aws.roles import Role
from pulumi_mlops.platforms.base import PipelinePlan
from pulumi_mlops.spec.endpoints import RestEndpoint

COMMAND: Final = "follow-up"
"""The runtime's command, and the step's name."""

NONE: Final = "-"
"""Default of parameters (`mlops_runtime.sagemaker.follow_up.NONE`)."""

PARAMETERS: Final = {
    "Action": "deploy",
    "Version": NONE,
    "Package": NONE,
    "Endpoint": NONE,
    "By": "approval",
    "Reason": "The version was approved",
}
"""Parameters of the pipeline, with their defaults."""

_RULE_NAME: Final = 64


def build(
    account: Account,
    parent: pulumi.Resource,
    name: str,
    plan: PipelinePlan,
    role: Role,
    inputs: Mapping[str, str],
    needs: Sequence[pulumi.Resource],
) -> aws.sagemaker.Pipeline:
    """Make the pipeline.

    Arguments:
        account: where it is made.
        parent: component that it belongs to.
        name: beginning of the Pulumi resources' names.
        plan: the model's pipeline.
        role: role of pipeline and jobs.
        inputs: S3 URIs of the jobs' inputs.
        needs: what must exist before.
    """
    called = endpoint_names.follow_up(plan.identity.name)
    made = tasks.pipeline(
        account,
        parent,
        f"{name}-{COMMAND}",
        called=called,
        document=jobs.definition(_steps(account, plan, role, inputs), PARAMETERS),
        role=role,
        identity=plan.identity,
        component="deployment",
        needs=needs,
    )
    if not any(isinstance(endpoint, RestEndpoint) for endpoint in plan.endpoints):
        _approvals(account, parent, f"{name}-approved", plan, tasks.arn(account, *called), made)
    return made


def _steps(account: Account, plan: PipelinePlan, role: Role, inputs: Mapping[str, str]) -> list[dict[str, Any]]:
    compute = plan.training.compute
    options = [word for key in PARAMETERS for word in (f"--{key.lower()}", parameter(key))]
    first = Job(
        COMMAND,
        [tasks.TASK, COMMAND, *options],
        role.arn,
        instances.of_jobs(compute, account.settings),
        compute.time_limit,
        inputs,
    )
    made = [jobs.processing(account, first)]
    for endpoint in scoring.batches(plan):
        # One that a single instance scores is scored by the command itself.
        if endpoint.schedule is None and endpoint.shards > 1:
            made += scoring.steps(account, plan, endpoint, role, inputs, after=[COMMAND])
    return made


def _approvals(
    account: Account, parent: pulumi.Resource, name: str, plan: PipelinePlan, target: str, pipeline: pulumi.Resource
) -> None:
    model, identity = plan.identity.name, plan.identity
    starter = schedules.starter(
        account, parent, name, called=[model, "approved"], pipelines=[target], identity=identity
    )
    rule = aws.cloudwatch.EventRule(
        name,
        name=account.called(model, "approved", limit=_RULE_NAME),
        description=f"Approved versions of {model}, which has no endpoint that is served",
        event_pattern=json.dumps(endpoint_names.approved(account, model)),
        tags=account.tags("deployment", identity),
        opts=account.options(parent=parent),
    )
    aws.cloudwatch.EventTarget(
        name,
        rule=rule.name,
        arn=target,
        role_arn=starter.arn,
        sagemaker_pipeline_target={
            "pipeline_parameter_lists": [{"name": "Package", "value": "$.detail.ModelPackageArn"}]
        },
        opts=account.options(parent=parent, needs=[*starter.needs, pipeline]),
    )
