"""An account and region of AWS, as the components of one platform share it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pulumi

from pulumi_mlops.platforms.aws.expiry import Expiry
from pulumi_mlops.platforms.aws.names import Names
from pulumi_mlops.platforms.claims import Claims
from pulumi_mlops.spec.aws import Aws
from pulumi_mlops.spec.governance import Governance
from pulumi_mlops.spec.identity import Identity


class Account(Names):
    """What the components of an AWS platform are made on.

    Arguments:
        platform: the platform's component, parent of what they share.
        name: its name.
        settings: the spec's `platform.aws` section.
        directory: absolute folder that relative paths of sections start from.
        provider: the AWS provider.

    Attributes:
        key_arn, bucket, vpc, tracking_arn: what the platform's foundation made or was given; see `foundation`.
        governance: the governance section of each model, by the model's name.
        endpoints: the endpoints that are made, by their names in SageMaker.
        packages: what deletes a model's packages with the stack, by the model's name; who registers some needs it.
        expiry: ages at which objects of the store are deleted; see `expire`.
        claim: take a name that components of several models may share; see `Claims.claim`.
    """

    key_arn: pulumi.Output[str]
    """The key that encrypts everything."""

    bucket: str
    """Name of the bucket that artefacts are in."""

    subnet_ids: pulumi.Output[Sequence[str]]
    """Private subnets of jobs and endpoints."""

    security_group_id: pulumi.Output[str]
    """Security group of jobs and endpoints: no way in, and out to the VPC endpoints only."""

    tracking_arn: str
    """The MLflow tracking server; also its tracking URI (plugin `sagemaker-mlflow`)."""

    tracking: Sequence[pulumi.Resource]
    """What must exist before a run is recorded; nothing where the server exists."""

    def __init__(
        self,
        platform: pulumi.Resource,
        name: str,
        settings: Aws,
        directory: Path,
        provider: pulumi.ProviderResource,
    ) -> None:
        super().__init__(settings)
        self.platform, self.name, self.directory = platform, name, directory
        self.provider = provider
        self.claim = Claims().claim
        self.governance: dict[str, Governance] = {}
        self.endpoints: dict[str, pulumi.Resource] = {}
        self.packages: dict[str, pulumi.Resource] = {}
        self.tracking: Sequence[pulumi.Resource] = ()
        self.expiry = Expiry()
        self._first: list[pulumi.Resource] = []

    @property
    def store_uri(self) -> str:
        """Where artefacts live, as an `s3://` URI."""
        return f"s3://{self.bucket}/{self.prefix}"

    def object_arn(self, path: str) -> str:
        """ARN of objects of the store; `path` may end with `*`."""
        return f"arn:{self.partition}:s3:::{self.bucket}/{self.key(path)}"

    @property
    def bucket_arn(self) -> str:
        """ARN of the bucket."""
        return f"arn:{self.partition}:s3:::{self.bucket}"

    def tags(self, component: str, identity: Identity | None = None) -> dict[str, str]:
        """Tags of a resource, beside those of the provider.

        Arguments:
            component: what it is part of (`store`, `pipeline`, `endpoint`, `monitor`, …).
            identity: the model that it is for. Default: the platform itself, which several models share.
        """
        made = {"mlops:component": component, "mlops:platform": self.prefix}
        if identity is None:
            return made
        contact = {} if identity.contact is None else {"mlops:contact": identity.contact}
        declared = self.governance.get(identity.name)
        own = {} if declared is None else declared.tags
        return {**own, **made, "mlops:model": identity.name, "mlops:owner": identity.owner, **contact}

    def expire(self, path: str, age: timedelta) -> None:
        """Have S3 delete objects of the store at an age, such as captured requests.

        Nothing happens where the bucket exists: what is deleted in it is its owner's to say.

        Arguments:
            path: beginning of their paths, below the platform's prefix (`captures/delay/`).
            age: time since they were written, in whole days.
        """
        if self.settings.store.bucket is None:
            self.expiry.after(self.key(path), age)

    def precede(self, resource: pulumi.Resource) -> None:
        """Make a resource that all later resources depend on."""
        self._first.append(resource)

    def options(
        self,
        *,
        parent: pulumi.Resource | None = None,
        needs: Sequence[pulumi.Resource] = (),
        ignore: Sequence[str] = (),
        stored: bool = False,
        **more: Any,
    ) -> pulumi.ResourceOptions:
        """Options of a resource.

        Arguments:
            parent: component that it belongs to. Default: the platform's.
            needs: what must exist before.
            ignore: properties that somebody else owns.
            stored: whether it holds data or models: protected in production, so that nobody deletes it by mistake.
            more: other options.
        """
        return pulumi.ResourceOptions(
            parent=parent or self.platform,
            provider=self.provider,
            depends_on=[*self._first, *needs],
            ignore_changes=list(ignore) or None,
            protect=True if stored and self.settings.production else None,
            **more,
        )

    @property
    def bucket_definition(self) -> dict[str, Any]:
        """The store, as `mlops_runtime.definition.Bucket`."""
        return {"uri": self.store_uri, "endpoint_url": None}

    def environment(self, **more: str) -> Mapping[str, str]:
        """Environment of a container that runs the runtime."""
        return {"AWS_REGION": self.region, "AWS_DEFAULT_REGION": self.region, **more}
