"""Who may change the stack from CI: a Role for what the stack declares in its namespace, held by the workflows' names.

Kubernetes lets nobody make a Role with more rights than they have (RBAC's escalation check). CI is given neither
`escalate` nor `bind`, which would let it take any right of the namespace; it holds what the stack's own Roles hold
instead, so it can make and change exactly Roles that are no stronger than itself. A change that gives a component a new
right is therefore applied by a person first. So are changes of what is cluster-wide: the namespace, priority classes,
queues.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import pulumi

from pulumi_mlops.platforms.base import BuiltDelivery
from pulumi_mlops.platforms.kubernetes import names
from pulumi_mlops.platforms.kubernetes.access import RBAC, Rule
from pulumi_mlops.platforms.kubernetes.cluster import Cluster
from pulumi_mlops.spec.delivery import Delivery
from pulumi_mlops.spec.identity import Identity

CHANGE: Final = ("create", "delete", "get", "list", "patch", "watch")
"""What Pulumi does with an object: server-side apply (patch; create for a new one), reading, waiting, deletion."""

WATCHED: Final[Mapping[str, Sequence[str]]] = {
    "": ("endpoints", "events", "persistentvolumeclaims", "pods", "pods/log"),
    "apps": ("replicasets",),
    "discovery.k8s.io": ("endpointslices",),
}
"""What the provider looks at while it waits for Deployments, StatefulSets and Services to be ready, by API group."""


def build(
    cluster: Cluster, parent: pulumi.Resource, name: str, settings: Delivery, identity: Identity
) -> BuiltDelivery:
    """Let the workflows of a repository change what has been declared in the namespace until now; the last to be made.

    They are known to the API server by the subject of their OIDC token; where a cluster takes no such tokens, there
    is a service account with the same rights (`kubectl create token`).
    """
    account = names.fit(f"{identity.name}-ci")
    cluster.claim("delivery", identity.name, name)
    _, needs = cluster.accounts.account(account, parent=parent)
    users = [
        {"kind": "User", "apiGroup": RBAC, "name": f"{cluster.settings.oidc_prefix}{subject}"}
        for subject in settings.subjects
    ]
    bearer = {"kind": "ServiceAccount", "name": account, "namespace": cluster.namespace}
    # Its own Role and binding are objects of the stack as well.
    declared = dict(cluster.objects.declared)
    for kind in ("Role", "RoleBinding"):
        key = (f"{RBAC}/v1", kind)
        declared[key] = declared.get(key, frozenset()) | {account}
    own = rules(declared)
    granted = [rule for of_a_role in cluster.accounts.granted.values() for rule in of_a_role]
    made = cluster.accounts.grant(account, [*own, *beyond(own, granted)], [*users, bearer], parent=parent, needs=needs)
    user = f"system:serviceaccount:{cluster.namespace}:{account}"
    return BuiltDelivery(identity=made[0].urn.apply(lambda _: user))


def rules(declared: Mapping[tuple[str, str], Iterable[str]]) -> list[Rule]:
    """What changing some objects takes.

    Arguments:
        declared: names of the objects, by `apiVersion` and kind.
    """
    return [*_changing(declared), *_watching()]


def beyond(own: Sequence[Rule], others: Sequence[Rule]) -> list[Rule]:
    """What some rules allow and one's own don't: each right once."""
    rights = {right for rule in others for right in _rights(rule)}
    known = {right for rule in own for right in _rights(rule)}
    # A right over all objects covers that over some.
    known |= {(*right[:3], objects) for right in known if right[3] == () for objects in {each[3] for each in rights}}
    left: dict[tuple[str, str, tuple[str, ...]], set[str]] = {}
    for api_group, name, verb, objects in rights - known:
        if objects == () or (api_group, name, verb, ()) not in rights:
            left.setdefault((api_group, name, objects), set()).add(verb)
    return [
        {
            "apiGroups": [api_group],
            "resources": [name],
            "verbs": sorted(verbs),
            **({"resourceNames": list(objects)} if objects else {}),
        }
        for (api_group, name, objects), verbs in sorted(left.items())
    ]


def _rights(rule: Rule) -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
    """A rule taken apart: API group, resource, verb, and objects of objects."""
    objects = tuple(sorted(rule.get("resourceNames", ())))
    for api_group in rule["apiGroups"]:
        for name in rule["resources"]:
            for verb in rule["verbs"]:
                yield api_group, name, verb, objects


def _changing(declared: Mapping[tuple[str, str], Iterable[str]]) -> Iterator[dict[str, Any]]:
    by_group: dict[str, set[str]] = {}
    secrets: set[str] = set()
    for (version, kind), found in declared.items():
        if (version, kind) == ("v1", "Secret"):
            secrets |= set(found)
        else:
            by_group.setdefault(group(version), set()).add(resource(kind))
    for api_group in sorted(by_group):
        yield {"apiGroups": [api_group], "resources": sorted(by_group[api_group]), "verbs": list(CHANGE)}
    if secrets:
        # Those of the stack and no others: people's and operators' Secrets are in the namespace too.
        known = [verb for verb in CHANGE if verb not in ("create", "list", "watch")]
        yield {"apiGroups": [""], "resources": ["secrets"], "resourceNames": sorted(secrets), "verbs": known}
        yield {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]}


def _watching() -> Iterator[dict[str, Any]]:
    for api_group, resources in WATCHED.items():
        yield {"apiGroups": [api_group], "resources": list(resources), "verbs": ["get", "list", "watch"]}


def group(version: str) -> str:
    """API group of an `apiVersion`."""
    return version.rpartition("/")[0]


def resource(kind: str) -> str:
    """A kind as RBAC calls it: its plural in lower case."""
    name = kind.lower()
    if name.endswith("y"):
        return f"{name[:-1]}ies"
    return f"{name}es" if name.endswith("s") else f"{name}s"
