"""A feature store whose first container runs as root to change the owner of a volume, and a volume on NFS."""

import hardened
import pulumi_kubernetes as k8s

PACKS = ["kubernetes"]
EXPECTED = {("pod-security-restricted", "redis")}

owner = hardened.container(
    "chown",
    command=["chown", "-R", "1000", "/data"],
    securityContext={
        "runAsUser": 0,
        "runAsNonRoot": False,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"], "add": ["CHOWN"]},
    },
)
k8s.apps.v1.StatefulSet(
    "redis",
    metadata={"name": "redis", "namespace": hardened.namespace()},
    spec={
        "selector": {"match_labels": {"app": "fraud"}},
        "service_name": "redis",
        "template": hardened.template(
            initContainers=[owner],
            volumes=[{"name": "data", "nfs": {"server": "nfs.example.com", "path": "/features"}}],
        ),
    },
)
