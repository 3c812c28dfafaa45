"""What training may use, and the pipeline that makes models."""

# Without `from __future__ import annotations`: the SDK evaluates a resource's annotations anew for each instance, and
# text would be compiled each time.

from collections.abc import Sequence
from typing import Any

import pulumi

from pulumi_mlops.components.dataset import Dataset
from pulumi_mlops.components.endpoint import Endpoint
from pulumi_mlops.components.facts import facts, stated
from pulumi_mlops.components.feature_store import FeatureStore
from pulumi_mlops.components.governance import Governance
from pulumi_mlops.components.model_registry import ModelRegistry
from pulumi_mlops.platforms.base import PipelinePlan, Platform
from pulumi_mlops.spec.evaluation import Evaluation
from pulumi_mlops.spec.features import Features
from pulumi_mlops.spec.governance import Governance as GovernanceSettings
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
        published = facts(settings)
        super().__init__("mlops:index:TrainingCluster", name, published, opts)
        self.settings = settings
        self.uri = platform.training_cluster(self, name, settings).uri
        self.register_outputs({**published, "uri": self.uri})


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
        governance: what the model card says of it, and how long versions stay. Default: nothing is promised.
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
        governance: Governance | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        if cluster is not None:
            settings = settings.model_copy(update={"compute": cluster.settings})
        judged = (evaluation or Evaluation()).for_task(settings.task)
        published = {
            "model": registry.identity.name,
            **_facts(settings, judged),
            "endpoints": [endpoint.settings.name for endpoint in endpoints],
            "approval": registry.settings.approval,
        }
        super().__init__("mlops:index:TrainingPipeline", name, published, opts)
        self.settings = settings
        parts = (data, registry, features, cluster, governance, *endpoints)
        self.plan = PipelinePlan(
            identity=registry.identity,
            code=data.code,
            data=data.settings,
            features=features.settings if features else Features(),
            training=settings,
            evaluation=judged,
            registry=registry.settings,
            governance=governance.settings if governance else GovernanceSettings(),
            fingerprints=data.fingerprints,
            endpoints=[endpoint.settings for endpoint in endpoints],
            needs=[part for part in parts if part is not None],
        )
        self.built = platform.training_pipeline(self, name, self.plan)
        self.definition_uri, self.run_id = self.built.definition_uri, self.built.run_id
        self.status, self.version = self.built.status, self.built.version
        self.register_outputs(
            {
                **published,
                "definitionUri": self.definition_uri,
                "runId": self.run_id,
                "status": self.status,
                "version": self.version,
            }
        )


def _facts(settings: Training, evaluation: Evaluation) -> dict[str, Any]:
    return stated(
        {
            "task": settings.task,
            "source": settings.source,
            "estimator": settings.estimator,
            "function": settings.function,
            "seed": settings.seed,
            "split": facts(settings.split),
            "evaluation": {
                "metrics": evaluation.metrics,
                "primary": evaluation.primary,
                "floors": evaluation.floors,
                "segments": [facts(segment) for segment in evaluation.segments],
                "champion": evaluation.champion is not None,
                "importance": evaluation.importance,
            },
        }
    )
