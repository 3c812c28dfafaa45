"""The embedded platform: a data directory, and services under a supervisor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pulumi

from mlops_runtime.code import digest_of_code
from mlops_runtime.definition import DataDefinition
from mlops_runtime.stores.layout import Store as StoreLayout
from pulumi_mlops.platforms import base
from pulumi_mlops.platforms.local import (
    dataset,
    endpoint,
    feature_store,
    monitor,
    preflight,
    retraining,
    training,
)
from pulumi_mlops.platforms.local.resources import Service, Store, Supervisor
from pulumi_mlops.platforms.local.secrets import SecretFiles
from pulumi_mlops.spec.code import Code
from pulumi_mlops.spec.data import Data
from pulumi_mlops.spec.endpoints import Endpoint, RestEndpoint
from pulumi_mlops.spec.features import Features
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
        super().__init__("mlops:index:LocalPlatform", name, {}, opts)
        self.declared = settings or PlatformSettings()
        self.settings = self.declared.local
        self.directory = (directory or Path.cwd()).resolve()
        self.layout = StoreLayout((self.directory / self.settings.data_dir.expanduser()).resolve())
        root = str(self.layout.root)
        child = pulumi.ResourceOptions(parent=self)
        self.store = Store(f"{name}-store", root=root, opts=child)
        self.supervisor = Supervisor(
            f"{name}-supervisor",
            root=self.store.root,
            log_size=self.settings.logs.max_size,
            logs_kept=self.settings.logs.keep,
            opts=child,
        )
        self.secrets = SecretFiles(self, root)
        self._taken: dict[str, str] = {}
        self._digests: dict[tuple[Path, tuple[str, ...]], str] = {}
        self.store_uri = self.store.root.apply(lambda path: Path(path).as_uri())
        self.tracking_uri = self.store.root.apply(lambda path: StoreLayout(Path(path)).tracking_uri)
        self.tracking_url: pulumi.Output[str | None] = pulumi.Output.from_input(None)
        if self.settings.tracking.ui is not None:
            port = self.settings.tracking.ui.port
            ui = self.service(
                self,
                f"{name}-tracking-ui",
                service="tracking-ui",
                arguments=[
                    *("-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
                    *("--backend-store-uri", self.layout.tracking_uri),
                    *("--default-artifact-root", self.layout.artifacts.as_uri()),
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
                "kind": self.kind,
                "storeUri": self.store_uri,
                "trackingUri": self.tracking_uri,
                "trackingUrl": self.tracking_url,
            }
        )

    def service(
        self,
        parent: pulumi.Resource,
        name: str,
        *,
        service: str,
        arguments: list[str],
        config: str,
        port: int | None = None,
        ready_path: str | None = None,
        environment: dict[str, str] | None = None,
        stop_seconds: float = 10.0,
        needs: list[pulumi.Resource] | None = None,
    ) -> Service:
        """A supervised process of this platform; see `resources.Service` for the arguments.

        Raises:
            pulumi.RunError: another component of the platform has a service of that name.
        """
        self.claim("service", service, name)
        return Service(
            name,
            root=self.store.root,
            service=service,
            arguments=arguments,
            config=config,
            port=port,
            ready_path=ready_path,
            environment=environment,
            stop_seconds=stop_seconds,
            opts=pulumi.ResourceOptions(parent=parent, depends_on=[self.supervisor, *(needs or [])]),
        )

    def digest_of_code(self, definition: DataDefinition) -> str:
        """Digest of the user's code, read once however many models of the platform share it."""
        key = (definition.code.directory, tuple(definition.code.include))
        if key not in self._digests:
            self._digests[key] = digest_of_code(definition)
        return self._digests[key]

    def claim(self, kind: str, name: str, component: str, settings: object = None) -> None:
        """Take a name in the data directory, which components of several models may share.

        Arguments:
            kind: what is named.
            name: its name.
            component: name of the component that takes it.
            settings: what it is made from; the same thing may be taken twice.

        Raises:
            pulumi.RunError: another component has something else of that name.
        """
        value = f"{component}" if settings is None else f"{settings!r}"
        article = "an" if kind[0] in "aeiou" else "a"
        if self._taken.setdefault(f"{kind} {name}", value) != value:
            raise pulumi.RunError(
                f"{component}: this platform has {article} {kind} {name} already; give it another name"
            )

    @classmethod
    def preflight(cls, spec: Spec) -> list[str]:
        """See `base.Platform.preflight`."""
        return preflight.problems(spec)

    def dataset(self, parent: pulumi.Resource, name: str, data: Data, code: Code) -> base.BuiltDataset:
        """See `base.Platform.dataset`."""
        return dataset.build(self, parent, name, data, code)

    def feature_store(self, parent: pulumi.Resource, name: str, features: Features) -> base.BuiltFeatureStore:
        """See `base.Platform.feature_store`."""
        return feature_store.build(self, features)

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
        return endpoint.build(self, parent, name, settings, identity)

    def training_pipeline(self, parent: pulumi.Resource, name: str, plan: base.PipelinePlan) -> base.BuiltPipeline:
        """See `base.Platform.training_pipeline`."""
        return training.build_pipeline(self, parent, name, plan)

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
        return monitor.build(self, parent, name, settings, endpoint, identity, retrain=retrain)

    def continuous_training(
        self,
        parent: pulumi.Resource,
        name: str,
        settings: Retraining,
        plan: base.PipelinePlan,
        pipeline: base.BuiltPipeline,
    ) -> base.BuiltContinuousTraining:
        """See `base.Platform.continuous_training`."""
        return retraining.build(self, parent, name, settings, plan, pipeline)
