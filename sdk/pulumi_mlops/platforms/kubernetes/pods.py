"""Pods of ours: without privileges (Pod Security Standards, `restricted`), with limits, spread where it matters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pulumi_mlops.platforms.kubernetes import names
from pulumi_mlops.spec.kubernetes import Kubernetes

USER: Final = 65532
"""User and group of our images (`images/`)."""

POD_SECURITY: Final[dict[str, Any]] = {
    "runAsNonRoot": True,
    "runAsUser": USER,
    "runAsGroup": USER,
    "fsGroup": USER,
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""`spec.securityContext` of every pod (Pod Security Standards, profile restricted)."""

CONTAINER_SECURITY: Final[dict[str, Any]] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    # Also of the container: KServe's runtimes have no security context of the pod.
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""`securityContext` of every container."""

GPU: Final = "nvidia.com/gpu"

ZONE: Final = "topology.kubernetes.io/zone"
REGION: Final = "topology.kubernetes.io/region"
HOST: Final = "kubernetes.io/hostname"


SCRATCH: Final = "1Gi"
"""Most that a server keeps in `/tmp`."""


def scratch(size: str = SCRATCH) -> dict[str, Any]:
    """The volume behind `/tmp`.

    Arguments:
        size: the most that it may hold; a pod with more in it is evicted.
    """
    return {"name": "tmp", "emptyDir": {"sizeLimit": size}}


def resources(cpu: float, memory: int, *, gpu: int = 0, disk: int | None = None) -> dict[str, Any]:
    """Requests and limits of a container.

    Arguments:
        cpu: cores, requested and limited alike.
        memory: bytes, requested and limited alike.
        gpu: GPUs.
        disk: bytes of ephemeral storage.
    """
    asked: dict[str, str] = {"cpu": quantity(cpu), "memory": str(memory)}
    limits: dict[str, str] = {"cpu": quantity(cpu), "memory": str(memory)}
    if disk is not None:
        asked["ephemeral-storage"] = limits["ephemeral-storage"] = str(disk)
    if gpu:
        asked[GPU] = limits[GPU] = str(gpu)
    return {"requests": asked, "limits": limits}


def quantity(cpu: float) -> str:
    """Cores as Kubernetes writes them: whole, or in thousandths."""
    return str(int(cpu)) if float(cpu).is_integer() else f"{round(cpu * 1000)}m"


def container(
    name: str,
    image: str,
    *,
    resources: Mapping[str, Any],
    args: Sequence[str] = (),
    command: Sequence[str] = (),
    env: Sequence[Mapping[str, Any]] = (),
    mounts: Sequence[Mapping[str, Any]] = (),
    **more: Any,
) -> dict[str, Any]:
    """A container of a pod; `more` are further fields, such as ports and probes. Only `/tmp` is writable."""
    made: dict[str, Any] = {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent" if "@sha256:" in image else "Always",
        "resources": dict(resources),
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, *map(dict, mounts)],  # noqa: S108 - a mount of its own
        **more,
    }
    for field, value in (("command", list(command)), ("args", list(args)), ("env", list(map(dict, env)))):
        if value:
            made[field] = value
    return made


def spec(
    containers: Sequence[Mapping[str, Any]],
    *,
    account: str,
    volumes: Sequence[Mapping[str, Any]] = (),
    token: bool = False,
    placement: Mapping[str, Any] | None = None,
    scratch_size: str = SCRATCH,
    **more: Any,
) -> dict[str, Any]:
    """A pod's `spec`; `more` are further fields.

    Arguments:
        containers: see `container`.
        account: service account.
        volumes: beside `/tmp`.
        token: whether it speaks to the API server.
        placement: see `placement`.
        scratch_size: see `scratch`.
    """
    return {
        "serviceAccountName": account,
        "automountServiceAccountToken": token,
        "enableServiceLinks": False,
        "securityContext": POD_SECURITY,
        "containers": list(map(dict, containers)),
        "volumes": [scratch(scratch_size), *map(dict, volumes)],
        **(placement or {}),
        **more,
    }


def priority_class(settings: Kubernetes, use: str) -> str:
    """Name of the priority class of pods for some use (`serving`, `training`); the namespace tells it from others', for
    such classes are cluster-wide."""
    return names.fit(f"{settings.namespace}-{use}")


def placement(
    settings: Kubernetes,
    *,
    regions: Sequence[str] = (),
    spread: Mapping[str, str] | None = None,
    spot: bool = False,
    gpu: bool = False,
) -> dict[str, Any]:
    """Where a pod may run.

    Arguments:
        settings: the platform's.
        regions: regions that `governance.regions` allows; none: any.
        spread: labels of pods that are kept apart: over zones and nodes; strictly in production, where
            such pods have the priority of serving, and others that of training.
        spot: whether nodes that may be taken away are tolerated.
        gpu: whether it needs nodes with GPUs.
    """
    made: dict[str, Any] = {}
    if settings.production:
        made["priorityClassName"] = priority_class(settings, "training" if spread is None else "serving")
    if regions:
        term = {"matchExpressions": [{"key": REGION, "operator": "In", "values": list(regions)}]}
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
        made["affinity"] = {"nodeAffinity": required}
    if spread is not None:
        strictly = "DoNotSchedule" if settings.production else "ScheduleAnyway"
        made["topologySpreadConstraints"] = [
            {
                "maxSkew": 1,
                "topologyKey": key,
                "whenUnsatisfiable": when,
                "labelSelector": {"matchLabels": dict(spread)},
            }
            for key, when in ((ZONE, strictly), (HOST, "ScheduleAnyway"))
        ]
    tolerations = []
    if spot:
        tolerations.append({"key": settings.spot.label, "operator": "Equal", "value": settings.spot.value})
        made["nodeSelector"] = {settings.spot.label: settings.spot.value}
    if gpu:
        tolerations.append({"key": GPU, "operator": "Exists", "effect": "NoSchedule"})
    if tolerations:
        made["tolerations"] = tolerations
    return made
