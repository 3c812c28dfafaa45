"""What a pipeline asks for, against what the namespace and its queue hold."""

from __future__ import annotations

from pulumi_mlops.platforms.base import PipelinePlan
from pulumi_mlops.platforms.kubernetes import dataset, pipeline, queues, ray, workflow
from pulumi_mlops.spec.kubernetes import Kubernetes
from pulumi_mlops.spec.training import Compute


def problems(plan: PipelinePlan, settings: Kubernetes) -> list[str]:
    """What would keep a pipeline from running, a sentence each, starting with the field."""
    found = [*dataset.problems(plan.data), *compute_problems(plan.training.compute, settings)]
    asked = pipeline.asked(plan)
    found += queues.problems(settings, _waiting(plan))
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


def _waiting(plan: PipelinePlan) -> list[tuple[str, float, int, int, bool]]:
    """What waits in the queue, by where it may run: steps keep off spot nodes but for the one that trains, and a Ray
    cluster but for its workers. See `queues.problems`."""
    compute, bounds = plan.training.compute, plan.training.distribution
    # Argo's own container is in the same pod.
    cpu, memory = compute.cpu + workflow.EXECUTOR_CPU, compute.memory + workflow.EXECUTOR_MEMORY
    found = [("training.compute", cpu, memory, 0, False)]
    if bounds is None:
        return [*found, ("training.compute", cpu, memory, compute.gpu, compute.spot)]
    size, field = bounds.max_workers, "training.distribution.max_workers"
    workers = (field, size * compute.cpu, size * compute.memory, size * compute.gpu, compute.spot)
    head_cpu, head_memory = ray.HEAD_CPU + compute.cpu, ray.HEAD_MEMORY + compute.memory
    if compute.spot:
        return [*found, ("training.distribution", head_cpu, head_memory, 0, False), workers]
    return [*found, (field, head_cpu + workers[1], head_memory + workers[2], workers[3], False)]


def _over(field: str, cpu: float, memory: int, gpu: int, settings: Kubernetes) -> list[str]:
    # Argo's own container is in the same pod.
    cpu, memory = cpu + workflow.EXECUTOR_CPU, memory + workflow.EXECUTOR_MEMORY_LIMIT
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
