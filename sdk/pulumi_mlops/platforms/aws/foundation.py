"""What all models of a platform share in an account: key, buckets, network, image repositories, MLflow, audit trail."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from pulumi_mlops.platforms.aws import keys, network, repository, storage, tracking, trail
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.spec.aws import Aws


def provider(platform: pulumi.Resource, name: str, settings: Aws) -> pulumi.ProviderResource:
    """The provider of the account and region that the settings name; it refuses every other account."""
    return aws.Provider(
        f"{name}-account",
        region=settings.region,
        allowed_account_ids=[settings.account],
        assume_roles=None if settings.assume_role is None else [{"role_arn": settings.assume_role}],
        default_tags={"tags": {"mlops:platform": settings.prefix}},
        opts=pulumi.ResourceOptions(parent=platform),
    )


def build(account: Account) -> None:
    """Make what is not given, in the order in which it is needed, and set what `Account` declares."""
    account.bucket, account.tracking_arn = account.store_bucket(), account.tracking_server()
    account.key_arn = keys.build(account)
    logs = storage.build(account)
    network.build(account, logs)
    repository.build(account)
    trail.build(account, logs)
    tracking.build(account)
