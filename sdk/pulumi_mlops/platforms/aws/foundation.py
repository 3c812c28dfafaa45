"""What all models of a platform share in an account: key, buckets, network, image repositories, MLflow, audit trail."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from pulumi_mlops.platforms.aws import keys, network, repository, storage, tracking, trail
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.spec.aws import Aws


def provider(platform: pulumi.Resource, name: str, settings: Aws) -> pulumi.ProviderResource:
    """The provider of the account and region that the settings name; it refuses every other account."""
    role = settings.assume_role
    tags = {**settings.tags, "mlops:platform": settings.prefix, "mlops:environment": pulumi.get_stack()}
    return aws.Provider(
        f"{name}-account",
        region=settings.region,
        allowed_account_ids=[settings.account],
        # As classes: what a provider is configured with travels as JSON, and plain dicts would keep Python's names.
        assume_roles=None if role is None else [aws.ProviderAssumeRoleArgs(role_arn=role)],
        default_tags=aws.ProviderDefaultTagsArgs(tags=tags),
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
