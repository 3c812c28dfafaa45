"""The pipeline of a model as SageMaker's definition: each step a job that runs commands of the runtime.

    prepare (admit, ingest, verify, featurize) → admitted? → train → evaluate (evaluate, validate, register)
    → accepted? → register the package, or fail

Jobs hand files on in the store, and single values as outputs. One run at a time works on the model: `admit` waits for
those that began before. An execution's identifier is the run's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import pulumi

from mlops_runtime.sagemaker.turn import EARLIER
from pulumi_mlops.platforms.aws import instances, jobs
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.aws.jobs import RUN_ID, Job, Spot, Value, join, output, parameter
from pulumi_mlops.platforms.aws.names import Names
from pulumi_mlops.platforms.base import PipelinePlan
from pulumi_mlops.spec.endpoints import RestEndpoint

TRIGGER: Final = "Trigger"
REQUESTED_BY: Final = "RequestedBy"
COOLDOWN: Final = "Cooldown"
NEW_DATA: Final = "NewData"

NONE: Final = "-"
"""Value of `NewData` where no source must have changed."""

PARAMETERS: Final = {TRIGGER: "manual", REQUESTED_BY: "console", COOLDOWN: "0", NEW_DATA: NONE}
"""Parameters of a pipeline: what started it, who asked for it, seconds since the last run's start below which it is not
admitted (0: always is), and the source that must have new data."""

OVERDUE: Final = "overdue"
"""Last part of the name of the schedule that tells of overdue runs."""

_SCHEDULE: Final = 64
"""Longest name of a schedule."""

PREPARE: Final = "prepare"
TRAIN: Final = "train"
EVALUATE: Final = "evaluate"
REGISTER: Final = "register"
REJECTED: Final = "rejected"

_EXECUTIONS: Final = "executions"
"""Where in the store the jobs' outputs are, by model and run."""

_CHECKPOINTS: Final = "MLOPS_CHECKPOINTS"
"""Variable that tells the runtime where an interrupted search is kept; see `mlops_runtime.steps.distributed`."""

_INTERRUPTED: Final = 2
"""Time limits for which a job on spare capacity may wait for it and be interrupted, its own included."""

_PREPARE: Final = ("admit", "ingest", "verify", "featurize")
_EVALUATE: Final = ("evaluate", "validate", "register")


@dataclass(frozen=True)
class Pipeline:
    """What the definition of a model's pipeline is made from.

    Arguments:
        account: where it runs.
        plan: the pipeline.
        role_arn: role of the pipeline and its jobs.
        inputs: S3 URI of each input of the jobs, by name.
        commit: commit of the user's code, or None where there is none.
    """

    account: Account
    plan: PipelinePlan
    role_arn: pulumi.Input[str]
    inputs: Mapping[str, str]
    commit: str | None

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.plan.identity.name

    @property
    def name(self) -> str:
        """Name of the SageMaker pipeline, and of the model's package group."""
        return self.account.called(self.model)


def document(pipeline: Pipeline) -> dict[str, Any]:
    """The definition; values that are known when it is deployed are outputs in it."""
    registered = jobs.condition(
        "accepted",
        output(EVALUATE, "status"),
        "rejected",
        [jobs.fail(REJECTED, "The model did not pass the gate; `mlops runs` says why, and MLflow keeps the version.")],
        [_register(pipeline)],
    )
    admitted = jobs.condition(
        "admitted", output(PREPARE, "go"), "true", [_train(pipeline), _evaluate(pipeline), registered], []
    )
    return jobs.definition([_prepare(pipeline), admitted], PARAMETERS)


def _prepare(pipeline: Pipeline) -> dict[str, Any]:
    more: list[Value] = [
        *("--pipeline", pipeline.name),
        *("--cooldown", parameter(COOLDOWN)),
        *("--new-data", parameter(NEW_DATA)),
    ]
    return _processing(pipeline, PREPARE, _PREPARE, more, limits=EARLIER + len(_PREPARE))


def _evaluate(pipeline: Pipeline) -> dict[str, Any]:
    images = images_by_runtime(pipeline.account, pipeline.plan)
    more: list[Value] = [word for runtime, image in images.items() for word in ("--image", f"{runtime}={image}")]
    more += ["--overdue", overdue(pipeline.account, pipeline.model)]
    return _processing(pipeline, EVALUATE, _EVALUATE, more, limits=len(_EVALUATE), after=[TRAIN])


