"""The embedded platform: a data directory, and services under a supervisor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pulumi

from mlops_runtime.stores.layout import Store as StoreLayout
from pulumi_mlops.platforms import base
from pulumi_mlops.platforms.local import (
    dataset,
    endpoint,
    feature_store,
    governance,
    monitor,
    preflight,
    retraining,
    training,
)
from pulumi_mlops.platforms.local.host import Host
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


class LocalPlatform(base.Platform):
    """The embedded platform: real processes on this machine, bound to loopback.

    Arguments:
        name: name of the component.
        settings: the spec's `platform` section.
        directory: folder that relative paths of sections start from. Default: the working directory.

    Attributes:
        data_dir: absolute path of the data directory.

    Outputs:
        store_uri: the data directory, as a `file://` URI.
        tracking_uri: MLflow tracking URI (SQLite in the data directory).
        tracking_url: MLflow's web UI, or None.
    """

    kind: ClassVar[str] = "local"

    def __init__(
        self,
        name: str,
        settings: PlatformSettings | None = None,
        *,
        directory: Path | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        published = {"kind": self.kind, "network": {"bind": "127.0.0.1"}}
        super().__init__("mlops:index:LocalPlatform", name, published, opts)
        del self.__dict__["kind"]  # the SDK's output in front of the class's own attribute
        self.declared = settings or PlatformSettings()
        self.directory = (directory or Path.cwd()).resolve()
        self.host = Host(self, name, self.declared.local, self.directory)
        self.data_dir = self.host.layout.root
        self.store_uri = self.host.store.root.apply(lambda path: Path(path).as_uri())
        self.tracking_uri = self.host.store.root.apply(lambda path: StoreLayout(Path(path)).tracking_uri)
        self.tracking_url: pulumi.Output[str | None] = pulumi.Output.from_input(None)
        if self.declared.local.tracking.ui is not None:
            port = self.declared.local.tracking.ui.port
            ui = self.host.service(
                self,
                f"{name}-tracking-ui",
                service="tracking-ui",
                arguments=[
                    *("-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
                    *("--backend-store-uri", self.host.layout.tracking_uri),
                    *("--default-artifact-root", self.host.layout.artifacts.as_uri()),
                ],
                config="{}",
                port=port,
                ready_path="/health",
                # Without it MLflow starts fifteen processes.
                environment={"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            )
            self.tracking_url = ui.status.apply(lambda _: f"http://127.0.0.1:{port}")
        self.register_outputs(
            {
                **published,
                "storeUri": self.store_uri,
                "trackingUri": self.tracking_uri,
                "trackingUrl": self.tracking_url,
            }
        )

    @classmethod
    def preflight(cls, spec: Spec) -> list[str]:
        """See `base.Platform.preflight`."""
        return preflight.problems(spec)

    def governance(
        self, parent: pulumi.Resource, name: str, settings: Governance, identity: Identity
    ) -> base.BuiltGovernance:
        """See `base.Platform.governance`."""
        return governance.build(self.host, parent, name, settings, identity)

    def dataset(self, parent: pulumi.Resource, name: str, data: Data, code: Code) -> base.BuiltDataset:
        """See `base.Platform.dataset`."""
        return dataset.build(self.host, parent, name, data, code)

    def feature_store(self, parent: pulumi.Resource, name: str, features: Features) -> base.BuiltFeatureStore:
        """See `base.Platform.feature_store`."""
        return feature_store.build(self.host, features)

    def training_cluster(self, parent: pulumi.Resource, name: str, compute: Compute) -> base.BuiltCluster:
        """See `base.Platform.training_cluster`."""
        return training.build_cluster(name, compute)

    def model_registry(
        self, parent: pulumi.Resource, name: str, registry: Registry, identity: Identity
    ) -> base.BuiltRegistry:
        """See `base.Platform.model_registry`: the registry is in the tracking database, which needs no server."""
        return base.BuiltRegistry(uri=self.tracking_uri)

    def endpoint(
        self, parent: pulumi.Resource, name: str, settings: Endpoint, identity: Identity
    ) -> base.BuiltEndpoint:
        """See `base.Platform.endpoint`."""
        return endpoint.build(self.host, parent, name, settings, identity)

    def training_pipeline(self, parent: pulumi.Resource, name: str, plan: base.PipelinePlan) -> base.BuiltPipeline:
        """See `base.Platform.training_pipeline`."""
        return training.build_pipeline(self.host, parent, name, plan)

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
        return monitor.build(self.host, parent, name, settings, endpoint, identity, retrain=retrain)

    def continuous_training(
        self,
        parent: pulumi.Resource,
        name: str,
        settings: Retraining,
        plan: base.PipelinePlan,
        pipeline: base.BuiltPipeline,
    ) -> None:
        """See `base.Platform.continuous_training`."""
        retraining.build(self.host, parent, name, settings, plan, pipeline)

    def delivery(
        self, parent: pulumi.Resource, name: str, settings: Delivery, identity: Identity
    ) -> base.BuiltDelivery:
        """See `base.Platform.delivery`.

        Raises:
            pulumi.RunError: always; this machine knows no identities.
        """
        raise pulumi.RunError(f"{name}: {preflight.DELIVERY}")
