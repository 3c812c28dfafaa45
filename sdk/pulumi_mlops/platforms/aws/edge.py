"""Edge endpoints: bundles in the bucket, signed by a key of their own whose private half never leaves KMS.

The pipeline `follow_up` exports a version's bundle once it is deployed and signs it; a device verifies it by
`mlops_runtime/edge/verify.py` and the public key. The key is named by its alias, which is known before AWS makes it.
"""

from __future__ import annotations

import pulumi

from pulumi_mlops.platforms.aws import keys
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.aws.names import Names
from pulumi_mlops.platforms.aws.roles import Allow
from pulumi_mlops.spec.endpoints import EdgeEndpoint
from pulumi_mlops.spec.identity import Identity


def build(account: Account, parent: pulumi.Resource, name: str, settings: EdgeEndpoint, identity: Identity) -> None:
    """Make what signs an endpoint's bundles."""
    keys.signing_key(account, parent, f"{name}-signature", identity, called=_named(identity.name, settings.name))


def signing_key(names: Names, model: str, endpoint: str) -> str:
    """ARN of the alias of the key that signs an endpoint's bundles."""
    return names.arn("kms", alias(names, model, endpoint))


def alias(names: Names, model: str, endpoint: str) -> str:
    """That alias."""
    return f"alias/{names.called(_named(model, endpoint))}"


def sign(account: Account, model: str, endpoints: list[str]) -> list[Allow]:
    """Sign bundles of a model's edge endpoints."""
    if not endpoints:
        return []
    aliases = [alias(account, model, endpoint) for endpoint in endpoints]
    # IAM knows keys by what AWS calls them, which is known later; what they are called here is a condition.
    condition = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": aliases}}
    return [Allow(["kms:Sign"], [account.arn("kms", "key/*")], condition)]


def _named(model: str, endpoint: str) -> str:
    return f"{model}-{endpoint}-signature"
