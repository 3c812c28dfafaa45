"""An endpoint whose AuthorizationPolicy allows every caller that the mesh knows."""

import hardened
import pulumi_kubernetes as k8s

PACKS = ["kubernetes"]
EXPECTED = {("kserve-authz", "fraud-endpoint")}

space = hardened.namespace()
hardened.mesh(space)
k8s.apiextensions.CustomResource(
    "anybody",
    api_version="security.istio.io/v1",
    kind="AuthorizationPolicy",
    metadata={"name": "anybody", "namespace": space},
    spec={"action": "ALLOW", "rules": [{"from": [{"source": {"principals": ["*"]}}]}]},
)
k8s.apiextensions.CustomResource(
    "fraud-endpoint",
    api_version="serving.kserve.io/v1beta1",
    kind="InferenceService",
    metadata={"name": "fraud", "namespace": space},
    spec={"predictor": hardened.pod()},
)
