"""A serving runtime of one's own whose container writes wherever it likes and has no readiness probe."""

import hardened
import pulumi_kubernetes as k8s

PACKS = ["kubernetes"]
EXPECTED = {("probes-set", "lightgbm"), ("read-only-rootfs", "lightgbm")}

confined = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
k8s.apiextensions.CustomResource(
    "lightgbm",
    api_version="serving.kserve.io/v1alpha1",
    kind="ServingRuntime",
    metadata={"name": "lightgbm", "namespace": hardened.namespace()},
    spec={
        "supportedModelFormats": [{"name": "lightgbm", "version": "3", "autoSelect": True}],
        "protocolVersions": ["v2"],
        "containers": [hardened.container("kserve-container", securityContext=confined, readinessProbe=None)],
    },
)
