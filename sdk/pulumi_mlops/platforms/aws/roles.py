"""IAM roles: one for each component, with what it needs and no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import pulumi
import pulumi_aws as aws

from pulumi_mlops.platforms.aws import documents
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.spec.identity import Identity

Kind = Literal["pipeline", "endpoint", "monitor", "deployment", "events", "tracking", "evidence"]
"""What a role is for; `platform.aws.roles` may name one that exists, but for the last two."""

NAME: Final = 64
"""Longest name of a role."""


@dataclass(frozen=True)
class Allow:
    """A statement of a policy.

    Arguments:
        actions: what is allowed (`s3:GetObject`); never `*`.
        resources: ARNs that it is allowed on; `*` only where AWS knows no other (the Service Authorization Reference).
        condition: under which condition.
    """

    actions: Sequence[str]
    resources: Sequence[pulumi.Input[str]]
    condition: Mapping[str, Mapping[str, Any]] | None = None

    def document(self) -> dict[str, Any]:
        """As IAM writes it."""
        made: dict[str, Any] = {"Effect": "Allow", "Action": list(self.actions), "Resource": list(self.resources)}
        return made if self.condition is None else {**made, "Condition": dict(self.condition)}


@dataclass(frozen=True)
class Role:
    """A role that can be used.

    Arguments:
        arn: its ARN.
        needs: what must exist before it allows what it should; none for a role that exists.
    """

    arn: pulumi.Input[str]
    needs: Sequence[pulumi.Resource] = ()


def role(
    account: Account,
    name: str,
    kind: Kind,
    *,
    services: Sequence[str],
    allow: Sequence[Allow],
    parent: pulumi.Resource,
    called: Sequence[str],
    identity: Identity | None = None,
) -> Role:
    """The role of a component: the one that exists, or one that is made.

    Only services of this account may take it on (`aws:SourceAccount`: the confused deputy of the IAM User Guide).

    Arguments:
        account: where it is made.
        name: name of the Pulumi resource.
        kind: what it is for.
        services: who takes it on, such as `sagemaker` or `states`.
        allow: what it may.
        parent: component that it belongs to.
        called: parts of its name in IAM, such as the model and `pipeline`.
        identity: the model that it is for. Default: the platform itself.
    """
    settings = account.settings
    if (given := getattr(settings.roles, kind, None)) is not None:
        return Role(given)
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": [f"{service}.amazonaws.com" for service in services]},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": account.id}},
    }
    made = aws.iam.Role(
        name,
        name=account.called(*called, limit=NAME),
        assume_role_policy=documents.dumps({"Version": _VERSION, "Statement": [trust]}),
        permissions_boundary=settings.permissions_boundary,
        tags=account.tags(kind, identity),
        opts=account.options(parent=parent),
    )
    policy = aws.iam.RolePolicy(
        name,
        role=made.name,
        policy=documents.dumps(document(account, allow)),
        opts=account.options(parent=parent),
    )
    return Role(made.arn, [policy])


def document(account: Account, allow: Sequence[Allow]) -> dict[str, Any]:
    """A policy of some statements, and the refusal of every other region where the settings ask for it."""
    statements = [each.document() for each in allow]
    if account.settings.restrict_region:
        statements.append(
            {
                "Effect": "Deny",
                "NotAction": list(_GLOBAL_ACTIONS),
                "Resource": "*",
                "Condition": {"StringNotEquals": {"aws:RequestedRegion": account.region}},
            }
        )
    return {"Version": _VERSION, "Statement": statements}


_VERSION: Final = "2012-10-17"

_GLOBAL_ACTIONS: Final = ("iam:*", "sts:*", "budgets:*")
"""Of services whose requests go to another region wherever the caller is."""
