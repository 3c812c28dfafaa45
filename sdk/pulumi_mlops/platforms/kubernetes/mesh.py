"""Endpoints in a service mesh: callers are encrypted, known, and allowed (Istio).

Source: KServe's guide to Istio (service mesh), Istio's reference of PeerAuthentication and AuthorizationPolicy. The
policies `kserve-mtls-strict` and `kserve-authz` ask the same. Only the pods of endpoints are in the mesh: a sidecar
would keep the pods of a workflow from ending.
"""

from __future__ import annotations

from typing import Final

import pulumi

from pulumi_mlops.platforms.kubernetes import names
from pulumi_mlops.platforms.kubernetes.cluster import Cluster, component
from pulumi_mlops.platforms.kubernetes.network import Pods
from pulumi_mlops.spec.endpoints import RestEndpoint

INJECT: Final = {"sidecar.istio.io/inject": "true"}
"""Label of pods that are in the mesh."""

ISTIOD: Final = Pods("istiod", {"app": "istiod"}, "istio-system")
"""Istio's control plane, which gives sidecars their certificates."""

ISTIOD_PORT: Final = 15012

_SECURITY: Final = "security.istio.io/v1"


def build(
    cluster: Cluster, parent: pulumi.Resource, name: str, settings: RestEndpoint, labels: dict[str, str]
) -> list[pulumi.Resource]:
    """Let only known callers in; returns what the endpoint depends on.

    Arguments:
        cluster: where it is made.
        parent: the endpoint's component.
        name: its name.
        settings: the endpoint.
        labels: labels of its pods.
    """
    if cluster.settings.mesh != "istio":
        return []
    cluster.network.allow(Pods("serving", component("serving")), ISTIOD, ISTIOD_PORT)
    selector = {"matchLabels": labels}
    strict = {
        "apiVersion": _SECURITY,
        "kind": "PeerAuthentication",
        "spec": {"selector": selector, "mtls": {"mode": "STRICT"}},
    }
    allowed = {
        "apiVersion": _SECURITY,
        "kind": "AuthorizationPolicy",
        "spec": {
            "selector": selector,
            "action": "ALLOW",
            "rules": [{"from": [{"source": {"namespaces": _callers(cluster, settings)}}]}],
        },
    }
    short = names.fit(settings.name)
    return [
        cluster.objects.add(f"{name}-mutual-tls", strict, name=short, parent=parent, labels=labels),
        cluster.objects.add(f"{name}-callers", allowed, name=short, parent=parent, labels=labels),
    ]


def _callers(cluster: Cluster, settings: RestEndpoint) -> list[str]:
    """Namespaces whose pods may call it; within them the network policies say which."""
    chosen, found = cluster.settings, [cluster.namespace]
    if settings.host is not None and chosen.gateway is not None:
        found.append(chosen.gateway.proxy_namespace or chosen.gateway.namespace)
    if chosen.monitoring is not None:
        found.append(chosen.monitoring.namespace)
    if chosen.deployment_mode == "Knative":
        found += ["knative-serving", chosen.ingress_namespace]
    return sorted(set(found))
