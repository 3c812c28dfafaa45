"""Names and ARNs of what a platform makes in an account; the spec alone tells them, so that commands know them too."""

from __future__ import annotations

from typing import Final

from pulumi_mlops.platforms import naming
from pulumi_mlops.spec.aws import Aws

NAME: Final = 63
"""Longest name of most things in SageMaker."""

JOB_LOGS: Final = {
    "ProcessingJob": "/aws/sagemaker/ProcessingJobs",
    "TrainingJob": "/aws/sagemaker/TrainingJobs",
}
"""Log groups of an account's jobs by their kind; see `logs`."""

_PARTITIONS: Final = {"cn": "aws-cn", "us-gov": "aws-us-gov"}

_GLOBAL: Final = ("iam", "budgets")
"""Services whose ARNs name no region."""


class Names:
    """What things are called.

    Arguments:
        settings: the spec's `platform.aws` section.

    Attributes:
        id: the account.
        region: the region.
        prefix: beginning of all names.
    """

    def __init__(self, settings: Aws) -> None:
        self.settings = settings
        self.id, self.region, self.prefix = settings.account, settings.region, settings.prefix

    @property
    def partition(self) -> str:
        """The partition of the region: `aws`, `aws-cn` or `aws-us-gov`."""
        return next((found for start, found in _PARTITIONS.items() if self.region.startswith(f"{start}-")), "aws")

    @property
    def domain(self) -> str:
        """Domain of AWS in the partition."""
        return "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"

    def key(self, path: str) -> str:
        """Key of an object of the store: `path` below the platform's prefix."""
        return f"{self.prefix}/{path}"

    def arn(self, service: str, resource: str) -> str:
        """ARN of something in this account and region, such as `arn("sagemaker", "pipeline/mlops-delay")`."""
        region = "" if service in _GLOBAL else self.region
        return f"arn:{self.partition}:{service}:{region}:{self.id}:{resource}"

    def called(self, *parts: str, limit: int = NAME) -> str:
        """A name of this platform: its prefix and `parts`, no longer than `limit`."""
        return naming.fit("-".join((self.prefix, *parts)), limit)

    def store_bucket(self) -> str:
        """The bucket that artefacts are in: the one that exists, or the one that is made (names of buckets are
        everybody's, so account and region are in it)."""
        return self.settings.store.bucket or naming.fit(f"{self.prefix}-{self.id}-{self.region}", NAME)

    def tracking_server(self) -> str:
        """ARN of the MLflow tracking server: the one that exists, or the one that is made."""
        return self.settings.tracking.server_arn or self.arn("sagemaker", f"mlflow-tracking-server/{self.called()}")
