"""Buckets: the store of artefacts, and the one of logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from pulumi_mlops.platforms import naming
from pulumi_mlops.platforms.aws import documents
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.aws.names import NAME
from pulumi_mlops.spec.identity import Identity

ACCESS: Final = "access"
TRAIL: Final = "trail"
NETWORK: Final = "network"
"""Prefixes in the bucket of logs: accesses to the store, the audit trail, flows of the network."""

EARLIER_VERSIONS: Final = 90
"""Days for which what was overwritten or deleted can be had back."""

UPLOADS: Final = 7
"""Days after which the parts of an upload that was never ended are deleted."""

COLD: Final = 90
"""Days after which logs move to colder storage; they are never deleted, like the audit log of the other platforms."""

Statements = Sequence[Mapping[str, Any]]
"""Statements of a bucket's policy."""

Rules = Sequence[aws.s3.BucketLifecycleConfigurationRuleArgsDict]
"""Rules of a bucket's lifecycle."""


def build(account: Account) -> aws.s3.BucketPolicy:
    """The store, the one that exists or one that is made, and a bucket of logs.

    Returns:
        What must exist before logs are written.
    """
    log_bucket = logs_name(account)
    policy = closed(
        account,
        f"{account.name}-logs",
        log_bucket,
        component="logs",
        statements=_log_writers(account, log_bucket),
        rules=[_colder()],
    )
    if account.settings.store.bucket is None:
        _store(account, account.settings.store.log_bucket or log_bucket, policy)
    return policy


def logs_name(account: Account) -> str:
    """Name of the bucket of logs."""
    return naming.fit(f"{account.prefix}-logs-{account.id}-{account.region}", NAME)


def evidence_prefix(account: Account) -> str:
    """Beginning of the names of buckets of evidence."""
    return f"{account.prefix}-evidence-{account.id}-"


def closed(
    account: Account,
    name: str,
    bucket: str,
    *,
    component: str,
    statements: Statements = (),
    rules: pulumi.Input[Rules] = (),
    parent: pulumi.Resource | None = None,
    identity: Identity | None = None,
    lock: aws.s3.BucketObjectLockConfigurationRuleDefaultRetentionArgsDict | None = None,
) -> aws.s3.BucketPolicy:
    """A bucket that only this account reaches, over TLS, encrypted by the platform's key, with earlier versions.

    Protected in production; elsewhere it is deleted with all that is in it.

    Arguments:
        account: where it is made.
        name: name of the Pulumi resources.
        bucket: its name.
        component: what it is part of.
        statements: what its policy says beside that.
        rules: lifecycle rules beside those of earlier versions and uploads that never ended.
        parent: component that it belongs to. Default: the platform's.
        identity: the model that it is for. Default: the platform itself.
        lock: retention (`mode` and `days`) in which no version of an object can be deleted. Default: none.

    Returns:
        Its policy, the last to be made: what comes after it finds the bucket encrypted and closed.
    """
    opts = account.options(parent=parent)
    made = aws.s3.Bucket(
        name,
        bucket=bucket,
        force_destroy=not account.settings.production,
        object_lock_enabled=None if lock is None else True,
        tags=account.tags(component, identity),
        opts=account.options(parent=parent, stored=True),
    )
    versioning = aws.s3.BucketVersioning(
        name, bucket=made.bucket, versioning_configuration={"status": "Enabled"}, opts=opts
    )
    parts: list[pulumi.Resource] = [
        versioning,
        aws.s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=made.bucket,
            rules=[
                {
                    "apply_server_side_encryption_by_default": {
                        "sse_algorithm": "aws:kms",
                        "kms_master_key_id": account.key_arn,
                    },
                    "bucket_key_enabled": True,
                }
            ],
            opts=opts,
        ),
        aws.s3.BucketPublicAccessBlock(
            name,
            bucket=made.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=opts,
        ),
        # No ACLs: what others write into the bucket is the account's.
        aws.s3.BucketOwnershipControls(
            name, bucket=made.bucket, rule={"object_ownership": "BucketOwnerEnforced"}, opts=opts
        ),
    ]
    lifecycle = pulumi.Output.from_input(rules).apply(lambda more: [*_housekeeping(), *more])
    after_versioning = account.options(parent=parent, needs=[versioning])
    aws.s3.BucketLifecycleConfiguration(name, bucket=made.bucket, rules=lifecycle, opts=after_versioning)
    if lock is not None:
        parts.append(
            aws.s3.BucketObjectLockConfiguration(
                name, bucket=made.bucket, rule={"default_retention": lock}, opts=after_versioning
            )
        )
    # S3 refuses two changes of a bucket's public access at a time.
    return aws.s3.BucketPolicy(
        name,
        bucket=made.bucket,
        policy=documents.dumps(policy(account, bucket, statements)),
        opts=account.options(parent=parent, needs=parts),
    )


