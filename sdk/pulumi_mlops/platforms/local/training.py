"""Training on this machine: the pipeline runner, within limits that the machine can hold."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pulumi

from pulumi_mlops.platforms.base import BuiltCluster, BuiltPipeline, PipelinePlan
from pulumi_mlops.platforms.definition import definition
from pulumi_mlops.platforms.local.preflight import compute_problems
from pulumi_mlops.platforms.local.resources import PipelineRun
from pulumi_mlops.spec.training import Compute

if TYPE_CHECKING:
    from pulumi_mlops.platforms.local.platform import LocalPlatform


def build_cluster(name: str, compute: Compute) -> BuiltCluster:
    """Refuse what this machine does not have; there is nothing to make.

    Raises:
        pulumi.RunError: fewer cores or less memory than asked for.
    """
    if problems := compute_problems(compute):
        raise pulumi.RunError(f"{name}: " + "; ".join(problems))
    return BuiltCluster(uri=pulumi.Output.from_input(f"process://{os.uname().nodename}"))


def build_pipeline(platform: LocalPlatform, parent: pulumi.Resource, name: str, plan: PipelinePlan) -> BuiltPipeline:
    """Run the pipeline where something changed, and wait for it."""
    document = definition(
        plan,
        store=platform.layout.root,
        min_free_disk=platform.settings.min_free_disk,
        directory=platform.directory,
        secret=platform.secrets.reference,
    )
    platform.claim("model", plan.identity.name, name)
    run = PipelineRun(
        f"{name}-run",
        root=platform.store.root,
        model=plan.identity.name,
        definition=document.model_dump_json(),
        code=platform.digest_of_code(document),
        fingerprints=plan.fingerprints,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[*plan.needs, *platform.secrets.resources]),
    )
    return BuiltPipeline(
        definition_uri=run.definition_path.apply(lambda path: f"file://{path}"),
        run_id=run.run_id,
        status=run.status,
        version=run.version,
    )
