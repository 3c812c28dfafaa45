"""Who may do what in the cluster."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_policies.findings import Finding
from mlops_policies.kinds import kubernetes
from mlops_policies.registry import pack
from mlops_policies.resources import Resource, View
from mlops_policies.several import thorough

rule = pack("kubernetes")

_GRANTS = {"verbs": "verbs", "resources": "resources", "apiGroups": "API groups", "nonResourceURLs": "paths of the API"}


@rule(
    *kubernetes.ROLE,
    severity="high",
    remediation=(
        "Name the verbs, resources and API groups that are needed; bind a role of your own instead of cluster-admin."
    ),
    references={
        "nsa-hardening": ["C-0035"],
        "checkov": ["CKV_K8S_49"],
        "hipaa": ["164.312(a)(1)"],
        "gdpr": ["Art. 32(1)(b)"],
        "soc2": ["CC6.3"],
    },
)
def rbac_no_wildcard(resource: Resource) -> Iterator[Finding]:
    """Roles name what they allow, and nobody is bound to cluster-admin.

    A wildcard also allows what is added to the cluster later: each new custom resource, each new verb. A cluster role
    that aggregates others is judged by its own rules only.
    """
    if "Binding" not in resource.kind:
        yield from thorough(_wildcards(grant, i) for i, grant in enumerate(resource.each("rules"), 1))
    elif resource.text("roleRef.name") == "cluster-admin":
        yield resource.finding("it grants everything in the cluster: its role is cluster-admin", "roleRef.name")


def _wildcards(grant: View, number: int) -> Iterator[Finding]:
    def wildcard(key: str, what: str) -> Iterator[Finding]:
        if any("*" in text for text in grant.texts(key)):
            yield grant.finding(f"rule {number} names its {what} with a wildcard", key)

    yield from thorough(wildcard(key, what) for key, what in _GRANTS.items())
