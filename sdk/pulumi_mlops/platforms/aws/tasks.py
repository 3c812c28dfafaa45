"""Work beside the training pipeline: a command of the runtime as a SageMaker pipeline of one step.

A pipeline keeps what a bare job would not: a name that schedules and rules start it by, its runs in one list, and tries
again where SageMaker fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

import pulumi
import pulumi_aws as aws

from pulumi_mlops.platforms.aws import documents, jobs
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.aws.jobs import Job, Value
from pulumi_mlops.platforms.aws.roles import Role
from pulumi_mlops.spec.identity import Identity

TASK: Final = "task"
"""The runtime's command that runs another one in a job: it finds the job's files first."""


def task_pipeline(
    account: Account,
    parent: pulumi.Resource,
    name: str,
    *,
    called: Sequence[str],
    command: Sequence[Value],
    role: Role,
    inputs: Mapping[str, str],
    instance: str,
    time_limit: timedelta,
    identity: Identity,
    component: str,
    parameters: Mapping[str, str] | None = None,
    count: int = 1,
    environment: Mapping[str, str] | None = None,
    needs: Sequence[pulumi.Resource] = (),
) -> aws.sagemaker.Pipeline:
    """A pipeline of one processing step.

    Arguments:
        account: where it is made.
        parent: component that it belongs to.
        name: name of the Pulumi resource.
        called: parts of the pipeline's name; the last is the step's name too.
        command: command of the runtime with its arguments, without `--definition` and `--config`: `mlops-runtime task`
            adds `--definition` or `--config` for the input of this name.
        role: role of pipeline and job; see `permissions.run_jobs` for what it needs.
        inputs: S3 URI of each input by name (`definition`, `code`, `config`); see `source` and `objects`.
        instance: instance type of the job.
        time_limit: time after which the job is stopped.
        identity: the model that it is for.
        component: what it is part of, for its tags.
        parameters: the pipeline's parameters with their defaults, for references in `command`. Default: none.
        count: instances of the job. Default: one.
        environment: variables of the job. Default: the region only.
        needs: what must exist before.
    """
    step = jobs.processing(
        account,
        Job(
            called[-1],
            [TASK, *command],
            role.arn,
            instance,
            time_limit,
            inputs,
            count=count,
            environment=environment or {},
        ),
    )
    return pipeline(
        account,
        parent,
        name,
        called=called,
        document=jobs.definition([step], parameters or {}),
        role=role,
        identity=identity,
        component=component,
        needs=needs,
    )


def pipeline(
    account: Account,
    parent: pulumi.Resource,
    name: str,
    *,
    called: Sequence[str],
    document: Mapping[str, object],
    role: Role,
    identity: Identity,
    component: str,
    needs: Sequence[pulumi.Resource] = (),
) -> aws.sagemaker.Pipeline:
    """A SageMaker pipeline with a definition of `jobs.definition`; see `task_pipeline`."""
    named = account.called(*called)
    return aws.sagemaker.Pipeline(
        name,
        pipeline_name=named,
        pipeline_display_name=named,
        role_arn=role.arn,
        pipeline_definition=documents.dumps(document),
        tags=account.tags(component, identity),
        opts=account.options(parent=parent, needs=[*role.needs, *needs]),
    )


def arn(account: Account, *called: str) -> str:
    """ARN of a pipeline by the parts of its name."""
    # SageMaker writes names in ARNs of pipelines in lower case, which ours are.
    return account.arn("sagemaker", f"pipeline/{account.called(*called)}")
