"""MLflow, managed by SageMaker: the one that exists, or one that is made."""

from __future__ import annotations

from typing import Final

import pulumi_aws as aws

from pulumi_mlops.platforms.aws import access, roles
from pulumi_mlops.platforms.aws.account import Account

ARTIFACTS: Final = "mlflow"
"""Where in the store the server keeps artefacts of experiments that others make."""

RECORDED: Final = "artifacts"
"""Where pipelines keep what they record of their runs: reports, figures, cards."""


def build(account: Account) -> None:
    """Make the tracking server (some 25 minutes), which reaches its part of the store, and shows what runs recorded.

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
            *access.read_store(account, f"{ARTIFACTS}/*", f"{RECORDED}/*"),
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
