"""Where training waits for resources: queues of Kueue (0.19), in which jobs are admitted as a whole.

Kueue admits pods of Argo and Ray jobs by the label `kueue.x-k8s.io/queue-name`; the integrations `pod` and
`ray.io/rayjob` must be enabled in its configuration.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import pulumi

from pulumi_mlops.platforms.kubernetes import names, pods
from pulumi_mlops.platforms.kubernetes.cluster import Cluster
from pulumi_mlops.spec.kubernetes import Flavour, Kubernetes, Queue

API: Final = "kueue.x-k8s.io/v1beta2"

NAME: Final = "training"
"""The namespace's LocalQueue."""

LABEL: Final = "kueue.x-k8s.io/queue-name"

_DISK: Final = "ephemeral-storage"
_DISKS: Final = "1Pi"
"""Disk of each flavour: more than there is. All our pods ask for some, and Kueue admits none that asks for what its
queue does not cover; nodes are what bounds it."""


def build(cluster: Cluster, name: str) -> list[pulumi.Resource]:
    """Make the namespace's queue, once for all models; nothing where the settings have none.

    Arguments:
        cluster: where it is made.
        name: the component that asks for it.

    Returns:
        What jobs that wait in it depend on.
    """
    queue = cluster.settings.queue
    if queue is None or not cluster.claim("queue", NAME, name, queue):
        return []
    made: list[pulumi.Resource] = []
    target = queue.cluster_queue
    if target is None:
        target = names.fit(f"{cluster.namespace}-{NAME}")
        flavours = {flavour: names.fit(f"{cluster.namespace}-{flavour}") for flavour in queue.flavours}
        made += [
            cluster.objects.add(
                f"{cluster.name}-flavour-{flavour}", _flavour(queue.flavours[flavour], cluster.settings), name=full
            )
            for flavour, full in flavours.items()
        ]
        manifest = _cluster_queue(queue, flavours, cluster.namespace)
        made.append(cluster.objects.add(f"{cluster.name}-cluster-queue", manifest, name=target, needs=made))
    local = {"apiVersion": API, "kind": "LocalQueue", "spec": {"clusterQueue": target}}
    return [cluster.objects.add(f"{cluster.name}-queue", local, name=NAME, needs=made)]


def labels(settings: Kubernetes) -> dict[str, str]:
    """Labels of what waits in the queue."""
    return {} if settings.queue is None else {LABEL: NAME}


def problems(settings: Kubernetes, jobs: Iterable[tuple[str, float, int, int, bool]]) -> list[str]:
    """Jobs that would wait for ever, a sentence each.

    Arguments:
        settings: the platform's.
        jobs: field that asks, CPU cores, bytes of memory, GPUs, and whether on nodes that may be taken away.
    """
    queue = settings.queue
    if queue is None or queue.cluster_queue is not None:
        return []
    found = []
    for field, cpu, memory, gpu, spot in jobs:
        # A job's node selector holds only where a flavour has a label of that key.
        told_apart = any(flavour.spot for flavour in queue.flavours.values())
        open_to = [each for each in queue.flavours.values() if each.spot == spot or not told_apart]
        if not any(cpu <= each.cpu and memory <= each.memory and gpu <= each.gpu for each in open_to):
            kinds = f"no flavour {'of' if spot else 'without'} spot nodes" if told_apart else "no flavour"
            asked = f"{pods.quantity(cpu)} CPU, {memory} bytes of memory and {gpu} GPUs"
            found.append(
                f"{field}: {kinds} of platform.kubernetes.queue holds {asked}, so the job would wait for ever; raise "
                "the flavour's cpu, memory or gpu, or ask for less"
            )
    return list(dict.fromkeys(found))


def _flavour(flavour: Flavour, settings: Kubernetes) -> dict[str, Any]:
    labels = dict(flavour.node_labels)
    spec: dict[str, Any] = {}
    if flavour.spot:
        labels[settings.spot.label] = settings.spot.value
        # As a taint it keeps jobs away that do not tolerate such nodes, whatever Kueue would like.
        taint = {"key": settings.spot.label, "value": settings.spot.value, "effect": "NoSchedule"}
        spec["nodeTaints"] = [taint]
    if labels:
        spec["nodeLabels"] = labels
    if flavour.gpu:
        spec["tolerations"] = [{"key": pods.GPU, "operator": "Exists", "effect": "NoSchedule"}]
    return {"apiVersion": API, "kind": "ResourceFlavor", "spec": spec}


def _cluster_queue(queue: Queue, flavours: dict[str, str], namespace: str) -> dict[str, Any]:
    covered: Sequence[str] = ["cpu", "memory", _DISK]
    if any(flavour.gpu for flavour in queue.flavours.values()):
        covered = [*covered, pods.GPU]
    quotas = []
    for name, flavour in queue.flavours.items():
        amounts = {
            "cpu": pods.quantity(flavour.cpu),
            "memory": str(flavour.memory),
            _DISK: _DISKS,
            pods.GPU: str(flavour.gpu),
        }
        resources = [{"name": resource, "nominalQuota": amounts[resource]} for resource in covered]
        quotas.append({"name": flavours[name], "resources": resources})
    return {
        "apiVersion": API,
        "kind": "ClusterQueue",
        "spec": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            # A large job that does not fit yet does not keep back the small ones behind it.
            "queueingStrategy": "BestEffortFIFO",
            "resourceGroups": [{"coveredResources": list(covered), "flavors": quotas}],
        },
    }
