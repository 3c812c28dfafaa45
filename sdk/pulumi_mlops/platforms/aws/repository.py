"""Repositories of container images in Amazon ECR, for the images that the platform keeps itself."""

from __future__ import annotations

import json
from typing import Final

import pulumi_aws as aws

from pulumi_mlops.platforms.aws.account import Account

UNTAGGED: Final = 14
"""Days after which images without a tag are deleted."""


def build(account: Account) -> None:
    """Make the repositories below the platform's prefix that images of the spec are in.

    A repository elsewhere (another account's, or another name) exists and is its owner's. One of ours is empty at
    first: `up` makes it before anything that runs an image, stops at the first endpoint until the images are pushed,
    and goes on when it is run again. `mlops preflight` says which images are missing.
    """
    policy = json.dumps({"rules": [_expiry()]}, sort_keys=True)
    for called in ours(account):
        name = f"{account.name}-images-{called.removeprefix(f'{account.prefix}/').replace('/', '-')}"
        made = aws.ecr.Repository(
            name,
            name=called,
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration={"scan_on_push": True},
            encryption_configurations=[{"encryption_type": "KMS", "kms_key": account.key_arn}],
            force_delete=not account.settings.production,
            tags=account.tags("images"),
            opts=account.options(stored=True),
        )
        aws.ecr.LifecyclePolicy(name, repository=made.name, policy=policy, opts=account.options())


def ours(account: Account) -> list[str]:
    """Names of the repositories in this account and region, and below the platform's prefix, that images are in."""
    images = account.settings.images
    found = (getattr(images, name) for name in type(images).model_fields)
    registry = f"{account.id}.dkr.ecr.{account.region}.{account.domain}/"
    names = {image.removeprefix(registry) for image in found if image is not None and image.startswith(registry)}
    return sorted({each.partition("@")[0].partition(":")[0] for each in names if each.startswith(f"{account.prefix}/")})


def _expiry() -> dict[str, object]:
    # Images that an index names are kept with it, tagged or not.
    selection = {
        "tagStatus": "untagged",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": UNTAGGED,
    }
    return {
        "rulePriority": 1,
        "description": "images without a tag",
        "selection": selection,
        "action": {"type": "expire"},
    }
