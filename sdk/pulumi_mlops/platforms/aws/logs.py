"""Log groups of CloudWatch.

Those of jobs (`/aws/sagemaker/ProcessingJobs`, `TrainingJobs`) are one for all jobs of an account and region: no job
can choose another, and SageMaker makes them with the first. They are no part of a stack: two stacks would fight over
their retention, a shorter one deletes what other teams' jobs wrote, and `destroy` would take away all of it. Who runs
the account sets their retention and key, once; `mlops preflight` says where that has not been done.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pulumi
import pulumi_aws as aws

from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.aws.names import JOB_LOGS
from pulumi_mlops.spec.aws import LOG_DAYS
from pulumi_mlops.spec.identity import Identity

OF_JOBS: Final = tuple(JOB_LOGS.values())
"""Log groups of an account's jobs, which are no stack's."""

_FOR_EVER: Final = 0


def group(
    account: Account,
    name: str,
    path: str,
    *,
    parent: pulumi.Resource,
    component: str,
    identity: Identity | None = None,
) -> aws.cloudwatch.LogGroup:
    """A log group, encrypted by the platform's key.

    Arguments:
        account: where it is made.
        name: name of the Pulumi resource.
        path: name of the group, such as `/aws/sagemaker/Endpoints/mlops-delay`.
        parent: component that it belongs to.
        component: what it is part of.
        identity: the model that it is for. Default: the platform itself.
    """
    return aws.cloudwatch.LogGroup(
        name,
        name=path,
        retention_in_days=days(account, identity),
        kms_key_id=account.key_arn,
        tags=account.tags(component, identity),
        opts=account.options(parent=parent),
    )


def days(account: Account, identity: Identity | None = None) -> int:
    """Days for which logs are kept: the platform's, or those that the model's governance promises where they are more,
    as the next number that CloudWatch knows; 0, for ever, where it knows none."""
    kept = account.settings.log_retention
    declared = None if identity is None else account.governance.get(identity.name)
    if declared is not None and declared.retention.logs is not None:
        kept = max(kept, declared.retention.logs)
    return next((known for known in LOG_DAYS if timedelta(days=known) >= kept), _FOR_EVER)
