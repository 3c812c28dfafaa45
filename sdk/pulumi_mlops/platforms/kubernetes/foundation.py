"""What all models of a namespace share: the namespace itself, its limits, and who speaks to whom by default."""

from __future__ import annotations

from typing import Any, Final

import pulumi
import pulumi_kubernetes as kubernetes

from pulumi_mlops.platforms.kubernetes import operators, pods
from pulumi_mlops.platforms.kubernetes.cluster import Cluster
from pulumi_mlops.spec.kubernetes import Kubernetes, Quota

POD_SECURITY: Final = {
    f"pod-security.kubernetes.io/{mode}{suffix}": value
    for mode in ("enforce", "audit", "warn")
    for suffix, value in (("", "restricted"), ("-version", "latest"))
}
"""Labels of the namespace: the Pod Security Standards' profile restricted, refused, recorded and warned of."""

DEFAULTS: Final = {
    "defaultRequest": {"cpu": "50m", "memory": "256Mi", "ephemeral-storage": "100Mi"},
    # No limit of ephemeral storage: it would hold for all volumes of the pod together, a served bundle's among them.
    "default": {"cpu": "1", "memory": "512Mi"},
}
"""What a container gets that asks for nothing: none of ours, but some that operators add (Argo's init and wait, Ray's);
the quota would refuse it. Feast's init container takes 250Mi."""

PRIORITIES: Final = {
    "serving": (100_000, "PreemptLowerPriority", "Answers to requests; takes the place of training"),
    "training": (1_000, "Never", "Pipelines; wait until there is room"),
}
"""Priority classes of production by what pods are for: value, preemption policy, description. Far below the cluster's
own (2,000,000,000), above pods without one (0)."""


def provider(platform: pulumi.Resource, name: str, settings: Kubernetes) -> pulumi.ProviderResource | None:
    """A provider for the context that the settings name; None, the ambient one, where they name none."""
    if settings.context is None:
        return None
    return kubernetes.Provider(
        f"{name}-cluster",
        context=settings.context,
        enable_server_side_apply=True,
        opts=pulumi.ResourceOptions(parent=platform),
    )


def build(cluster: Cluster) -> None:
    """Make the namespace, or adopt it, with what holds for all of its pods."""
    settings, objects = cluster.settings, cluster.objects
    operators.build(cluster)
    if settings.create_namespace:
        namespace = objects.add(
            f"{cluster.name}-namespace",
            {"apiVersion": "v1", "kind": "Namespace"},
            name=settings.namespace,
            labels=POD_SECURITY,
            protect=settings.production or None,
        )
        objects.precede(namespace)
    if settings.production:
        for use, (value, preemption, description) in PRIORITIES.items():
            objects.precede(_priority(cluster, use, value, preemption, description))
    objects.precede(
        objects.add(
            f"{cluster.name}-quota",
            {"apiVersion": "v1", "kind": "ResourceQuota", "spec": {"hard": hard(settings.quota)}},
            name="mlops",
        )
    )
    limits = {"apiVersion": "v1", "kind": "LimitRange", "spec": {"limits": [{"type": "Container", **DEFAULTS}]}}
    objects.precede(objects.add(f"{cluster.name}-limits", limits, name="mlops"))
    cluster.network.deny_by_default()


def hard(quota: Quota) -> dict[str, str]:
    """A quota as ResourceQuota writes it. CPU is bounded by requests alone: limits on CPU may be overcommitted."""
    return {
        "requests.cpu": pods.quantity(quota.cpu),
        "requests.memory": str(quota.memory),
        "limits.memory": str(quota.memory),
        f"requests.{pods.GPU}": str(quota.gpu),
        "pods": str(quota.pods),
        "requests.storage": str(quota.storage),
    }


def _priority(cluster: Cluster, use: str, value: int, preemption: str, description: str) -> pulumi.Resource:
    manifest: dict[str, Any] = {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "value": value,
        "preemptionPolicy": preemption,
        "description": description,
    }
    return cluster.objects.add(
        f"{cluster.name}-priority-{use}", manifest, name=pods.priority_class(cluster.settings, use)
    )
