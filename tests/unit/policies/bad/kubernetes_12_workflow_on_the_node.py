"""An Argo workflow whose steps share a directory of the node and call the Kubernetes API."""

import hardened
import pulumi_kubernetes as k8s

PACKS = ["kubernetes"]
EXPECTED = {("no-automount-token", "retrain"), ("pod-security-restricted", "retrain")}

pod = hardened.pod(automountServiceAccountToken=True)
k8s.apiextensions.CustomResource(
    "retrain",
    api_version="argoproj.io/v1alpha1",
    kind="WorkflowTemplate",
    metadata={"name": "retrain", "namespace": hardened.namespace()},
    spec={
        "entrypoint": "main",
        "automountServiceAccountToken": True,
        "securityContext": pod["securityContext"],
        "volumes": [{"name": "scratch", "hostPath": {"path": "/mnt/nvme"}}],
        "templates": [
            {"name": "main", "dag": {"tasks": [{"name": "train", "template": "step"}]}},
            {"name": "step", "container": {**hardened.container(), "name": ""}},
        ],
    },
)
