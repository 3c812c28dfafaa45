"""Training on AWS: the model's SageMaker pipeline with its role, its files, its tasks and its first run."""

from __future__ import annotations

from typing import Final

import pulumi

from pulumi_mlops.platforms.aws import (
    dataset,
    endpoint_names,
    feature_store,
    follow_up,
    instances,
    permissions,
    pipeline,
    scoring,
    secrets,
    tasks,
)
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.aws.actions import PipelineRun
from pulumi_mlops.platforms.aws.pipeline import Pipeline
from pulumi_mlops.platforms.aws.roles import Role, role
from pulumi_mlops.platforms.aws.source import Source
from pulumi_mlops.platforms.base import BuiltCluster, BuiltPipeline, PipelinePlan
from pulumi_mlops.spec.aws import Aws
from pulumi_mlops.spec.training import Compute

MATERIALIZE: Final = "materialize"
"""Last part of the name of the task that brings feature groups up to date."""


def build_cluster(account: Account, parent: pulumi.Resource, name: str, compute: Compute) -> BuiltCluster:
    """Nothing is made: SageMaker makes the instances of a job when it starts, and takes them away when it ends.

    Raises:
        pulumi.RunError: no instance type holds what is asked for.
    """
    if found := compute_problems(compute, account.settings):
        raise pulumi.RunError(f"{name}: " + "; ".join(found))
    instance = instances.of_training(compute, account.settings)
    return BuiltCluster(uri=pulumi.Output.from_input(f"sagemaker://{account.region}/{instance}"))


def build_pipeline(account: Account, parent: pulumi.Resource, name: str, plan: PipelinePlan) -> BuiltPipeline:
    """The model's pipeline, its tasks, and a run where definition or code have changed.

    `up` does not wait for the run: how it ends is MLflow's to tell (`mlops status`).

    Raises:
        pulumi.RunError: code or settings can't be brought into SageMaker.
    """
    if found := problems(plan, account.settings):
        raise pulumi.RunError(f"{name}: " + "; ".join(found))
    model = plan.identity.name
    account.claim("model", model, name)
    source = Source(account, plan)
    files = source.upload(parent, name)
    needs = [*files, *secrets.build(account, dataset.passwords(plan.data)), *account.tracking]
    allowed = _role(account, parent, name, plan)
    parts = Pipeline(account, plan, allowed.arn, source.inputs, source.commit)
    made = tasks.pipeline(
        account,
        parent,
        f"{name}-pipeline",
        called=[model],
        document=pipeline.document(parts),
        role=allowed,
        identity=plan.identity,
        component="pipeline",
        needs=[*needs, *(each for key, each in account.packages.items() if key == model)],
    )
    if feature_store.groups(account, plan.features):
        _materialize(account, parent, name, plan, source, allowed, needs)
    follow_up.build(account, parent, name, plan, _follower(account, parent, name, plan), source.inputs, needs)
    scoring.build(account, parent, name, plan, allowed, source.inputs, needs)
    run = PipelineRun(
        f"{name}-run",
        account,
        pipeline=parts.name,
        digest=source.digest,
        parameters={pipeline.TRIGGER: "up", pipeline.REQUESTED_BY: "pulumi"},
        opts=account.options(parent=parent, needs=[made, *plan.needs]),
    )
    return BuiltPipeline(
        definition_uri=pulumi.Output.from_input(source.inputs["definition"]),
        run_id=run.run_id,
        status=pulumi.Output.from_input("started"),
        version=pulumi.Output.from_input(None),
    )


def problems(plan: PipelinePlan, settings: Aws) -> list[str]:
    """What keeps a pipeline from running in SageMaker, a sentence each, beginning with the field."""
    found = [
        *dataset.problems(plan.data),
        *feature_store.problems(plan.features),
        *compute_problems(plan.training.compute, settings),
    ]
    if plan.training.distribution is not None:
        found.append(
            "training.distribution: Ray's clusters are for the platform kubernetes; take it out, give the search more "
            "processes by training.tuning.parallel, and a larger machine by training.compute"
        )
    return found


def compute_problems(compute: Compute, settings: Aws) -> list[str]:
    """What no instance type holds, a sentence each."""
    found = []
    for field, chosen in (("job", instances.of_jobs), ("training", instances.of_training)):
        try:
            chosen(compute, settings)
        except LookupError as error:
            hint = f"ask for less, or name one in platform.aws.instances.{field}"
            found.append(f"training.compute: {error}; {hint}")
    return found


def task_role(account: Account, plan: PipelinePlan) -> str:
    """Name of the role of a model's pipeline, which its tasks have too."""
    return account.called(*_called(plan), limit=64)


def _called(plan: PipelinePlan) -> list[str]:
    return [plan.identity.name, "pipeline"]


def _role(account: Account, parent: pulumi.Resource, name: str, plan: PipelinePlan) -> Role:
    called = _called(plan)
    return role(
        account,
        f"{name}-pipeline",
        "pipeline",
        services=["sagemaker"],
        allow=permissions.run_pipeline(account, plan, called),
        parent=parent,
        called=called,
        identity=plan.identity,
    )


def _follower(account: Account, parent: pulumi.Resource, name: str, plan: PipelinePlan) -> Role:
    called = list(endpoint_names.follow_up(plan.identity.name))
    return role(
        account,
        f"{name}-follow-up",
        "pipeline",
        services=["sagemaker"],
        allow=permissions.follow_deployments(account, plan, called),
        parent=parent,
        called=called,
        identity=plan.identity,
    )


def _materialize(
    account: Account,
    parent: pulumi.Resource,
    name: str,
    plan: PipelinePlan,
    source: Source,
    allowed: Role,
    needs: list[pulumi.Resource],
) -> None:
    compute = plan.training.compute
    tasks.task_pipeline(
        account,
        parent,
        f"{name}-{MATERIALIZE}",
        called=[plan.identity.name, MATERIALIZE],
        command=[MATERIALIZE],
        role=allowed,
        inputs=source.inputs,
        instance=instances.of_jobs(compute, account.settings),
        time_limit=compute.time_limit,
        identity=plan.identity,
        component="feature-store",
        needs=needs,
    )
