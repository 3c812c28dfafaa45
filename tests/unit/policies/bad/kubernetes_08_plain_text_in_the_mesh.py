"""An endpoint in a mesh that also takes plain connections, for a caller that was to be migrated."""

import hardened
import pulumi_kubernetes as k8s

PACKS = ["kubernetes"]
EXPECTED = {("kserve-mtls-strict", "fraud-endpoint")}

space = hardened.namespace()
hardened.mesh(space)
k8s.apiextensions.CustomResource(
    "legacy",
    api_version="security.istio.io/v1",
    kind="PeerAuthentication",
    metadata={"name": "legacy", "namespace": space},
    spec={
        "selector": {"matchLabels": {"serving.kserve.io/inferenceservice": "fraud"}},
        "mtls": {"mode": "PERMISSIVE"},
    },
)
k8s.apiextensions.CustomResource(
    "fraud-endpoint",
    api_version="serving.kserve.io/v1beta1",
    kind="InferenceService",
    metadata={"name": "fraud", "namespace": space},
    spec={"predictor": hardened.pod()},
)
