"""Evidence of a model in a bucket of its own, in which nobody can change or delete it before its time.

Each file of a registered version (bundle, card, metrics, decisions) is copied there when it is written to the store:
S3's event → EventBridge → a state machine of one call, `s3:CopyObject`. The store may then be tidied
(`registry.keep_versions`), and what was shown to an authority is there still.
"""

from __future__ import annotations

import json
import math
from datetime import timedelta
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from pulumi_mlops.platforms import naming
from pulumi_mlops.platforms.aws import access, logs, roles, storage
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.aws.names import NAME
from pulumi_mlops.spec.identity import Identity

KEPT: Final = ("artifacts/{model}/*", "bundles/{model}/*", "packages/{model}/*")
"""What of a model in the store is evidence: what runs recorded (reports, figures, cards), and its versions, with
manifest and metrics, as bundles and as SageMaker's packages."""

STATE_MACHINE_NAME: Final = 80
RULE_NAME: Final = 64
"""Longest names of state machines and rules."""

_RETRIES: Final = 6
_FIRST_WAIT: Final = 5
"""Attempts after the first, and seconds before the second; each wait is twice the one before."""


def build(
    account: Account, parent: pulumi.Resource, name: str, retention: timedelta, identity: Identity
) -> aws.s3.BucketPolicy:
    """Make the bucket, and have each version copied into it.

    In production nobody, the root user of the account included, can shorten the lock (`COMPLIANCE`); elsewhere who has
    `s3:BypassGovernanceRetention` can, so that a trial can be taken down.

    Returns:
        What must exist before evidence is written.
    """
    mode = "COMPLIANCE" if account.settings.production else "GOVERNANCE"
    bucket = bucket_name(account, identity)
    policy = storage.closed(
        account,
        f"{name}-evidence",
        bucket,
        component="evidence",
        parent=parent,
        identity=identity,
        lock={"mode": mode, "days": lock_days(retention)},
    )
    _copy(account, parent, f"{name}-evidence", bucket, identity, policy)
    return policy


def bucket_name(account: Account, identity: Identity) -> str:
    """Name of the bucket of a model's evidence."""
    return naming.fit(f"{storage.evidence_prefix(account)}{account.region}-{identity.name}", NAME)


def lock_days(retention: timedelta) -> int:
    """Whole days that a retention takes."""
    return math.ceil(retention / timedelta(days=1))


def definition(account: Account, bucket: str) -> dict[str, Any]:
    """The state machine that copies an object of the store, as the event names it, under the same key."""
    retry = {
        # Most errors of S3 have one name in Step Functions (S3.S3Exception), whether they pass or not.
        "ErrorEquals": ["States.TaskFailed", "States.Timeout"],
        "IntervalSeconds": _FIRST_WAIT,
        "BackoffRate": 2,
        "MaxAttempts": _RETRIES,
        "JitterStrategy": "FULL",
    }
    return {
        "Comment": "Copies a file of a registered version to the locked bucket of evidence",
        "StartAt": "Copy",
        "States": {
            "Copy": {
                "Type": "Task",
                "Resource": f"arn:{account.partition}:states:::aws-sdk:s3:copyObject",
                "Parameters": {
                    "Bucket": bucket,
                    "CopySource.$": "States.Format('{}/{}', $.detail.bucket.name, $.detail.object.key)",
                    "Key.$": "$.detail.object.key",
                    # Kept with the object, and asked for where objects are locked.
                    "ChecksumAlgorithm": "SHA256",
                },
                # What was copied is the execution's output, not S3's answer.
                "ResultPath": None,
                "TimeoutSeconds": 900,
                "Retry": [retry],
                "End": True,
            }
        },
    }


def _copy(
    account: Account, parent: pulumi.Resource, name: str, bucket: str, identity: Identity, ready: pulumi.Resource
) -> None:
    kept = [path.format(model=identity.name) for path in KEPT]
    called = account.called(identity.name, "evidence", limit=STATE_MACHINE_NAME)
    group = logs.group(
        account,
        name,
        f"/aws/vendedlogs/states/{called}",
        parent=parent,
        component="evidence",
        identity=identity,
    )
    role = roles.role(
        account,
        name,
        "evidence",
        services=["states"],
        allow=[
            *access.read_store(account, *kept),
            roles.Allow(["s3:PutObject"], [storage.arn(account, bucket, account.key(path)) for path in kept]),
            *access.use_key(account),
            *access.deliver_logs(),
        ],
        parent=parent,
        called=[identity.name, "evidence"],
        identity=identity,
    )
    machine = aws.sfn.StateMachine(
        name,
        name=called,
        definition=json.dumps(definition(account, bucket), sort_keys=True),
        role_arn=role.arn,
        encryption_configuration={
            "type": "CUSTOMER_MANAGED_KMS_KEY",
            "kms_key_id": account.key_arn,
            "kms_data_key_reuse_period_seconds": 300,
        },
        logging_configuration={
            "level": "ERROR",
            "include_execution_data": True,
            "log_destination": group.arn.apply(lambda arn: f"{arn}:*"),
        },
        tags=account.tags("evidence", identity),
        opts=account.options(parent=parent, needs=[*role.needs, ready]),
    )
    starter = roles.role(
        account,
        f"{name}-events",
        "events",
        services=["events"],
        allow=[
            roles.Allow(["states:StartExecution"], [account.arn("states", f"stateMachine:{called}")]),
            *access.use_key(account),
        ],
        parent=parent,
        called=[identity.name, "evidence-events"],
        identity=identity,
    )
    rule = aws.cloudwatch.EventRule(
        name,
        name=account.called(identity.name, "evidence", limit=RULE_NAME),
        description=f"Files of versions of the model {identity.name}, written to the store",
        event_pattern=json.dumps(pattern(account, kept), sort_keys=True),
        tags=account.tags("evidence", identity),
        opts=account.options(parent=parent),
    )
    aws.cloudwatch.EventTarget(
        name,
        rule=rule.name,
        arn=machine.arn,
        role_arn=starter.arn,
        opts=account.options(parent=parent, needs=starter.needs),
    )


def pattern(account: Account, kept: list[str]) -> dict[str, Any]:
    """The events of S3 for objects of the store that are written, by the beginnings of their keys."""
    beginnings = [{"prefix": account.key(path.removesuffix("*"))} for path in kept]
    return {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": [account.bucket]}, "object": {"key": beginnings}},
    }
