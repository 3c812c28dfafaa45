"""A spec's pipeline definition without a stack, to run the runtime's steps by themselves."""

from __future__ import annotations

from pathlib import Path

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
    placement = Placement(
        store=store,
        directory=spec.directory,
        secret=lambda reference: reference,
        min_free_disk=spec.platform.local.min_free_disk,
    )
    return definition(PipelinePlan.of(spec), placement)
