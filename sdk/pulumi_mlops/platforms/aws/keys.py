"""Keys of AWS KMS: the one that encrypts everything, and those that sign bundles for devices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from pulumi_mlops.platforms.aws import documents
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.spec.identity import Identity

WINDOW: Final = 7
WINDOW_IN_PRODUCTION: Final = 30
"""Days between the deletion of a key and its end, in which it can be had back (KMS allows 7 to 30)."""

_ENCRYPT: Final = ("kms:Decrypt", "kms:GenerateDataKey*")


def build(account: Account) -> pulumi.Output[str]:
    """The key that encrypts everything: the one that exists, or one that is made and rotated each year."""
    settings = account.settings
    if settings.key_arn is not None:
        return pulumi.Output.from_input(settings.key_arn)
    name = f"{account.name}-key"
    made = aws.kms.Key(
        name,
        description=f"Encrypts what the MLOps platform {account.prefix} stores and logs",
        enable_key_rotation=True,
        deletion_window_in_days=_window(account),
        policy=documents.dumps(policy(account)),
        # EventBridge encrypts connections to webhooks only by keys with this tag.
        tags={**account.tags("key"), "EventBridgeApiDestinations": "true"},
        opts=account.options(stored=True),
    )
    _alias(account, name, account.prefix, made, account.options())
    return made.arn


def signing_key(
    account: Account, parent: pulumi.Resource, name: str, identity: Identity, *, called: str
) -> aws.kms.Key:
    """An asymmetric key (ECC_NIST_P256) that signs the bundles of an edge endpoint.

    The private half never leaves KMS; devices verify with the public one (`kms:GetPublicKey`). KMS can't rotate such a
    key: another one is made by renaming the endpoint, so that devices know by which they verify.

    Arguments:
        account: where it is made.
        parent: the endpoint's component.
        name: name of the Pulumi resource.
        identity: the model that it is for.
        called: with the platform's prefix, the key's alias.
    """
    made = aws.kms.Key(
        name,
        description=f"Signs bundles of the model {identity.name}",
        customer_master_key_spec="ECC_NIST_P256",
        key_usage="SIGN_VERIFY",
        deletion_window_in_days=_window(account),
        policy=documents.dumps({"Version": _VERSION, "Statement": [_owned(account)]}),
        tags=account.tags("signature", identity),
        opts=account.options(parent=parent, stored=True),
    )
    _alias(account, name, account.called(called), made, account.options(parent=parent))
    return made


def policy(account: Account) -> dict[str, Any]:
    """Who may use the key: whom IAM allows it in the account, and the services that encrypt with it by themselves.

    Each service may only for this account and for what is the platform's own. S3's User Guide calls KMS keys of buckets
    that take access logs unsupported; S3 delivers with a key whose policy lets `logging.s3.amazonaws.com` use it, and
    the trail records the same accesses.
    """
    logs = f"logs.{account.region}.{account.domain}"
    groups = {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": account.arn("logs", "log-group:*")}}
    trails = {
        "StringEquals": {"aws:SourceAccount": account.id},
        "StringLike": {"kms:EncryptionContext:aws:cloudtrail:arn": account.arn("cloudtrail", "trail/*")},
    }
    here = {"StringEquals": {"aws:SourceAccount": account.id}}
    statements = [
        _owned(account),
        _used("CloudWatchLogs", logs, ("kms:Encrypt", "kms:ReEncrypt*", "kms:DescribeKey", *_ENCRYPT), groups),
        _used("CloudTrail", "cloudtrail.amazonaws.com", _ENCRYPT[1:], trails),
        _used("CloudTrailLooksAtTheKey", "cloudtrail.amazonaws.com", ("kms:DescribeKey",), here),
        # Alarms publish to encrypted topics, and topics send to encrypted queues.
        _used("Publishers", ["cloudwatch.amazonaws.com", "sns.amazonaws.com"], _ENCRYPT, here),
        # So do rules; EventBridge names no source to KMS (SNS Developer Guide, "Key management"), and the topics' own
        # policies say whose rules may.
        _used("Rules", "events.amazonaws.com", _ENCRYPT, {}),
        _used("LogsInBuckets", ["delivery.logs.amazonaws.com", "logging.s3.amazonaws.com"], _ENCRYPT, here),
    ]
    return {"Version": _VERSION, "Statement": statements}


def _owned(account: Account) -> dict[str, Any]:
    # Without it nobody could change the key any more (KMS Developer Guide, "Default key policy").
    return {
        "Sid": "AccountByIam",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:{account.partition}:iam::{account.id}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }


def _used(
    sid: str, services: str | list[str], actions: tuple[str, ...], condition: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"Service": services},
        "Action": list(actions),
        "Resource": "*",  # the key that the policy is of
        **({"Condition": condition} if condition else {}),
    }


def _alias(account: Account, name: str, called: str, key: aws.kms.Key, opts: pulumi.ResourceOptions) -> None:
    aws.kms.Alias(name, name=f"alias/{called}", target_key_id=key.key_id, opts=opts)


def _window(account: Account) -> int:
    return WINDOW_IN_PRODUCTION if account.settings.production else WINDOW


_VERSION: Final = "2012-10-17"
