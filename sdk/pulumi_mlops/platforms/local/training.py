"""Training on this machine: the pipeline runner, within limits that the machine can hold."""

from __future__ import annotations

import os

import pulumi

from pulumi_mlops.platforms.base import BuiltCluster, BuiltPipeline, PipelinePlan
from pulumi_mlops.platforms.definition import Placement, definition
from pulumi_mlops.platforms.local.host import Host
from pulumi_mlops.platforms.local.preflight import compute_problems, distribution_problems
from pulumi_mlops.platforms.local.resources import PipelineRun
from pulumi_mlops.spec.training import Compute


def build_cluster(name: str, compute: Compute) -> BuiltCluster:
    """Refuse what this machine does not have; there is nothing to make.

    Raises:
        pulumi.RunError: fewer cores or less memory than asked for.
    """
    if problems := compute_problems(compute):
        raise pulumi.RunError(f"{name}: " + "; ".join(problems))
    return BuiltCluster(uri=pulumi.Output.from_input(f"process://{os.uname().nodename}"))


def build_pipeline(host: Host, parent: pulumi.Resource, name: str, plan: PipelinePlan) -> BuiltPipeline:
    """Run the pipeline where something changed, and wait for it.

    Raises:
        pulumi.RunError: it is declared for several machines.
    """
    if problems := distribution_problems(plan.training):
        raise pulumi.RunError(f"{name}: " + "; ".join(problems))
    document = definition(
        plan,
        Placement(
            store=host.layout.root,
            directory=host.directory,
            secret=host.secrets.reference,
            min_free_disk=host.settings.min_free_disk,
        ),
    )
    host.claim("model", plan.identity.name, name)
    run = PipelineRun(
        f"{name}-run",
        root=host.store.root,
        model=plan.identity.name,
        definition=document.model_dump_json(),
        code=host.digest_of_code(document),
        fingerprints=plan.fingerprints,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[*plan.needs, *host.secrets.resources]),
    )
    return BuiltPipeline(
        definition_uri=run.definition_path.apply(lambda path: f"file://{path}"),
        run_id=run.run_id,
        status=run.status,
        version=run.version,
    )
