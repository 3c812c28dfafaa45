"""Training on several machines: a Ray cluster for the time of the step (RayJob of KubeRay 1.7).

The step's template creates the job and waits for it; the job belongs to the workflow and goes with it. Its entry point
is the step's own command on the head, with the same definition, code and store as any other step.

The head and the submitter keep off nodes that may be taken away: a worker that is lost costs its tasks, which Ray runs
again, a head the whole cluster. Clients of the head show a token that KubeRay makes for each cluster.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pulumi_mlops.platforms.kubernetes import names, pods
from pulumi_mlops.platforms.kubernetes.cluster import Cluster, component
from pulumi_mlops.platforms.kubernetes.workflow import RETRY, RUN_ID, Common, Step
from pulumi_mlops.spec.training import Compute, Distribution

VERSION: Final = "2.60.0"
"""Ray's version in the job image; KubeRay adapts to it."""

CHECKPOINTS: Final = "/checkpoints"
"""Where the volume for checkpoints is mounted."""

CHECKPOINTS_VARIABLE: Final = "MLOPS_CHECKPOINTS"
"""Environment variable that names the folder for checkpoints."""

ROLE: Final = {"mlops/role": "ray"}
"""Label of all pods of Ray clusters, beside those of the pipeline."""

DASHBOARD_PORT: Final = 8265
"""Where jobs are submitted and asked about."""

OPERATOR: Final = {"app.kubernetes.io/name": "kuberay-operator"}
"""Labels of KubeRay's own pods (its Helm chart's)."""

RULES: Final[list[dict[str, Any]]] = [{"apiGroups": ["ray.io"], "resources": ["rayjobs"], "verbs": ["create", "get"]}]
"""What the step's template does."""

HEAD_CPU: Final = 1.0
HEAD_MEMORY: Final = 2 * 2**30
"""What the head asks for itself, beside the share of a worker that the step's own process needs."""

_KEPT: Final = 3600
"""Seconds for which a finished job is kept; it goes with its workflow at the latest."""

_NAME: Final = 41
"""Longest prefix of a job's name: KubeRay allows 47 characters, the API server adds 5."""

_AUTOSCALER: Final[dict[str, Any]] = {
    "version": "v2",
    "idleTimeoutSeconds": 60,
    "resources": {"requests": {"cpu": "200m", "memory": "512Mi"}, "limits": {"cpu": "500m", "memory": "512Mi"}},
    "securityContext": pods.CONTAINER_SECURITY,
}


@dataclass(frozen=True)
class Trainers:
    """A Ray cluster for one step.

    Arguments:
        model: name of the model.
        compute: of the head's process and of each worker.
        distribution: how many workers.
        account: service account of the pods; the operator lets it scale the cluster where the bounds differ.
        volumes: of the pods.
        claim: the PersistentVolumeClaim for checkpoints, or None.
        disk: bytes of a pod's ephemeral storage.
        head, worker: where they may run; see `pods.placement`.
        labels: of the job, such as its queue.
    """

    model: str
    compute: Compute
    distribution: Distribution
    account: str
    volumes: Sequence[Mapping[str, Any]]
    claim: str | None
    disk: int
    head: Mapping[str, Any]
    worker: Mapping[str, Any]
    labels: Mapping[str, str]

    @property
    def scales(self) -> bool:
        """Whether workers come and go."""
        return self.distribution.min_workers < self.distribution.max_workers


def template(common: Common, step: Step, cluster: Trainers) -> dict[str, Any]:
    """The template of a step on a Ray cluster."""
    return {
        "name": step.name,
        "metadata": {"labels": dict(common.labels)},
        # The job's own deadline comes first, unless it never starts: it may wait in a queue.
        "retryStrategy": {**RETRY, "expression": "lastRetry.status == 'Error'"},
        "resource": {
            "action": "create",
            "setOwnerReference": True,
            "manifest": json.dumps(job(common, step, cluster), sort_keys=True),
            "successCondition": "status.jobStatus == SUCCEEDED",
            # Not jobStatus: with a backoff limit a failed attempt is not the end.
            "failureCondition": "status.jobDeploymentStatus == Failed",
        },
    }


def job(common: Common, step: Step, cluster: Trainers) -> dict[str, Any]:
    """The RayJob."""
    command, *rest = step.arguments
    entrypoint = ["mlops-runtime", command, "--definition", common.definition, *rest, "--ray"]
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {
            "generateName": f"{names.fit(f'{cluster.model}-{step.name}', _NAME)}-",
            "labels": {**common.labels, **cluster.labels, "workflows.argoproj.io/workflow": RUN_ID},
        },
        "spec": {
            "entrypoint": shlex.join(entrypoint),
            "submissionMode": "K8sJobMode",
            "submitterPodTemplate": _submitter(common, cluster),
            "activeDeadlineSeconds": max(1, round(step.seconds)),
            # A second attempt goes on from the volume; without one it would only begin again.
            "backoffLimit": 1 if cluster.claim else 0,
            "shutdownAfterJobFinishes": True,
            "ttlSecondsAfterFinished": _KEPT,
            "rayClusterSpec": _cluster(common, cluster),
        },
    }


