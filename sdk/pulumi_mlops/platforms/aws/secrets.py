"""Secrets that jobs read: in AWS Secrets Manager, under a name of the user's or one of ours."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import pulumi
import pulumi_aws as aws

from pulumi_mlops.platforms import naming
from pulumi_mlops.platforms.aws import documents
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.platforms.aws.names import Names
from pulumi_mlops.platforms.aws.roles import Allow

_KEY: Final = "value"
"""Key of the secrets that are made."""

_RECOVERY_DAYS: Final = 30
"""Days in which a secret of production can be had back after it was deleted."""


def problem(reference: str) -> str | None:
    """Why a reference of the spec can't hold in a job; None where it can."""
    if reference.partition(":")[0] in ("pulumi", "secret"):
        return None
    return (
        f"{reference}: a job does not read this machine; put the secret into AWS Secrets Manager and write "
        "secret:NAME/KEY, or into the stack's configuration and write pulumi:KEY"
    )


def reference(names: Names, declared: str) -> str:
    """The reference that the runtime resolves in a job, for one of the spec.

    Arguments:
        names: of the platform.
        declared: `secret:NAME/KEY` or `pulumi:KEY`.

    Raises:
        pulumi.RunError: it is another one.
    """
    if (found := problem(declared)) is not None:
        raise pulumi.RunError(found)
    kind, _, rest = declared.partition(":")
    return f"secretsmanager:{_called(names, rest)}/{_KEY}" if kind == "pulumi" else f"secretsmanager:{rest}"


def build(account: Account, references: Iterable[str]) -> list[pulumi.Resource]:
    """The secrets that some references need and that are not there yet: those of the stack's configuration."""
    made: list[pulumi.Resource] = []
    for declared in dict.fromkeys(references):
        kind, _, rest = declared.partition(":")
        called = _called(account, rest)
        if kind != "pulumi" or not account.claim("secret", called, account.name, called):
            continue
        value = pulumi.Config().require_secret(rest)
        name = f"{account.name}-secret-{called.removeprefix(f'{account.prefix}-')}"
        secret = aws.secretsmanager.Secret(
            name,
            name=called,
            kms_key_id=account.key_arn,
            # With a window, `destroy` and `up` would find the name taken.
            recovery_window_in_days=_RECOVERY_DAYS if account.settings.production else 0,
            tags=account.tags("secrets"),
            opts=account.options(),
        )
        version = aws.secretsmanager.SecretVersion(
            name,
            secret_id=secret.id,
            secret_string=documents.dumps({_KEY: value}),
            opts=account.options(),
        )
        made.append(version)
    return made


def read(account: Account, references: Iterable[str]) -> list[Allow]:
    """Read the secrets of some references."""
    names = sorted({reference(account, each).removeprefix("secretsmanager:").rpartition("/")[0] for each in references})
    # Secrets Manager puts six characters of its own behind a name.
    arns = [account.arn("secretsmanager", f"secret:{name}-??????") for name in names]
    return [Allow(["secretsmanager:GetSecretValue"], arns)] if arns else []


def _called(names: Names, key: str) -> str:
    readable = re.sub(r"[^a-z0-9-]+", "-", key.lower()).strip("-")
    # Keys hold more characters than names: the digest tells aB from a.b.
    return names.called(f"{readable}-{naming.digest(key)}")
