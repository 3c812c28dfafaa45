"""The platform `aws`: SageMaker's managed engines in one account and region."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pulumi

from pulumi_mlops.platforms import base
from pulumi_mlops.platforms.aws import (
    dataset,
    delivery,
    endpoint,
    feature_store,
    foundation,
    governance,
    monitor,
    preflight,
    registry,
    retraining,
    training,
)
from pulumi_mlops.platforms.aws.account import Account
from pulumi_mlops.spec.code import Code
from pulumi_mlops.spec.data import Data
from pulumi_mlops.spec.delivery import Delivery
from pulumi_mlops.spec.endpoints import Endpoint, RestEndpoint
from pulumi_mlops.spec.features import Features
from pulumi_mlops.spec.governance import Governance
from pulumi_mlops.spec.identity import Identity
from pulumi_mlops.spec.monitors import Monitor
from pulumi_mlops.spec.platform import Platform as PlatformSettings
from pulumi_mlops.spec.registry import Registry
from pulumi_mlops.spec.retraining import Retraining
from pulumi_mlops.spec.training import Compute

if TYPE_CHECKING:
    from pulumi_mlops.spec.model import Spec


class AwsPlatform(base.Platform):
    """What all models of a platform share in an account: key, bucket, network, image repository, MLflow.

    Arguments:
        name: name of the component.
        settings: the spec's `platform` section, of kind `aws`.
        directory: folder that relative paths of sections start from. Default: the working directory.
        provider: the AWS provider, of the account and region of the settings. Default: one is made.

    Outputs:
        store_uri: bucket and prefix, as an `s3://` URI.
        tracking_uri: ARN of the MLflow tracking server.
        key_arn: the key that encrypts everything.

    Raises:
        pulumi.RunError: the settings are those of another platform.
    """

    kind: ClassVar[str] = "aws"
    authenticates: ClassVar[bool] = True  # SageMaker checks the signature of every request by IAM

    def __init__(
        self,
        name: str,
        settings: PlatformSettings,
        *,
        directory: Path | None = None,
        provider: pulumi.ProviderResource | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        chosen = settings.aws
        if chosen is None:
            raise pulumi.RunError(f"{name}: the platform section has no settings for aws")
        published = {
            "kind": self.kind,
            "network": {"policy": "private"},
            "account": chosen.account,
            "region": chosen.region,
            "production": chosen.production,
        }
        super().__init__("mlops:index:AwsPlatform", name, published, opts)
        del self.__dict__["kind"]  # the SDK's output in front of the class's own attribute
        self.declared = settings
        self.directory = (directory or Path.cwd()).resolve()
        provider = provider or foundation.provider(self, name, chosen)
        self.account = Account(self, name, chosen, self.directory, provider)
        foundation.build(self.account)
        self.store_uri = pulumi.Output.from_input(self.account.store_uri)
        self.tracking_uri = pulumi.Output.from_input(self.account.tracking_arn)
        self.key_arn = self.account.key_arn
        self.register_outputs(
            {**published, "storeUri": self.store_uri, "trackingUri": self.tracking_uri, "keyArn": self.key_arn}
        )

    @classmethod
    def preflight(cls, spec: Spec) -> list[str]:
        """See `base.Platform.preflight`."""
        return preflight.problems(spec)

    def governance(
        self, parent: pulumi.Resource, name: str, settings: Governance, identity: Identity
    ) -> base.BuiltGovernance:
        """See `base.Platform.governance`."""
        return governance.build(self.account, parent, name, settings, identity)

    def dataset(self, parent: pulumi.Resource, name: str, data: Data, code: Code) -> base.BuiltDataset:
        """See `base.Platform.dataset`."""
        return dataset.build(self.account, parent, name, data)

    def feature_store(self, parent: pulumi.Resource, name: str, features: Features) -> base.BuiltFeatureStore:
        """See `base.Platform.feature_store`."""
        return feature_store.build(self.account, parent, name, features)

    def training_cluster(self, parent: pulumi.Resource, name: str, compute: Compute) -> base.BuiltCluster:
        """See `base.Platform.training_cluster`."""
        return training.build_cluster(self.account, parent, name, compute)

    def model_registry(
        self, parent: pulumi.Resource, name: str, settings: Registry, identity: Identity
    ) -> base.BuiltRegistry:
        """See `base.Platform.model_registry`."""
        return registry.build(self.account, parent, name, settings, identity)

    def endpoint(
        self, parent: pulumi.Resource, name: str, settings: Endpoint, identity: Identity
    ) -> base.BuiltEndpoint:
        """See `base.Platform.endpoint`."""
        return endpoint.build(self.account, parent, name, settings, identity)

    def training_pipeline(self, parent: pulumi.Resource, name: str, plan: base.PipelinePlan) -> base.BuiltPipeline:
        """See `base.Platform.training_pipeline`."""
        return training.build_pipeline(self.account, parent, name, plan)

    def monitor(
        self,
        parent: pulumi.Resource,
        name: str,
        settings: Monitor,
        endpoint: RestEndpoint,
        metrics_url: pulumi.Output[str | None],
        identity: Identity,
        *,
        retrain: bool,
    ) -> base.BuiltMonitor:
        """See `base.Platform.monitor`."""
        return monitor.build(self.account, parent, name, settings, endpoint, identity, retrain=retrain)

    def continuous_training(
        self,
        parent: pulumi.Resource,
        name: str,
        settings: Retraining,
        plan: base.PipelinePlan,
        pipeline: base.BuiltPipeline,
    ) -> None:
        """See `base.Platform.continuous_training`."""
        retraining.build(self.account, parent, name, settings, plan)

    def delivery(
        self, parent: pulumi.Resource, name: str, settings: Delivery, identity: Identity
    ) -> base.BuiltDelivery:
        """See `base.Platform.delivery`."""
        return delivery.build(self.account, parent, name, settings, identity)
