"""The contract between components and platforms.

A component says what is wanted (its section of the spec) and what it is wired to; a platform makes the resources, as
children of the component, and hands back the facts that the component publishes. Adding a platform means subclassing
`Platform` and passing the suite in `tests/conformance`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pulumi

from pulumi_mlops.spec.code import Code
from pulumi_mlops.spec.data import Data
from pulumi_mlops.spec.delivery import Delivery
from pulumi_mlops.spec.endpoints import Endpoint as EndpointSettings
from pulumi_mlops.spec.endpoints import RestEndpoint
from pulumi_mlops.spec.evaluation import Evaluation
from pulumi_mlops.spec.features import Features
from pulumi_mlops.spec.governance import Governance
from pulumi_mlops.spec.identity import Identity
from pulumi_mlops.spec.monitors import Monitor as MonitorSettings
from pulumi_mlops.spec.platform import Platform as PlatformSettings
from pulumi_mlops.spec.registry import Registry
from pulumi_mlops.spec.retraining import Retraining
from pulumi_mlops.spec.training import Compute, Training

if TYPE_CHECKING:
    from pulumi_mlops.spec.model import Spec


@dataclass(frozen=True)
class BuiltGovernance:
    """What a platform made of the governance section.

    Arguments:
        evidence_uri: where the record of what is declared is, or None if nothing is.
    """

    evidence_uri: pulumi.Output[str | None]


@dataclass(frozen=True)
class BuiltDataset:
    """What a platform made of the data section.

    Arguments:
        uri: where snapshots live.
        fingerprints: for each source, a digest that changes when its data changes.
    """

    uri: pulumi.Output[str]
    fingerprints: pulumi.Output[Mapping[str, str]]


@dataclass(frozen=True)
class BuiltFeatureStore:
    """What a platform made of the features section.

    Arguments:
        offline_uri: where history lives.
        online_url: where the latest values are read, or None if no view is online.
    """

    offline_uri: pulumi.Output[str]
    online_url: pulumi.Output[str | None]


@dataclass(frozen=True)
class BuiltCluster:
    """What a platform made of the compute section.

    Arguments:
        uri: where training runs.
    """

    uri: pulumi.Output[str]


@dataclass(frozen=True)
class BuiltRegistry:
    """What a platform made of the registry section.

    Arguments:
        uri: where versions are registered, as an MLflow registry URI.
    """

    uri: pulumi.Output[str]


@dataclass(frozen=True)
class BuiltEndpoint:
    """What a platform made of an endpoint.

    Arguments:
        url: where predictions are asked for (rest) or found (batch, edge).
        metrics_url: where Prometheus metrics are scraped, or None.
    """

    url: pulumi.Output[str]
    metrics_url: pulumi.Output[str | None]


@dataclass(frozen=True)
class BuiltPipeline:
    """What a platform made of the training section, as of the last `up`.

    Arguments:
        definition_uri: the pipeline definition that runs are started with.
        run_id: the run that `up` started or found.
        status: succeeded, pending (waits for approval) or rejected (did not pass the gate).
        version: version that this run registered, or None.
    """

    definition_uri: pulumi.Output[str]
    run_id: pulumi.Output[str]
    status: pulumi.Output[str]
    version: pulumi.Output[int | None]


@dataclass(frozen=True)
class BuiltMonitor:
    """What a platform made of a monitor.

    Arguments:
        report_uri: where windows and alerts are recorded.
    """

    report_uri: pulumi.Output[str]


@dataclass(frozen=True)
class BuiltDelivery:
    """What a platform made of the delivery section.

    Arguments:
        identity: what the CI acts as.
    """

    identity: pulumi.Output[str]


@dataclass(frozen=True)
class PipelinePlan:
    """All that a platform needs to make a training pipeline.

    Arguments:
        identity, code, data, features, training, evaluation, registry, governance: sections of the spec.
        fingerprints: see `BuiltDataset`.
        endpoints: where an approved version goes.
        needs: components that must exist before the pipeline runs.
    """

    identity: Identity
    code: Code
    data: Data
    features: Features
    training: Training
    evaluation: Evaluation
    registry: Registry
    governance: Governance
    fingerprints: pulumi.Output[Mapping[str, str]]
    endpoints: Sequence[EndpointSettings]
    needs: Sequence[pulumi.Resource]

    @classmethod
    def of(cls, spec: Spec) -> PipelinePlan:
        """The pipeline of a spec, before anything is declared."""
        return cls(
            identity=spec.identity,
            code=spec.code,
            data=spec.data,
            features=spec.features,
            training=spec.training,
            evaluation=spec.evaluation.for_task(spec.training.task),
            registry=spec.registry,
            governance=spec.governance,
            fingerprints=pulumi.Output.from_input({}),
            endpoints=spec.endpoints,
            needs=[],
        )


class Platform(pulumi.ComponentResource, ABC):
    """Storage, identities and tracking that the other components of a stack live on.

    Outputs:
        store_uri: where artefacts live.
        tracking_uri: MLflow tracking URI.
    """

    kind: ClassVar[str]
    authenticates: ClassVar[bool] = False
    """Whether the platform itself refuses requests to endpoints of those that it does not know, token or not."""
    declared: PlatformSettings
    """The spec's `platform` section that it was made from."""
    directory: Path
    """Absolute folder that relative paths of sections start from."""
    store_uri: pulumi.Output[str]
    tracking_uri: pulumi.Output[str]

    @classmethod
    @abstractmethod
    def preflight(cls, spec: Spec) -> list[str]:
        """What would keep the spec from coming up here, a sentence each; nothing is changed."""

    @abstractmethod
    def governance(
        self, parent: pulumi.Resource, name: str, governance: Governance, identity: Identity
    ) -> BuiltGovernance:
        """Put what the governance section declares on record.

        Raises:
            pulumi.RunError: the platform can't hold what is declared.
        """

    @abstractmethod
    def dataset(self, parent: pulumi.Resource, name: str, data: Data, code: Code) -> BuiltDataset:
        """Make what the data section asks for."""

    @abstractmethod
    def feature_store(self, parent: pulumi.Resource, name: str, features: Features) -> BuiltFeatureStore:
        """Make what the features section asks for."""

    @abstractmethod
    def training_cluster(self, parent: pulumi.Resource, name: str, compute: Compute) -> BuiltCluster:
        """Make, or check for, what training may use."""

    @abstractmethod
    def model_registry(
        self, parent: pulumi.Resource, name: str, registry: Registry, identity: Identity
    ) -> BuiltRegistry:
        """Make what the registry section asks for."""

    @abstractmethod
    def endpoint(
        self, parent: pulumi.Resource, name: str, settings: EndpointSettings, identity: Identity
    ) -> BuiltEndpoint:
        """Make an endpoint; it starts with no model."""

    @abstractmethod
    def training_pipeline(self, parent: pulumi.Resource, name: str, plan: PipelinePlan) -> BuiltPipeline:
        """Make the pipeline and run it where code, data or settings have changed."""

    @abstractmethod
    def monitor(
        self,
        parent: pulumi.Resource,
        name: str,
        settings: MonitorSettings,
        endpoint: RestEndpoint,
        metrics_url: pulumi.Output[str | None],
        identity: Identity,
        *,
        retrain: bool,
    ) -> BuiltMonitor:
        """Make a monitor of a REST endpoint; `retrain` says whether its drift alerts start the pipeline."""

    @abstractmethod
    def continuous_training(
        self, parent: pulumi.Resource, name: str, settings: Retraining, plan: PipelinePlan, pipeline: BuiltPipeline
    ) -> None:
        """Make the triggers of a pipeline, and the schedules of its features and batch endpoints."""

    @abstractmethod
    def delivery(self, parent: pulumi.Resource, name: str, settings: Delivery, identity: Identity) -> BuiltDelivery:
        """Make the identity that CI changes the stack with.

        Raises:
            pulumi.RunError: the platform knows no identities.
        """
