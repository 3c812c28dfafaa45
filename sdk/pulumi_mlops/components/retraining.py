"""Continuous training."""

# Without `from __future__ import annotations`: the SDK evaluates a resource's annotations anew for each instance, and
# text would be compiled each time.

from collections.abc import Sequence

import pulumi

from pulumi_mlops.components.facts import stated
from pulumi_mlops.components.training import TrainingPipeline
from pulumi_mlops.platforms.base import Platform
from pulumi_mlops.spec.retraining import Retraining, Triggers


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
        in_force = _in_force(settings.triggers)
        published = stated(
            {
                "model": pipeline.plan.identity.name,
                "triggers": in_force,
                "cooldown": settings.cooldown.total_seconds(),
                "overdue": settings.overdue and settings.overdue.total_seconds(),
                # Whatever starts a run, it ends at the pipeline's gate and the registry's approval.
                "gated": True,
                "approval": pipeline.plan.registry.approval,
                "alerts": [alert.fact() for alert in settings.alerts],
            }
        )
        super().__init__("mlops:index:ContinuousTraining", name, published, opts)
        self.settings = settings
        self.triggers = in_force
        platform.continuous_training(self, name, settings, pipeline.plan, pipeline.built)
        self.register_outputs(published)


def _in_force(triggers: Triggers) -> list[str]:
    return [
        "manual",
        *([f"schedule {triggers.schedule}"] if triggers.schedule else []),
        *(f"drift:{monitor}" for monitor in triggers.drift),
        *([f"new-data:{triggers.new_data.source}"] if triggers.new_data else []),
    ]
