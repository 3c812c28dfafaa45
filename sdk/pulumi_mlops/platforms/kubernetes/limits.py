"""What a pipeline asks for, against what the namespace and its queue hold."""

from __future__ import annotations

from pulumi_mlops.platforms.base import PipelinePlan
from pulumi_mlops.platforms.kubernetes import dataset, pipeline, queues, workflow
from pulumi_mlops.spec.kubernetes import Kubernetes
from pulumi_mlops.spec.training import Compute


def problems(plan: PipelinePlan, settings: Kubernetes) -> list[str]:
    """What would keep a pipeline from running, a sentence each, starting with the field."""
    found = [*dataset.problems(plan.data), *compute_problems(plan.training.compute, settings)]
    asked = pipeline.asked(plan)
    found += queues.problems(settings, asked)
    quota = settings.quota
    for field, cpu, memory, gpu, _ in asked[1:]:
        found += _over(field, cpu, memory, gpu, settings)
    bounds = plan.training.distribution
    if bounds is not None and settings.queue is not None and bounds.min_workers != bounds.max_workers:
        found.append(
            f"training.distribution.min_workers: is {bounds.min_workers} and max_workers {bounds.max_workers}, and a "
            "job in a queue (platform.kubernetes.queue) is admitted with a fixed number of workers; make them the same"
        )
    if bounds is not None and bounds.checkpoints is not None and bounds.checkpoints > quota.storage:
        found.append(
            f"training.distribution.checkpoints: {bounds.checkpoints} bytes are more than "
            f"platform.kubernetes.quota.storage ({quota.storage}) allows; raise the quota or ask for less"
        )
    return found


def compute_problems(compute: Compute, settings: Kubernetes) -> list[str]:
    """What one step asks for beyond the quota of the namespace, a sentence each."""
    return _over("training.compute", compute.cpu, compute.memory, compute.gpu, settings)


def _over(field: str, cpu: float, memory: int, gpu: int, settings: Kubernetes) -> list[str]:
    # Argo's own container is in the same pod.
    cpu, memory = cpu + workflow.EXECUTOR_CPU, memory + workflow.EXECUTOR_MEMORY
    quota = settings.quota
    asked = (
        ("cpu", cpu, quota.cpu, "cores"),
        ("memory", memory, quota.memory, "bytes"),
        ("gpu", gpu, quota.gpu, "GPUs"),
    )
    return [
        f"{field}: the pods of a step ask for {wanted:g} {unit}, and platform.kubernetes.quota.{key} allows "
        f"{allowed:g}; raise the quota or ask for less"
        for key, wanted, allowed, unit in asked
        if wanted > allowed
    ]