def _train(pipeline: Pipeline) -> dict[str, Any]:
    account, compute = pipeline.account, pipeline.plan.training.compute
    spot = None
    if compute.spot:
        kept = join(f"{account.store_uri}/checkpoints/{pipeline.model}", RUN_ID, on="/")
        spot = Spot(_INTERRUPTED * compute.time_limit, kept)
    job = Job(
        TRAIN,
        _arguments(pipeline, [TRAIN], ["--again"] if compute.spot else []),
        pipeline.role_arn,
        instances.of_training(compute, account.settings),
        compute.time_limit,
        pipeline.inputs,
        environment={_CHECKPOINTS: jobs.CHECKPOINTS} if compute.spot else {},
    )
    path = f"{account.store_uri}/{_EXECUTIONS}/{pipeline.model}"
    return jobs.training(account, job, output_path=path, spot=spot)


def _register(pipeline: Pipeline) -> dict[str, Any]:
    """The version in SageMaker's registry; what it is called there tells the rest of the platform."""
    return {
        "Name": REGISTER,
        "Type": "RegisterModel",
        "RetryPolicies": [jobs.FAULTS],
        "Arguments": {
            "ModelPackageGroupName": pipeline.name,
            "ModelPackageDescription": join("Version ", output(EVALUATE, "version"), f" of {pipeline.model}"),
            "ModelApprovalStatus": output(EVALUATE, "approval"),
            "InferenceSpecification": {
                "Containers": [{"Image": output(EVALUATE, "image"), "ModelDataUrl": output(EVALUATE, "model_data")}],
                "SupportedContentTypes": ["application/json"],
                "SupportedResponseMIMETypes": ["application/json"],
            },
            "CustomerMetadataProperties": {
                "model": pipeline.model,
                "version": output(EVALUATE, "version"),
                "runtime": output(EVALUATE, "runtime"),
                "digest": output(EVALUATE, "digest"),
                "commit": output(EVALUATE, "commit"),
                "run": RUN_ID,
                "trigger": parameter(TRIGGER),
                "requested-by": parameter(REQUESTED_BY),
            },
        },
    }


def overdue(names: Names, model: str) -> str:
    """Name of the schedule that tells of overdue runs, where `retraining.overdue` is set: a run that succeeds puts it
    off, and looks for it either way."""
    return names.called(model, OVERDUE, limit=_SCHEDULE)


def images_by_runtime(account: Account, plan: PipelinePlan) -> dict[str, str]:
    """Image of a version's package by what the version runs on. Versions that no image of an endpoint serves are
    refused, unless there is no endpoint: then the job image scores and exports them."""
    images = account.settings.images
    found = {"onnxruntime": images.serving}
    if images.serving_sklearn is not None:
        found["sklearn"] = images.serving_sklearn
    elif not any(isinstance(endpoint, RestEndpoint) for endpoint in plan.endpoints):
        found["sklearn"] = images.job
    return found


def _processing(
    pipeline: Pipeline,
    name: str,
    steps: Sequence[str],
    more: Sequence[Value],
    *,
    limits: int,
    after: Sequence[str] = (),
) -> dict[str, Any]:
    compute = pipeline.plan.training.compute
    job = Job(
        name,
        _arguments(pipeline, steps, more),
        pipeline.role_arn,
        instances.of_jobs(compute, pipeline.account.settings),
        min(limits * compute.time_limit, _LONGEST),
        pipeline.inputs,
        after=after,
    )
    return jobs.processing(pipeline.account, job, outputs=f"{_EXECUTIONS}/{pipeline.model}")


_LONGEST: Final = timedelta(days=5)
"""Longest processing job."""


def _arguments(pipeline: Pipeline, steps: Sequence[str], more: Sequence[Value]) -> list[Value]:
    commit = [] if pipeline.commit is None else ["--git-commit", pipeline.commit]
    asked: list[Value] = [
        "--run-id",
        RUN_ID,
        "--trigger",
        parameter(TRIGGER),
        "--requested-by",
        parameter(REQUESTED_BY),
    ]
    return ["job", *steps, *asked, *commit, *more]
