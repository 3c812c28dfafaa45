"""What the roles of pipelines and their jobs must allow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pulumi_mlops.platforms.aws import access, dataset, edge, feature_store, pipeline
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.aws.logs import OF_JOBS
from pulumi_mlops.platforms.aws.roles import NAME, Allow
from pulumi_mlops.platforms.base import PipelinePlan
from pulumi_mlops.spec.endpoints import EdgeEndpoint

_JOBS: Final = "pipelines-*"
"""Names of the jobs that pipelines start."""

_NAMESPACES: Final = ("/aws/sagemaker/ProcessingJobs", "/aws/sagemaker/TrainingJobs")


def run_jobs(account: Account, called: Sequence[str], *, training: bool = False) -> list[Allow]:
    """Run jobs of the job image in the platform's network, as a pipeline and as its jobs, which have one role.

    Arguments:
        account: the account.
        called: parts of the role's name.
        training: whether there are training jobs besides processing jobs.
    """
    verbs = {"processing-job": "ProcessingJob", **({"training-job": "TrainingJob"} if training else {})}
    allowed = [
        Allow(
            [f"sagemaker:{verb}{what}" for verb in ("Create", "Describe", "Stop")],
            [account.arn("sagemaker", f"{kind}/{_JOBS}")],
        )
        for kind, what in verbs.items()
    ]
    # Of a role that is made: one that exists has policies of its own.
    own = account.arn("iam", f"role/{account.called(*called, limit=NAME)}")
    return [
        *allowed,
        Allow(["sagemaker:AddTags"], [account.arn("sagemaker", f"{kind}/{_JOBS}") for kind in verbs]),
        Allow(["iam:PassRole"], [own], {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}),
        # Metrics of a job's instances; CloudWatch knows no resources, but namespaces.
        Allow(["cloudwatch:PutMetricData"], ["*"], {"StringEquals": {"cloudwatch:namespace": list(_NAMESPACES)}}),
        # SageMaker makes the group with the first job of an account.
        Allow(["logs:CreateLogGroup"], [account.arn("logs", f"log-group:{group}") for group in OF_JOBS]),
        *access.write_logs(account, *OF_JOBS),
        *access.pull_images(account, account.settings.images.job),
        *access.join_network(account),
        *access.use_key(account),
        # For the volumes of instances, which SageMaker encrypts on behalf of whoever starts the job.
        Allow(["kms:CreateGrant"], [account.key_arn], {"Bool": {"kms:GrantIsForAWSResource": "true"}}),
    ]


def run_pipeline(account: Account, plan: PipelinePlan, called: Sequence[str]) -> list[Allow]:
    """All that a model's pipeline does, and its tasks: run jobs, read sources, write the store, record and register.

    Arguments:
        account: the account.
        plan: the pipeline.
        called: parts of the role's name.
    """
    model = plan.identity.name
    sources = [f"snapshots/{name}/*" for name in plan.data.sources]
    own = [
        *(
            f"{folder}/{model}/*"
            for folder in ("runs", "artifacts", "bundles", "packages", "executions", "checkpoints")
        ),
        *sources,
    ]
    endpoints = [endpoint.name for endpoint in plan.endpoints]
    served = [f"{folder}/{name}/*" for name in endpoints for folder in ("batch", "edge")]
    given = [f"{folder}/{model}/*" for folder in ("definitions", "code")]
    group = account.called(model)
    return [
        *run_jobs(account, called, training=True),
        # Snapshots are kept as long as a bundle of any model was made of them, and champions are what endpoints serve.
        *access.read_store(account, *own, *given, *served, "features/*", "bundles/*", "deployments/*"),
        *access.write_store(account, *own, *served, "features/*"),
        # Files of a step that is done again, snapshots whose retention has ended, bundles beyond keep_versions.
        Allow(["s3:DeleteObject"], [account.object_arn(path) for path in (*own, *served, "features/*")]),
        *dataset.read(account, plan.data),
        *feature_store.read(account, plan.features),
        *feature_store.write(account, plan.features),
        *access.track(account),
        Allow(["sagemaker:ListPipelineExecutions"], [account.arn("sagemaker", f"pipeline/{group}")]),
        Allow(
            ["sagemaker:CreateModelPackage", "sagemaker:DescribeModelPackage", "sagemaker:DescribeModelPackageGroup"],
            [
                account.arn("sagemaker", f"model-package-group/{group}"),
                account.arn("sagemaker", f"model-package/{group}/*"),
            ],
        ),
        *access.pull_images(account, *_images(account)),
        *_put_off(account, model),
    ]


def follow_deployments(account: Account, plan: PipelinePlan, called: Sequence[str]) -> list[Allow]:
    """What follows a deployment: its line in the history and the audit log, the champion, exports and scorings.

    Arguments:
        account: the account.
        plan: the model's pipeline.
        called: parts of the role's name.
    """
    model = plan.identity.name
    endpoints = [endpoint.name for endpoint in plan.endpoints]
    served = [f"{folder}/{name}/*" for name in endpoints for folder in ("batch", "edge")]
    pointers = [f"deployments/{name}*" for name in endpoints]
    kept = [f"{folder}/{model}/*" for folder in ("artifacts", "bundles", "executions")]
    read = [f"{folder}/{model}/*" for folder in ("definitions", "code", "runs", "packages")]
    snapshots = [f"snapshots/{name}/*" for name in plan.data.sources]
    return [
        *run_jobs(account, called),
        *access.read_store(account, *kept, *read, *served, *snapshots, "features/*", "deployments/*", "audit/*"),
        *access.write_store(account, *kept, *served, *snapshots, *pointers, "audit/*"),
        # Bundles beyond keep_versions, and outputs that are made again; entries of the audit log stay.
        Allow(["s3:DeleteObject"], [account.object_arn(path) for path in (f"bundles/{model}/*", *served)]),
        *dataset.read(account, plan.data),
        *feature_store.read(account, plan.features),
        *access.track(account),
        *edge.sign(account, model, [each.name for each in plan.endpoints if isinstance(each, EdgeEndpoint)]),
    ]


def _put_off(account: Account, model: str) -> list[Allow]:
    """Put off the schedule that tells of overdue runs, which keeps its own role."""
    schedule = pipeline.overdue(account, model)
    role = account.settings.roles.events or account.arn(
        "iam", f"role/{account.called(model, pipeline.OVERDUE, limit=NAME)}"
    )
    return [
        Allow(
            ["scheduler:GetSchedule", "scheduler:UpdateSchedule"],
            [account.arn("scheduler", f"schedule/default/{schedule}")],
        ),
        Allow(["iam:PassRole"], [role], {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}),
    ]


def _images(account: Account) -> list[str]:
    """Images that a version's package names: SageMaker asks for them on the role's behalf."""
    images = account.settings.images
    return [image for image in (images.serving, images.serving_sklearn) if image is not None]
