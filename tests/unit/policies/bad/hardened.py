"""What programs beside this one share: a namespace that is closed, and pods that the restricted profile admits."""

from typing import Any

import pulumi
import pulumi_kubernetes as k8s

IMAGE = f"registry.example.com/fraud/train@sha256:{'7c' * 32}"


def namespace(name: str = "fraud") -> pulumi.Output[str]:
    """A namespace that enforces a profile and is closed in both directions; its name."""
    space = k8s.core.v1.Namespace(
        name,
        metadata={"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    )
    k8s.networking.v1.NetworkPolicy(
        f"{name}-deny",
        metadata={"name": "deny", "namespace": space.metadata.name},
        spec={"pod_selector": {}, "policy_types": ["Ingress", "Egress"]},
    )
    return space.metadata.name


def mesh(space: pulumi.Output[str]) -> None:
    """Strict mutual TLS in a namespace, and callers from within it only."""
    k8s.apiextensions.CustomResource(
        "peers",
        api_version="security.istio.io/v1",
        kind="PeerAuthentication",
        metadata={"name": "default", "namespace": space},
        spec={"mtls": {"mode": "STRICT"}},
    )
    k8s.apiextensions.CustomResource(
        "callers",
        api_version="security.istio.io/v1",
        kind="AuthorizationPolicy",
        metadata={"name": "callers", "namespace": space},
        spec={"rules": [{"from": [{"source": {"namespaces": [space, "knative-serving"]}}]}]},
    )


def container(name: str = "main", **more: Any) -> dict[str, Any]:
    """A container that is confined, limited and probed, as the API spells it."""
    return {
        "name": name,
        "image": IMAGE,
        "resources": {"limits": {"cpu": "2", "memory": "4Gi"}},
        "livenessProbe": {"httpGet": {"path": "/live", "port": 8080}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        **more,
    }


def pod(*containers: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A pod that is confined and calls no Kubernetes API, as the API spells it."""
    return {
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": list(containers) or [container()],
        **more,
    }


def template(*containers: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A template of such pods."""
    return {"metadata": {"labels": {"app": "fraud"}}, "spec": pod(*containers, **more)}
