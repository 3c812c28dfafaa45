"""What training may use, and the pipeline that makes models."""

# Without `from __future__ import annotations`: the SDK evaluates a resource's annotations anew for each instance, and
# text would be compiled each time.

from collections.abc import Sequence

import pulumi

from pulumi_mlops.components.dataset import Dataset
from pulumi_mlops.components.endpoint import Endpoint
from pulumi_mlops.components.feature_store import FeatureStore
from pulumi_mlops.components.model_registry import ModelRegistry
from pulumi_mlops.platforms.base import PipelinePlan, Platform
from pulumi_mlops.spec.evaluation import Evaluation
from pulumi_mlops.spec.features import Features
from pulumi_mlops.spec.training import Compute, Training


class TrainingCluster(pulumi.ComponentResource):
    """What training may use: cores, memory, time.

    Arguments:
        name: name of the component.
        settings: the spec's `training.compute` section.
        platform: where it lives.

    Outputs:
        uri: where training runs.
    """

    uri: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        settings: Compute,
        *,
        platform: Platform,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("mlops:index:TrainingCluster", name, {}, opts)
        self.settings = settings
        self.uri = platform.training_cluster(self, name, settings).uri
        self.register_outputs(
            {
                "uri": self.uri,
                "cpu": settings.cpu,
                "memory": settings.memory,
                "timeLimit": settings.time_limit.total_seconds(),
            }
        )


class TrainingPipeline(pulumi.ComponentResource):
    """Ingest, verify, featurize, train, evaluate, validate, register, deploy: run when code, data or settings change.

    Arguments:
        name: name of the component.
        settings: the spec's `training` section.
        data: the sources.
        registry: where versions are registered.
        evaluation: metrics and the gate. Default: the section's defaults.
        features: feature store whose views are joined. Default: none.
        cluster: what a run may use, instead of `settings.compute`. Default: none.
        endpoints: where an approved version goes. Default: nowhere.
        platform: where it lives.

    Outputs:
        definition_uri: the pipeline definition that runs are started with.
        run_id: the run that the last `up` started or found.
        status: how it ended: succeeded, pending (waits for approval) or rejected (did not pass the gate).
        version: version that it registered, or None.
    """

    definition_uri: pulumi.Output[str]
    run_id: pulumi.Output[str]
    status: pulumi.Output[str]
    version: pulumi.Output[int | None]

    def __init__(
        self,
        name: str,
        settings: Training,
        *,
        data: Dataset,
        registry: ModelRegistry,
        platform: Platform,
        evaluation: Evaluation | None = None,
        features: FeatureStore | None = None,
        cluster: TrainingCluster | None = None,
        endpoints: Sequence[Endpoint] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("mlops:index:TrainingPipeline", name, {}, opts)
        if cluster is not None:
            settings = settings.model_copy(update={"compute": cluster.settings})
        self.settings = settings
        self.plan = PipelinePlan(
            identity=registry.identity,
            code=data.code,
            data=data.settings,
            features=features.settings if features else Features(),
            training=settings,
            evaluation=(evaluation or Evaluation()).for_task(settings.task),
            registry=registry.settings,
            fingerprints=data.fingerprints,
            endpoints=[endpoint.settings for endpoint in endpoints],
            needs=[data, registry, *([features] if features else []), *([cluster] if cluster else []), *endpoints],
        )
        self.built = platform.training_pipeline(self, name, self.plan)
        self.definition_uri, self.run_id = self.built.definition_uri, self.built.run_id
        self.status, self.version = self.built.status, self.built.version
        self.register_outputs(
            {
                "definitionUri": self.definition_uri,
                "runId": self.run_id,
                "status": self.status,
                "version": self.version,
                "model": registry.identity.name,
            }
        )
