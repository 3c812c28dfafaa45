"""Pods of operators that give their containers no security context, made fit for Pod Security `restricted`.

The namespace refuses such pods, and their Deployment would wait for them for ever. A MutatingAdmissionPolicy (of
Kubernetes 1.36, `admissionregistration.k8s.io/v1`) adds what is missing before the API server judges them.
"""

from __future__ import annotations

from typing import Any, Final

import pulumi

from pulumi_mlops.platforms.kubernetes import names
from pulumi_mlops.platforms.kubernetes.cluster import Cluster
from pulumi_mlops.platforms.kubernetes.network import Pods

API: Final = "admissionregistration.k8s.io/v1"

_CONTAINERS: Final = 8
"""Containers of each sort that a pod may have: CEL counts no further than it is told."""


def harden(cluster: Cluster, pods: Pods) -> list[pulumi.Resource]:
    """Have all containers of some pods run without privilege escalation and capabilities.

    Only where the namespace is the platform's own: one that is adopted has rules that are not ours, and who adopts it
    may not be allowed to make policies, which are cluster-wide.

    Arguments:
        cluster: the cluster.
        pods: the pods.

    Returns:
        What was made, to depend on.
    """
    if not cluster.settings.create_namespace:
        return []
    name = names.fit(f"{cluster.namespace}-{pods.name}")
    policy = cluster.objects.add(
        f"{cluster.name}-{pods.name}-hardening",
        {"apiVersion": API, "kind": "MutatingAdmissionPolicy", "spec": _policy(cluster.namespace, pods)},
        name=name,
    )
    binding = cluster.objects.add(
        f"{cluster.name}-{pods.name}-hardening-binding",
        {"apiVersion": API, "kind": "MutatingAdmissionPolicyBinding", "spec": {"policyName": name}},
        name=name,
        needs=[policy],
    )
    return [policy, binding]


def _policy(namespace: str, pods: Pods) -> dict[str, Any]:
    created = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    expression = " + ".join(_patches(field) for field in ("containers", "initContainers"))
    return {
        "matchConstraints": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "objectSelector": {"matchLabels": dict(pods.labels)},
            "resourceRules": [created],
        },
        "failurePolicy": "Fail",
        # Again where a webhook has added containers meanwhile.
        "reinvocationPolicy": "IfNeeded",
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}],
    }


def _patches(field: str) -> str:
    """A list of patches, in CEL: the security context of each container that has none."""
    context = f"Object.spec.{field}.securityContext"
    value = f'{context}{{allowPrivilegeEscalation: false, capabilities: {context}.capabilities{{drop: ["ALL"]}}}}'
    path = f'"/spec/{field}/" + string(i) + "/securityContext"'
    mine = f"object.spec.{field}"
    wanted = f"i < size({mine}) && !has({mine}[i].securityContext)"
    patches = (
        f'{list(range(_CONTAINERS))}.filter(i, {wanted}).map(i, JSONPatch{{op: "add", path: {path}, value: {value}}})'
    )
    return f"(has({mine}) ? {patches} : [])"