def _cluster(common: Common, cluster: Trainers) -> dict[str, Any]:
    compute, bounds = cluster.compute, cluster.distribution
    head = pods.resources(HEAD_CPU + compute.cpu, HEAD_MEMORY + compute.memory, disk=cluster.disk)
    worker = pods.resources(compute.cpu, compute.memory, gpu=compute.gpu, disk=cluster.disk)
    made: dict[str, Any] = {
        "rayVersion": VERSION,
        "authOptions": {"mode": "token"},
        "headGroupSpec": {
            "serviceType": "ClusterIP",
            # The head runs the step itself; what Ray schedules goes to the workers, with or without GPUs.
            "rayStartParams": {"dashboard-host": "0.0.0.0", "num-cpus": "0", "num-gpus": "0"},  # noqa: S104 - a pod
            "template": _pod("ray-head", common, cluster, head, cluster.head, head=True),
        },
        "workerGroupSpecs": [
            {
                "groupName": "workers",
                "replicas": bounds.min_workers if cluster.scales else bounds.max_workers,
                "minReplicas": bounds.min_workers,
                "maxReplicas": bounds.max_workers,
                "rayStartParams": {},
                "template": _pod("ray-worker", common, cluster, worker, cluster.worker),
            }
        ],
    }
    if cluster.scales:
        made |= {"enableInTreeAutoscaling": True, "autoscalerOptions": _AUTOSCALER}
    return made


def _pod(
    name: str,
    common: Common,
    cluster: Trainers,
    resources: Mapping[str, Any],
    placement: Mapping[str, Any],
    *,
    head: bool = False,
) -> dict[str, Any]:
    environment, mounts, volumes = list(common.environment), list(common.mounts), list(cluster.volumes)
    environment.append({"name": "RAY_USAGE_STATS_ENABLED", "value": "0"})
    # The search is kept by the head, so a volume for one node will do.
    if head and cluster.claim is not None:
        volumes.append({"name": "checkpoints", "persistentVolumeClaim": {"claimName": cluster.claim}})
        mounts.append({"name": "checkpoints", "mountPath": CHECKPOINTS})
        environment.append({"name": CHECKPOINTS_VARIABLE, "value": CHECKPOINTS})
    container = pods.container(name, common.image, env=environment, mounts=mounts, resources=resources)
    return {
        "metadata": {"labels": {**common.labels, **ROLE}},
        "spec": pods.spec(
            [container],
            account=cluster.account,
            volumes=volumes,
            # The autoscaler beside the head adds and removes workers.
            token=head and cluster.scales,
            placement=placement,
            # Ray spills there what does not fit into memory.
            scratch_size=str(cluster.disk),
            # Autoscaling wants pods that are not started again in place.
            restartPolicy="Never",
        ),
    }


def _submitter(common: Common, cluster: Trainers) -> dict[str, Any]:
    """The pod that hands the job to the head and follows it; KubeRay gives it its command and the head's address."""
    container = pods.container(
        "ray-job-submitter", common.image, env=common.environment, resources=pods.resources(0.2, 512 * 2**20)
    )
    return {
        "metadata": {"labels": {**common.labels, **ROLE}},
        "spec": pods.spec([container], account=cluster.account, placement=cluster.head, restartPolicy="Never"),
    }


def flows(cluster: Cluster, model: str) -> None:
    """Let the pods of a model's Ray clusters speak to each other, and the operator to their heads."""
    own = {**component("pipeline", model), **ROLE}
    pods_of_model = [{"podSelector": {"matchLabels": own}}]
    # In whatever namespace it is installed.
    operator = [{"namespaceSelector": {}, "podSelector": {"matchLabels": OPERATOR}}]
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "spec": {
            "podSelector": {"matchLabels": own},
            "policyTypes": ["Ingress", "Egress"],
            # Ray's processes choose their ports.
            "ingress": [{"from": pods_of_model}, {"from": operator, "ports": [_tcp(DASHBOARD_PORT)]}],
            "egress": [{"to": pods_of_model}],
        },
    }
    cluster.objects.add(f"{model}-ray-flow", policy, name=names.fit(f"{model}-ray"))


def _tcp(port: int) -> dict[str, Any]:
    return {"protocol": "TCP", "port": port}


def claim(size: int, storage_class: str | None) -> dict[str, Any]:
    """The volume for checkpoints.

    Arguments:
        size: bytes.
        storage_class: its class, or None for the cluster's default.
    """
    spec: dict[str, Any] = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": str(size)}}}
    if storage_class is not None:
        spec["storageClassName"] = storage_class
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": spec}
