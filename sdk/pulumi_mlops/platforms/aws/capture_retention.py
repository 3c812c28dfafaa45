"""Captured requests are deleted when the spec says so, whoever has recorded them: by a job a day.

A lifecycle rule of the bucket would do, but a bucket has one list of them, which the endpoints of several models, and
whoever owns a bucket that exists, can't write together.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pulumi

from pulumi_mlops.platforms.aws import access, instances, permissions, schedules, tasks
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.aws.roles import Allow, role
from pulumi_mlops.spec.endpoints import Capture
from pulumi_mlops.spec.identity import Identity

TASK: Final = "expire"
"""Last part of the name of the pipeline."""

_EVERY: Final = timedelta(days=1)
_TIME_LIMIT: Final = timedelta(hours=2)
_GIB: Final = 2**30


def build(
    account: Account, parent: pulumi.Resource, name: str, endpoint: str, capture: Capture, identity: Identity
) -> None:
    """Delete an endpoint's captured requests at their age.

    Arguments:
        account: where it is made.
        parent: component that it belongs to.
        name: beginning of the Pulumi resources' names.
        endpoint: name of the endpoint.
        capture: how long they are kept.
        identity: the endpoint's model.
    """
    called = [identity.name, endpoint, TASK]
    folder = f"captures/{endpoint}"
    acting = role(
        account,
        f"{name}-{TASK}",
        "monitor",
        services=["sagemaker"],
        allow=[
            *permissions.run_jobs(account, called),
            *access.read_store(account, f"{folder}/*"),
            Allow(["s3:DeleteObject"], [account.object_arn(f"{folder}/*")]),
        ],
        parent=parent,
        called=called,
        identity=identity,
    )
    days = capture.retention / timedelta(days=1)
    pipeline = tasks.task_pipeline(
        account,
        parent,
        f"{name}-{TASK}",
        called=called,
        command=["expire-captures", "--uri", f"{account.store_uri}/{folder}", "--days", f"{days:g}"],
        role=acting,
        inputs={},
        instance=account.settings.instances.job or instances.smallest(1, _GIB, 0, "processing"),
        time_limit=_TIME_LIMIT,
        identity=identity,
        component="endpoint",
    )
    target = tasks.arn(account, *called)
    starter = schedules.starter(
        account,
        parent,
        f"{name}-{TASK}-schedule",
        called=[*called, "schedule"],
        pipelines=[target],
        identity=identity,
        by=["scheduler"],
    )
    schedules.start(
        account,
        parent,
        f"{name}-{TASK}",
        called=called,
        when=_EVERY,
        pipeline=target,
        parameters={},
        role=starter,
        needs=[pipeline],
    )
