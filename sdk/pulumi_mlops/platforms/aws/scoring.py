"""Batch endpoints: pipelines that score a table, on one instance or on several side by side, and their schedules.

    one instance:  batch
    several:       plan → (already scored?) → score, each instance its share of the rows → gather

A transform job of SageMaker would not do: it sends rows to a server, and knows neither the features that are joined to
them nor what was scored before. The plan says which version scores which snapshot, so that a deployment or an ingestion
meanwhile changes nothing for the shards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from pulumi_mlops.platforms.aws import endpoint_names, instances, jobs, schedules, tasks
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.aws.jobs import Job, Value
from pulumi_mlops.platforms.aws.roles import Role
from pulumi_mlops.platforms.base import PipelinePlan
from pulumi_mlops.spec.endpoints import BatchEndpoint

SCORE: Final = "score"
"""Last part but one of the name of the pipeline that scores an endpoint's table."""

_OUTPUTS: Final = "executions"
"""Folder of the store in which the plans of executions are kept, below the model's."""


called = endpoint_names.scoring
"""Parts of the name of the pipeline that scores an endpoint's table."""


def build(
    account: Account,
    parent: pulumi.Resource,
    name: str,
    plan: PipelinePlan,
    role: Role,
    inputs: Mapping[str, str],
    needs: Sequence[pulumi.Resource],
) -> list[aws.sagemaker.Pipeline]:
    """Make the pipelines of a model's batch endpoints, and start those with a schedule when it says so.

    Arguments:
        account: where they are made.
        parent: component that they belong to.
        name: beginning of the Pulumi resources' names.
        plan: the model's pipeline.
        role: role of pipelines and jobs.
        inputs: S3 URIs of the jobs' inputs.
        needs: what must exist before.
    """
    model, made = plan.identity.name, []
    for endpoint in batches(plan):
        pipeline = tasks.pipeline(
            account,
            parent,
            f"{name}-{SCORE}-{endpoint.name}",
            called=called(model, endpoint.name),
            document=jobs.definition(steps(account, plan, endpoint, role, inputs), {}),
            role=role,
            identity=plan.identity,
            component="endpoint",
            needs=needs,
        )
        made.append(pipeline)
        if endpoint.schedule is not None:
            target = tasks.arn(account, *called(model, endpoint.name))
            starter = schedules.starter(
                account,
                parent,
                f"{name}-{SCORE}-{endpoint.name}-schedule",
                called=[model, endpoint.name, "schedule"],
                pipelines=[target],
                identity=plan.identity,
                by=["scheduler"],
            )
            schedules.start(
                account,
                parent,
                f"{name}-{SCORE}-{endpoint.name}",
                called=called(model, endpoint.name),
                when=endpoint.schedule,
                pipeline=target,
                parameters={},
                role=starter,
                needs=[pipeline],
            )
    return made


def batches(plan: PipelinePlan) -> list[BatchEndpoint]:
    """A model's batch endpoints."""
    return [endpoint for endpoint in plan.endpoints if isinstance(endpoint, BatchEndpoint)]


def steps(
    account: Account,
    plan: PipelinePlan,
    endpoint: BatchEndpoint,
    role: Role,
    inputs: Mapping[str, str],
    *,
    after: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Steps that score an endpoint's table.

    Arguments:
        account: where they run.
        plan: the model's pipeline.
        endpoint: the endpoint.
        role: role of the jobs.
        inputs: S3 URIs of their inputs.
        after: steps that must end before.
    """
    compute, named = plan.training.compute, endpoint.name

    def job(what: str, command: Sequence[Value], *, count: int = 1, follows: Sequence[str] = ()) -> Job:
        return Job(
            f"{what}-{named}",
            [tasks.TASK, *command],
            role.arn,
            instances.of_jobs(compute, account.settings),
            compute.time_limit,
            inputs,
            count=count,
            after=follows,
        )

    asked = ["--endpoint", named]
    if endpoint.shards == 1:
        return [jobs.processing(account, job(SCORE, ["batch", *asked], follows=after))]
    planned = jobs.processing(
        account, job("plan", ["shards-plan", *asked], follows=after), outputs=f"{_OUTPUTS}/{plan.identity.name}"
    )
    scoring: list[Any] = ["--scoring", jobs.output(f"plan-{named}", "scoring")]
    score = job(SCORE, ["shards-score", *asked, *scoring], count=endpoint.shards)
    shards = ["--shards", str(endpoint.shards)]
    gather = job("gather", ["batch-gather", *asked, *scoring, *shards], follows=[f"{SCORE}-{named}"])
    return [
        planned,
        jobs.condition(
            f"is-new-{named}",
            jobs.output(f"plan-{named}", "go"),
            "true",
            [jobs.processing(account, score), jobs.processing(account, gather)],
            [],
        ),
    ]
