"""What the stack finds around it: nodes, the Gateway, queues, Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pulumi_mlops.platforms.checks import Check, Status
from pulumi_mlops.platforms.kubernetes.checks.question import Asked, items
from pulumi_mlops.platforms.kubernetes.pods import GPU, REGION
from pulumi_mlops.platforms.kubernetes.questions import Object
from pulumi_mlops.spec.endpoints import RestEndpoint


def nodes(asked: Asked) -> Iterator[Check]:
    """Nodes have the GPUs, and are of the regions and the kind, that are asked for."""
    compute, spec = asked.spec.training.compute, asked.spec
    regions = spec.governance.regions or []
    if not compute.gpu and not compute.spot and not regions:
        return
    nodes = items(asked.server, "/api/v1/nodes")
    if compute.gpu:
        most = max((int(node["status"].get("allocatable", {}).get(GPU, 0)) for node in nodes), default=0)
        message = f"a pod of training asks for {compute.gpu}, and the most that a node has is {most}"
        hint = "Fine where an autoscaler adds such nodes; else training waits for ever."
        fits = most >= compute.gpu
        yield Check("GPUs", Status.OK if fits else Status.WARN, message, () if fits else (hint,))
    spot = asked.settings.spot
    if compute.spot:
        yield _labelled(nodes, "spot nodes", spot.label, [spot.value])
    if regions:
        yield _labelled(nodes, "regions", REGION, regions)


def _labelled(nodes: Iterable[Object], name: str, label: str, values: list[str]) -> Check:
    found = sum(node["metadata"].get("labels", {}).get(label) in values for node in nodes)
    message = f"{found} nodes with {label} in {', '.join(values)}"
    hint = "Pods that must be there wait until there is one."
    return Check(name, Status.OK if found else Status.WARN, message, () if found else (hint,))


def _covers(name: str, queue: Object, gpus: int) -> Check:
    """Whether a queue covers all that our pods ask for; Kueue never admits those that ask for more."""
    covered = {each for group in queue["spec"].get("resourceGroups", []) for each in group["coveredResources"]}
    missing = sorted({"cpu", "memory", "ephemeral-storage", *([GPU] if gpus else [])} - covered)
    if not missing:
        return Check(name, Status.OK, "is there")
    remedy = f"Add {', '.join(missing)} to coveredResources, with a quota, or have one made (queue.flavours)."
    return Check(name, Status.FAIL, f"does not cover {', '.join(missing)}: no step would ever start", (remedy,))


def others(asked: Asked) -> Iterator[Check]:
    """What others bring is there: the Gateway, the ClusterQueue, the namespace of Prometheus."""
    settings, server = asked.settings, asked.server
    hosts = [each for each in asked.spec.endpoints if isinstance(each, RestEndpoint) and each.host is not None]
    if hosts and settings.gateway is not None:
        gateway = settings.gateway
        name = f"Gateway {gateway.namespace}/{gateway.name}"
        if server.object("gateway.networking.k8s.io/v1", "Gateway", gateway.name, gateway.namespace) is None:
            remedy = "Make it, or name another in platform.kubernetes.gateway."
            yield Check(name, Status.FAIL, "is not there", (remedy,))
        else:
            yield Check(name, Status.OK, "is there")
    if settings.queue is not None and settings.queue.cluster_queue is not None:
        name = f"ClusterQueue {settings.queue.cluster_queue}"
        queue = server.object("kueue.x-k8s.io/v1beta2", "ClusterQueue", settings.queue.cluster_queue)
        if queue is None:
            remedy = "Make it, or give platform.kubernetes.queue.flavours to have one made."
            yield Check(name, Status.FAIL, "is not there", (remedy,))
        else:
            yield _covers(name, queue, asked.spec.training.compute.gpu)
    if settings.monitoring is not None:
        name = f"namespace {settings.monitoring.namespace} (monitoring)"
        if "prometheus" in settings.install_operators:
            return
        if server.object("v1", "Namespace", settings.monitoring.namespace) is None:
            remedy = "Set platform.kubernetes.monitoring.namespace to that of Prometheus."
            yield Check(name, Status.FAIL, "is not there: nobody's scrapes would be let in", (remedy,))
        else:
            yield Check(name, Status.OK, "is there")
