"""The registry on AWS: MLflow's for the record, and SageMaker's for approval, which is what deploys a version.

The pipeline's last step puts each version that passed the gate into the model's package group. Whoever may change a
package's status approves it, by `mlops approve` or in the console; CloudTrail keeps who did.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from pulumi_mlops.platforms.aws import card, leftovers
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.base import BuiltRegistry
from pulumi_mlops.spec.identity import Identity
from pulumi_mlops.spec.registry import Registry

_PRINCIPAL: Final = re.compile(r"arn:aws(-cn|-us-gov)?:iam::(?P<account>[0-9]{12}):(role|user)/.+")

_DESCRIPTION: Final = 1024
"""Characters of a group's description."""


def build(
    account: Account, parent: pulumi.Resource, name: str, settings: Registry, identity: Identity
) -> BuiltRegistry:
    """The model's package group and its card.

    Approvers who are named by the ARN of their role or user are allowed to see and decide on the group's packages, from
    another account too. Those who are named otherwise need that in their own policies.

    Arguments:
        account: where it is.
        parent: component that it belongs to.
        name: its name.
        settings: the spec's `registry` section.
        identity: the model.
    """
    group = aws.sagemaker.ModelPackageGroup(
        f"{name}-packages",
        model_package_group_name=account.called(identity.name),
        model_package_group_description=_allowed(identity.purpose)[:_DESCRIPTION],
        tags=account.tags("registry", identity),
        opts=account.options(parent=parent, stored=True),
    )
    # Protected as the group is, not left out, in production: what is left out is deleted, and the packages with it.
    account.packages[identity.name] = leftovers.ModelPackages(
        f"{name}-packages",
        account,
        group=account.called(identity.name),
        opts=account.options(parent=parent, needs=[group], stored=True),
    )
    if principals := [each for each in settings.approvers if _PRINCIPAL.fullmatch(each)]:
        aws.sagemaker.ModelPackageGroupPolicy(
            f"{name}-packages",
            model_package_group_name=group.model_package_group_name,
            resource_policy=json.dumps(_policy(account, identity, principals)),
            opts=account.options(parent=parent),
        )
    card.build(account, parent, name, settings.card, identity)
    return BuiltRegistry(uri=pulumi.Output.from_input(account.tracking_arn))


def _policy(account: Account, identity: Identity, principals: list[str]) -> dict[str, Any]:
    group = account.called(identity.name)
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "SeeVersions",
                "Effect": "Allow",
                "Principal": {"AWS": principals},
                "Action": ["sagemaker:DescribeModelPackageGroup", "sagemaker:ListModelPackages"],
                "Resource": account.arn("sagemaker", f"model-package-group/{group}"),
            },
            {
                "Sid": "DecideOnVersions",
                "Effect": "Allow",
                "Principal": {"AWS": principals},
                "Action": ["sagemaker:DescribeModelPackage", "sagemaker:UpdateModelPackage"],
                "Resource": account.arn("sagemaker", f"model-package/{group}/*"),
            },
        ],
    }


def _allowed(text: str) -> str:
    """A text without the characters that SageMaker's descriptions can't have, which are those that control printers."""
    return "".join(character if character.isprintable() else " " for character in text)
