"""An InferenceService as a quickstart shows it: a model, and nothing around it."""

import hardened
import pulumi_kubernetes as k8s

PACKS = ["kubernetes"]
EXPECTED = {
    ("kserve-authz", "iris"),
    ("kserve-mtls-strict", "iris"),
    ("no-automount-token", "iris"),
    ("pod-security-restricted", "iris"),
    ("probes-set", "iris"),
    ("read-only-rootfs", "iris"),
    ("resource-limits", "iris"),
}

k8s.apiextensions.CustomResource(
    "iris",
    api_version="serving.kserve.io/v1beta1",
    kind="InferenceService",
    metadata={"name": "iris", "namespace": hardened.namespace()},
    spec={"predictor": {"model": {"modelFormat": {"name": "sklearn"}, "storageUri": "s3://models/iris/7"}}},
)
