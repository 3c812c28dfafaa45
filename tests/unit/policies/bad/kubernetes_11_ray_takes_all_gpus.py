"""A Ray cluster that asks for GPUs in a namespace without a quota of them, beside a job that Kueue bounds."""

import hardened
import pulumi_kubernetes as k8s

PACKS = ["kubernetes"]
EXPECTED = {("gpu-quota", "fraud"), ("resource-limits", "train")}

space = hardened.namespace()
k8s.core.v1.ResourceQuota(
    "quota", metadata={"namespace": space}, spec={"hard": {"requests.cpu": "64", "requests.memory": "256Gi"}}
)
worker = hardened.container("ray-worker", resources={"limits": {"nvidia.com/gpu": "1", "memory": "32Gi"}})
k8s.apiextensions.CustomResource(
    "train",
    api_version="ray.io/v1",
    kind="RayCluster",
    metadata={"name": "train", "namespace": space},
    spec={
        "headGroupSpec": {"rayStartParams": {}, "template": hardened.template(hardened.container("ray-head"))},
        "workerGroupSpecs": [
            {"groupName": "gpu", "maxReplicas": 4, "rayStartParams": {}, "template": hardened.template(worker)}
        ],
    },
)
queued = hardened.container(resources={"limits": {"nvidia.com/gpu": "8", "cpu": "8", "memory": "64Gi"}})
k8s.batch.v1.Job(
    "tune",
    metadata={"namespace": space, "labels": {"kueue.x-k8s.io/queue-name": "training"}},
    spec={"suspend": True, "template": hardened.template(queued, restartPolicy="Never")},
)
