"""What a namespace holds its workloads to: the Pod Security Standards, closed networks, and a share of accelerators."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from mlops_policies.findings import Finding
from mlops_policies.kinds import kubernetes
from mlops_policies.kinds.kubernetes import accelerators, containers, entries, namespace, pods
from mlops_policies.packs.kubernetes.pod_security import STANDARD
from mlops_policies.registry import Parameters, pack
from mlops_policies.resources import Resource, Stack, View
from mlops_policies.several import once, some, thorough
from mlops_policies.values import NotApplicable

rule = pack("kubernetes")

_ENFORCE = "pod-security.kubernetes.io/enforce"
_QUEUE = "kueue.x-k8s.io/queue-name"


class LeastProfile(Parameters):
    """What `namespace-pss-label` asks for."""

    least: Literal["baseline", "restricted"] = "baseline"
    """The least profile that a namespace enforces. Default: baseline, which GPU operators' pods and Knative's keep
    to."""


@rule(
    *kubernetes.NAMESPACE,
    "kubernetes:core/*:NamespacePatch",
    severity="high",
    remediation=f"Label the namespace with `{_ENFORCE}: baseline` or `restricted`.",
    references={
        "pod-security-standards": STANDARD,
        "nsa-hardening": ["C-0068"],
        "soc2": ["CC6.8"],
    },
    parameters=LeastProfile,
)
def namespace_pss_label(space: Resource, parameters: LeastProfile) -> Iterator[Finding]:
    """Namespaces enforce the Pod Security Standards.

    The cluster then refuses pods that no program declared, an operator's or an intruder's. Only the label `enforce`
    counts: `warn` and `audit` refuse nothing. A patch of a namespace that does not set the label is not judged.
    """
    label = entries(space, "metadata.labels").get(_ENFORCE)
    profile = label.text() if label else None
    if label is None and space.kind.endswith("Patch"):
        raise NotApplicable("the patch leaves the label as it is")
    if profile not in (parameters.least, "restricted"):
        message = f"it enforces less of the Pod Security Standards than {parameters.least}"
        yield space.finding(message, f"metadata.labels.{_ENFORCE}")


@rule(
    *kubernetes.NAMESPACE,
    severity="high",
    remediation=(
        "Declare a NetworkPolicy in the namespace with `podSelector: {}` and `policyTypes: [Ingress, Egress]` "
        "that allows nothing, and others that allow what is needed."
    ),
    references={
        "nsa-hardening": ["C-0030", "C-0054"],
        "checkov": ["CKV2_K8S_6"],
        "hipaa": ["164.312(a)(1)"],
        "gdpr": ["Art. 32(1)(b)"],
        "soc2": ["CC6.6"],
        "eu-ai-act": ["Art. 15(5)"],
    },
    graph=True,
)
def default_deny_network(space: Resource, stack: Stack) -> Iterator[Finding]:
    """Pods of a namespace reach, and are reached by, only what a policy allows.

    A NetworkPolicy that selects all pods closes a direction for them, and what it allows by peer or port stays open.
    One that allows everything, or every address at every port, opens the direction again, whatever the others say:
    policies add up. Other kinds of policies (Cilium's, Calico's, AdminNetworkPolicy) are not read.
    """
    policies = [
        policy.view("spec")
        for policy in stack.of(*kubernetes.NETWORK_POLICY)
        if namespace(stack, policy) == space.urn and not _selective(policy.view("spec"))
    ]
    for direction in ("Ingress", "Egress"):
        closing = [policy for policy in policies if direction in _directions(policy)]
        if not closing:
            yield space.finding(f"no NetworkPolicy closes it for {direction.lower()} traffic of all its pods")
        elif any(_open(allowed) for policy in closing for allowed in policy.each(direction.lower())):
            yield space.finding(f"a NetworkPolicy allows all {direction.lower()} traffic of all its pods")


@rule(
    *kubernetes.NAMESPACE,
    severity="low",
    remediation=(
        "Declare a ResourceQuota in the namespace with `requests.nvidia.com/gpu` (or the accelerator's name), "
        "or queue its workloads with Kueue."
    ),
    reason=(
        "A namespace without a quota lets one job take every accelerator of the cluster; Kubernetes documents "
        "ResourceQuota for extended resources (requests.nvidia.com/gpu) as the remedy."
    ),
    graph=True,
)
def gpu_quota(space: Resource, stack: Stack) -> Iterator[Finding]:
    """A namespace whose pods ask for accelerators has a quota of them.

    Workloads with the label of a Kueue queue are exempt: Kueue admits them within the queue's quota.
    """

    def asked(workload: Resource) -> Iterator[str]:
        if namespace(stack, workload) == space.urn and _QUEUE not in entries(workload, "metadata.labels"):
            names = (accelerators(container) for pod in pods(workload) for container in containers(pod))
            yield from sorted(set().union(*names))

    def unbounded(accelerator: str) -> Iterator[Finding]:
        quotas = (quota for quota in stack.of(*kubernetes.RESOURCE_QUOTA) if namespace(stack, quota) == space.urn)
        if not any(f"requests.{accelerator}" in entries(quota, "spec.hard") for quota in quotas):
            yield space.finding(f"its pods ask for {accelerator}, and no ResourceQuota bounds how many")

    names = once(thorough(asked(workload) for workload in stack.of(*kubernetes.WORKLOADS)))
    yield from thorough(unbounded(name) for name in some(names, "no pod in it asks for accelerators outside a queue"))


def _selective(policy: View) -> bool:
    return any(policy.view("podSelector").has(key) for key in ("matchLabels", "matchExpressions"))


def _directions(policy: View) -> list[str]:
    # the API's default: ingress always, egress where it has rules
    return policy.texts("policyTypes") or ["Ingress", *("Egress",) * policy.has("egress")]


def _open(allowed: View) -> bool:
    if "ports" in allowed.keys():  # noqa: SIM118 - of a view
        return False
    peers = [*allowed.each("from"), *allowed.each("to")]
    return not peers or any(
        peer.text("ipBlock.cidr") in ("0.0.0.0/0", "::/0") and not peer.has("ipBlock.except") for peer in peers
    )
