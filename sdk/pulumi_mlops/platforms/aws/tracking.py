"""MLflow, managed by SageMaker: the one that exists, or one that is made."""

from __future__ import annotations

import pulumi_aws as aws

from pulumi_mlops.platforms.aws import access, roles
from pulumi_mlops.platforms.aws.account import Account

ARTIFACTS = "mlflow"
"""Where in the store the server keeps artefacts."""


def build(account: Account) -> None:
    """Make the tracking server (some 25 minutes), which reaches its part of the store and nothing else.

    Runs wait for it: it is in `account.tracking`.
    """
    settings = account.settings.tracking
    if settings.server_arn is not None:
        return
    name = f"{account.name}-tracking"
    role = roles.role(
        account,
        name,
        "tracking",
        services=["sagemaker"],
        allow=[
            *access.read_store(account, f"{ARTIFACTS}/*"),
            *access.write_store(account, f"{ARTIFACTS}/*"),
            *access.use_key(account),
        ],
        parent=account.platform,
        called=["tracking"],
    )
    server = aws.sagemaker.MlflowTrackingServer(
        name,
        tracking_server_name=account.called(),
        tracking_server_size=settings.size,
        artifact_store_uri=f"{account.store_uri}/{ARTIFACTS}",
        # The pipeline registers versions itself, with their evidence.
        automatic_model_registration=False,
        role_arn=role.arn,
        tags=account.tags("tracking"),
        opts=account.options(needs=role.needs, stored=True),
    )
    account.tracking = [server]
