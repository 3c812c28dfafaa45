"""What a stack asks of its namespace's quota when all runs: servers at their most, and one run of the pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pulumi_mlops.platforms.base import PipelinePlan
from pulumi_mlops.platforms.kubernetes import endpoint_limits, feature_store, pipeline, tracking, workflow
from pulumi_mlops.spec.endpoints import RestEndpoint
from pulumi_mlops.spec.kubernetes import Kubernetes

if TYPE_CHECKING:
    from pulumi_mlops.spec.model import Spec


@dataclass(frozen=True)
class Demand:
    """What a part asks for.

    Arguments:
        part: what it is, by its field.
        cpu: CPU cores, all its pods together.
        memory: bytes.
        gpu: GPUs.
        pods: pods.
        storage: bytes of volumes.
    """

    part: str
    cpu: float
    memory: int
    gpu: int = 0
    pods: int = 1
    storage: int = 0


def of(spec: Spec, plan: PipelinePlan, settings: Kubernetes) -> Iterator[Demand]:
    """What each part of a stack asks for at most."""
    if settings.tracking.uri is None:
        servers = tracking.replicas(settings)
        yield Demand(
            "platform.kubernetes.images.mlflow", servers * tracking.CPU, servers * tracking.MEMORY, pods=servers
        )
    if settings.tracking.volume is not None:
        yield Demand(
            "platform.kubernetes.tracking.volume",
            tracking.POSTGRES_CPU,
            tracking.POSTGRES_MEMORY,
            storage=settings.tracking.volume,
        )
    if settings.online_store is not None and any(view.online for view in spec.features.views.values()):
        # A new one starts before an old one ends.
        servers = settings.online_store.replicas + 1
        yield Demand(
            "platform.kubernetes.online_store",
            servers * feature_store.CPU,
            servers * feature_store.MEMORY,
            pods=servers,
        )
    for endpoint in spec.endpoints:
        if isinstance(endpoint, RestEndpoint):
            # While a new version is tried, or takes over, a server of it runs beside the others.
            servers = endpoint_limits.scale(endpoint, settings).max + 1
            asked = endpoint.resources
            yield Demand(f"endpoints.{endpoint.name}", servers * asked.cpu, servers * asked.memory, pods=servers)
    field, cpu, memory, gpu, _ = max(pipeline.asked(plan), key=lambda job: job[1:4])
    workers = 0 if plan.training.distribution is None else plan.training.distribution.max_workers
    yield Demand(
        field,
        cpu + workflow.EXECUTOR_CPU,
        memory + workflow.EXECUTOR_MEMORY_LIMIT,
        gpu,
        pods=1 + (workers and workers + 2),
    )


def problems(spec: Spec, plan: PipelinePlan, settings: Kubernetes) -> list[str]:
    """Where the quota of the namespace is smaller than what the whole stack asks for."""
    parts = list(of(spec, plan, settings))
    quota = settings.quota
    allowed: Mapping[str, tuple[float, str]] = {
        "cpu": (quota.cpu, "cores"),
        "memory": (quota.memory, "bytes"),
        "gpu": (quota.gpu, "GPUs"),
        "pods": (quota.pods, "pods"),
        "storage": (quota.storage, "bytes"),
    }
    found = []
    for key, (most, unit) in allowed.items():
        asked = {part.part: getattr(part, key) for part in parts if getattr(part, key)}
        total = sum(asked.values())
        if total > most:
            by_part = ", ".join(f"{part} {_number(value, unit)}" for part, value in asked.items())
            found.append(
                f"platform.kubernetes.quota.{key}: {_number(most, unit)} {unit}, and the stack asks for "
                f"{_number(total, unit)} ({by_part}); raise the quota, or ask for less"
            )
    return found


def _number(value: Any, unit: str) -> str:
    return f"{value / 2**30:.2f}Gi" if unit == "bytes" else f"{value:g}"
