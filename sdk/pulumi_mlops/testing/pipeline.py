"""A spec's pipeline definition without a stack, to run the runtime's steps by themselves."""

from __future__ import annotations

from pathlib import Path

import pulumi

from mlops_runtime.definition import Definition
from pulumi_mlops.platforms.base import PipelinePlan
from pulumi_mlops.platforms.definition import Placement, definition
from pulumi_mlops.spec.model import Spec


def pipeline_definition(spec: Spec, store: Path) -> Definition:
    """The pipeline definition of a spec, as the local platform would compile it.

    Arguments:
        spec: the spec.
        store: data directory of the runs, instead of the spec's.
    """
    plan = PipelinePlan(
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
    placement = Placement(
        store=store,
        directory=spec.directory,
        secret=lambda reference: reference,
        min_free_disk=spec.platform.local.min_free_disk,
    )
    return definition(plan, placement)
