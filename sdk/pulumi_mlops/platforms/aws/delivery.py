"""Who may change the stack from CI: a role that the workflows of one repository take on, by their OIDC token.

CI changes what belongs to models: pipelines, endpoints, monitors, their alarms and schedules, by the platform's names.
What all of them stand on (keys, buckets, network, repositories, trail) it can read, and not make, change or delete: a
model's first locked bucket, or the key of its first edge endpoint, is brought up by a person. It gives
nobody rights: roles and their policies are changed by it only below a permissions boundary
(`platform.aws.permissions_boundary`), which it can't take off; without one, a person applies such a change first.

IAM knows a provider of tokens once for an account. It is made with the first stack that delivers; where it exists, the
settings name it (`platform.aws.oidc_provider_arn`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from pulumi_mlops.platforms.aws import delivery_rights, documents, roles
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.base import BuiltDelivery
from pulumi_mlops.spec.delivery import Delivery
from pulumi_mlops.spec.identity import Identity


@dataclass(frozen=True)
class _Issuer:
    """Who issues the tokens of a CI.

    Arguments:
        host: its host, which conditions are named by.
        audience: whom its tokens are for.
    """

    host: str
    audience: str


_ISSUERS: Final = {
    # The action that takes on roles asks for this audience.
    "github": _Issuer("token.actions.githubusercontent.com", "sts.amazonaws.com"),
    # `id_tokens: {TOKEN: {aud: https://gitlab.com}}` in the job.
    "gitlab": _Issuer("gitlab.com", "https://gitlab.com"),
}

PATH: Final = "/delivery/"
"""Path of the role and its policies in IAM."""

_POLICY_NAME: Final = 128

SESSION: Final = 3600
"""Seconds for which a workflow holds the role: an `up` may wait long for an endpoint or MLflow."""


def build(
    account: Account, parent: pulumi.Resource, name: str, settings: Delivery, identity: Identity
) -> BuiltDelivery:
    """Let the workflows of a repository change the stack; the last to be made.

    Where the stack is changed by a role of its account (`platform.aws.assume_role`), CI may take on that role and
    nothing else: what may be changed is that role's, whose trust policy names this one.
    """
    account.claim("delivery", identity.name, name)
    issuer = _ISSUERS[settings.provider]
    trust = {
        "Effect": "Allow",
        "Principal": {"Federated": _provider(account, issuer)},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {
                f"{issuer.host}:aud": issuer.audience,
                f"{issuer.host}:sub": settings.subjects,
            }
        },
    }
    made = aws.iam.Role(
        f"{name}-delivery",
        name=account.called(identity.name, "delivery", limit=roles.NAME),
        # Apart from the stack's other roles, so that CI's right to change those is none to change its own.
        path=PATH,
        description=f"Changes the stack of the model {identity.name} from {settings.repository}",
        assume_role_policy=documents.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        max_session_duration=SESSION,
        permissions_boundary=account.settings.permissions_boundary,
        tags=account.tags("delivery", identity),
        opts=account.options(parent=parent),
    )
    for part, allow in delivery_rights.of(account).items():
        policy = aws.iam.Policy(
            f"{name}-delivery-{part}",
            name=account.called(identity.name, "delivery", part, limit=_POLICY_NAME),
            path=PATH,
            policy=documents.dumps(roles.document(account, allow)),
            tags=account.tags("delivery", identity),
            opts=account.options(parent=parent),
        )
        aws.iam.RolePolicyAttachment(
            f"{name}-delivery-{part}", role=made.name, policy_arn=policy.arn, opts=account.options(parent=parent)
        )
    return BuiltDelivery(identity=made.arn)


def _provider(account: Account, issuer: _Issuer) -> pulumi.Input[str]:
    """ARN of the provider of tokens: the one that exists, or the one that is made, once for all models."""
    if account.settings.oidc_provider_arn is not None:
        return account.settings.oidc_provider_arn
    if account.claim("provider of tokens", issuer.host, account.name, settings=issuer):
        aws.iam.OpenIdConnectProvider(
            f"{account.name}-{issuer.host.split('.')[-2]}",
            url=f"https://{issuer.host}",
            client_id_lists=[issuer.audience],
            tags=account.tags("delivery"),
            opts=account.options(),
        )
    return account.arn("iam", f"oidc-provider/{issuer.host}")
