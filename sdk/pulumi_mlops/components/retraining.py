"""Continuous training."""

# Without `from __future__ import annotations`: the SDK evaluates a resource's annotations anew for each instance, and
# text would be compiled each time.

from collections.abc import Sequence

import pulumi

from pulumi_mlops.components.training import TrainingPipeline
from pulumi_mlops.platforms.base import Platform
from pulumi_mlops.spec.retraining import Retraining


class ContinuousTraining(pulumi.ComponentResource):
    """Starts the pipeline again: on schedule, on drift, on new data, or when somebody asks.

    It also keeps the schedules of the pipeline's features and batch endpoints.

    Arguments:
        name: name of the component.
        settings: the spec's `retraining` section.
        pipeline: the pipeline that is started.
        platform: where it lives.

    Outputs:
        triggers: the triggers in force, for people to read.
    """

    triggers: Sequence[str]

    def __init__(
        self,
        name: str,
        settings: Retraining,
        *,
        pipeline: TrainingPipeline,
        platform: Platform,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("mlops:index:ContinuousTraining", name, {}, opts)
        self.settings = settings
        built = platform.continuous_training(self, name, settings, pipeline.plan, pipeline.built)
        self.triggers = built.triggers
        self.register_outputs(
            {
                "triggers": self.triggers,
                "cooldown": settings.cooldown.total_seconds(),
                "model": pipeline.plan.identity.name,
            }
        )
