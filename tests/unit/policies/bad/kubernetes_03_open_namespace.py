"""A namespace that admits any pod and any traffic, beside one that is closed."""

import hardened
import pulumi_kubernetes as k8s

PACKS = ["kubernetes"]
EXPECTED = {("namespace-pss-label", "sandbox"), ("default-deny-network", "sandbox")}

hardened.namespace()
k8s.core.v1.Namespace("sandbox", metadata={"labels": {"pod-security.kubernetes.io/warn": "restricted"}})