def policy(account: Account, bucket: str, statements: Statements = ()) -> dict[str, Any]:
    """The policy of a bucket: nothing without TLS, nobody of another account, and some more statements."""
    everything = [arn(account, bucket), arn(account, bucket, "*")]
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": everything}
    strangers = {
        "StringNotEquals": {"aws:PrincipalAccount": account.id},
        # Services of AWS write logs; what they may is said below.
        "Bool": {"aws:PrincipalIsAWSService": "false"},
    }
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "OnlyOverTls", **deny, "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
            {"Sid": "OnlyThisAccount", **deny, "Condition": strangers},
            *statements,
        ],
    }


def arn(account: Account, bucket: str, key: str | None = None) -> str:
    """ARN of a bucket, or of objects in it."""
    return f"arn:{account.partition}:s3:::{bucket}" + ("" if key is None else f"/{key}")


def _store(account: Account, log_bucket: str, logs: pulumi.Resource) -> None:
    name = f"{account.name}-store"
    rules = pulumi.Output.from_input(None).apply(lambda _: account.expiry.rules())
    last = closed(account, name, account.bucket, component="store", rules=rules)
    opts = account.options(needs=[logs])
    aws.s3.BucketLogging(
        name, bucket=last.bucket, target_bucket=log_bucket, target_prefix=f"{ACCESS}/{account.bucket}/", opts=opts
    )
    # Rules of EventBridge tell of new objects.
    aws.s3.BucketNotification(name, bucket=last.bucket, eventbridge=True, opts=account.options())
    account.precede(last)


def _log_writers(account: Account, bucket: str) -> list[dict[str, Any]]:
    """Services that write logs, each to its own prefix and for this account only."""
    here = {"aws:SourceAccount": account.id}
    owned = {**here, "s3:x-amz-acl": "bucket-owner-full-control"}
    trail = {"ArnLike": {"aws:SourceArn": account.arn("cloudtrail", "trail/*")}}
    flows = {"ArnLike": {"aws:SourceArn": account.arn("logs", "*")}}
    whole = arn(account, bucket)
    found = [
        _writer("TrailLooks", "cloudtrail", "s3:GetBucketAcl", whole, {"StringEquals": here, **trail}),
        _writer(
            *("Trail", "cloudtrail", "s3:PutObject", arn(account, bucket, f"{TRAIL}/AWSLogs/{account.id}/*")),
            {"StringEquals": owned, **trail},
        ),
    ]
    if account.settings.network.vpc_id is None:
        found += [
            _writer(
                *("FlowsLook", "delivery.logs", ["s3:GetBucketAcl", "s3:ListBucket"], whole),
                {"StringEquals": here, **flows},
            ),
            _writer(
                *("Flows", "delivery.logs", "s3:PutObject"),
                arn(account, bucket, f"{NETWORK}/AWSLogs/{account.id}/*"),
                {"StringEquals": owned, **flows},
            ),
        ]
    if account.settings.store.bucket is None and account.settings.store.log_bucket is None:
        source = {"ArnLike": {"aws:SourceArn": account.bucket_arn}}
        objects = arn(account, bucket, f"{ACCESS}/{account.bucket}/*")
        found.append(_writer("Accesses", "logging.s3", "s3:PutObject", objects, {"StringEquals": here, **source}))
    return found


def _writer(sid: str, service: str, action: str | list[str], resource: str, condition: Any) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"Service": f"{service}.amazonaws.com"},
        "Action": action,
        "Resource": resource,
        "Condition": condition,
    }


def _housekeeping() -> Rules:
    return [
        {
            "id": "earlier-versions",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "noncurrent_version_expiration": {"noncurrent_days": EARLIER_VERSIONS},
            "expiration": {"expired_object_delete_marker": True},
        },
        {
            "id": "uploads-that-never-ended",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "abort_incomplete_multipart_upload": {"days_after_initiation": UPLOADS},
        },
    ]


def _colder() -> aws.s3.BucketLifecycleConfigurationRuleArgsDict:
    return {
        "id": "colder",
        "status": "Enabled",
        "filter": {"prefix": ""},
        "transitions": [{"days": COLD, "storage_class": "GLACIER_IR"}],
    }
