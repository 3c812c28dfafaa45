"""A server patched for debugging and never patched back, and a training job of several nodes on the nodes' network."""

import hardened
import pulumi_kubernetes as k8s

PACKS = ["kubernetes"]
EXPECTED = {("pod-security-restricted", "debug"), ("pod-security-restricted", "train")}

space = hardened.namespace()
k8s.apps.v1.DeploymentPatch(
    "debug",
    metadata={"name": "mlflow", "namespace": space},
    spec={
        "template": {
            "spec": {
                "containers": [{"name": "mlflow", "security_context": {"capabilities": {"add": ["SYS_PTRACE"]}}}],
                "share_process_namespace": True,
            }
        }
    },
)
k8s.apiextensions.CustomResource(
    "train",
    api_version="jobset.x-k8s.io/v1alpha2",
    kind="JobSet",
    metadata={"name": "train", "namespace": space},
    spec={
        "replicatedJobs": [
            {
                "name": "node",
                "template": {"spec": {"template": hardened.template(hostNetwork=True, restartPolicy="Never")}},
            }
        ]
    },
)
