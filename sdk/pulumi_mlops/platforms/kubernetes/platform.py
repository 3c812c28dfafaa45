"""The platform `kubernetes`: a namespace of a cluster, on the engines that people already run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pulumi

from pulumi_mlops.platforms import base
from pulumi_mlops.platforms.kubernetes import (
    dataset,
    delivery,
    endpoint,
    feature_store,
    foundation,
    governance,
    guard,
    monitor,
    preflight,
    registry,
    retraining,
    tracking,
    training,
)
from pulumi_mlops.platforms.kubernetes.cluster import Cluster
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


class KubernetesPlatform(base.Platform):
    """A namespace with what all models in it share: limits, network policies, MLflow, the feature server.

    Arguments:
        name: name of the component.
        settings: the spec's `platform` section, of kind `kubernetes`.
        directory: folder that relative paths of sections start from. Default: the working directory.
        provider: the Kubernetes provider. Default: one for `context`, or the ambient one.

    Outputs:
        store_uri: the bucket and prefix, as an `s3://` URI.
        tracking_uri: MLflow as pods reach it.
        namespace: the namespace.

    Raises:
        pulumi.RunError: the settings are those of another platform.
    """

    kind: ClassVar[str] = "kubernetes"

    def __init__(
        self,
        name: str,
        settings: PlatformSettings,
        *,
        directory: Path | None = None,
        provider: pulumi.ProviderResource | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        chosen = settings.kubernetes
        if chosen is None:
            raise pulumi.RunError(f"{name}: the platform section has no settings for kubernetes")
        published = {
            "kind": self.kind,
            "network": {"policy": "default-deny"},
            "namespace": chosen.namespace,
            "production": chosen.production,
        }
        super().__init__("mlops:index:KubernetesPlatform", name, published, opts)
        del self.__dict__["kind"]  # the SDK's output in front of the class's own attribute
        self.declared = settings
        self.directory = (directory or Path.cwd()).resolve()
        provider = provider or foundation.provider(self, name, chosen)
        self.cluster = Cluster(self, name, chosen, self.directory, provider)
        foundation.build(self.cluster)
        tracking.build(self.cluster)
        self.store_uri = pulumi.Output.from_input(chosen.store.uri)
        self.tracking_uri = pulumi.Output.from_input(self.cluster.tracking_uri)
        self.namespace = pulumi.Output.from_input(chosen.namespace)
        self.register_outputs(
            {
                **published,
                "storeUri": self.store_uri,
                "trackingUri": self.tracking_uri,
            }
        )

    @classmethod
    def preflight(cls, spec: Spec) -> list[str]:
        """See `base.Platform.preflight`."""
        return preflight.problems(spec) or guard.problems(spec)

    def governance(
        self, parent: pulumi.Resource, name: str, settings: Governance, identity: Identity
    ) -> base.BuiltGovernance:
        """See `base.Platform.governance`."""
        return governance.build(self.cluster, parent, name, settings, identity)

    def dataset(self, parent: pulumi.Resource, name: str, data: Data, code: Code) -> base.BuiltDataset:
        """See `base.Platform.dataset`."""
        return dataset.build(self.cluster, parent, name, data)

    def feature_store(self, parent: pulumi.Resource, name: str, features: Features) -> base.BuiltFeatureStore:
        """See `base.Platform.feature_store`."""
        return feature_store.build(self.cluster, parent, name, features)

    def training_cluster(self, parent: pulumi.Resource, name: str, compute: Compute) -> base.BuiltCluster:
        """See `base.Platform.training_cluster`."""
        return training.build_cluster(self.cluster, parent, name, compute)

    def model_registry(
        self, parent: pulumi.Resource, name: str, settings: Registry, identity: Identity
    ) -> base.BuiltRegistry:
        """See `base.Platform.model_registry`."""
        with self.cluster.of(identity):
            return registry.build(self.cluster, parent, name, settings, identity)

    def endpoint(
        self, parent: pulumi.Resource, name: str, settings: Endpoint, identity: Identity
    ) -> base.BuiltEndpoint:
        """See `base.Platform.endpoint`."""
        with self.cluster.of(identity):
            return endpoint.build(self.cluster, parent, name, settings, identity)

    def training_pipeline(self, parent: pulumi.Resource, name: str, plan: base.PipelinePlan) -> base.BuiltPipeline:
        """See `base.Platform.training_pipeline`."""
        with self.cluster.of(plan.identity):
            return training.build_pipeline(self.cluster, parent, name, plan)

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
        with self.cluster.of(identity):
            return monitor.build(self.cluster, parent, name, settings, endpoint, identity, retrain=retrain)

    def continuous_training(
        self,
        parent: pulumi.Resource,
        name: str,
        settings: Retraining,
        plan: base.PipelinePlan,
        pipeline: base.BuiltPipeline,
    ) -> None:
        """See `base.Platform.continuous_training`."""
        with self.cluster.of(plan.identity):
            retraining.build(self.cluster, parent, name, settings, plan)

    def delivery(
        self, parent: pulumi.Resource, name: str, settings: Delivery, identity: Identity
    ) -> base.BuiltDelivery:
        """See `base.Platform.delivery`."""
        with self.cluster.of(identity):
            return delivery.build(self.cluster, parent, name, settings, identity)
