"""A namespace that is closed by one policy, and opened again to the whole internet by another."""

import hardened
import pulumi_kubernetes as k8s

PACKS = ["kubernetes"]
EXPECTED = {("default-deny-network", "fraud")}

space = hardened.namespace()
k8s.networking.v1.NetworkPolicy(
    "downloads",
    metadata={"namespace": space},
    spec={"pod_selector": {}, "policy_types": ["Egress"], "egress": [{"to": [{"ip_block": {"cidr": "0.0.0.0/0"}}]}]},
)
