"""What workloads take from the cluster: its API, its nodes' resources, and its patience."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from pydantic import Field

from mlops_policies.findings import Finding
from mlops_policies.kinds import kubernetes
from mlops_policies.kinds.kubernetes import Pod, containers, entries, named, namespace, pods
from mlops_policies.registry import Parameters, pack
from mlops_policies.resources import Resource, Stack, View
from mlops_policies.several import some, thorough

rule = pack("kubernetes")

_TOKEN: Final = "automountServiceAccountToken"  # noqa: S105 - the name of a property
_WITH_ACCOUNT: Final = tuple(token for token in kubernetes.WORKLOADS if "ServingRuntime" not in token)


class Accounts(Parameters):
    """Who may call the Kubernetes API, for `no-automount-token`."""

    accounts: list[str] = Field(default_factory=list)
    """Names of the service accounts whose pods need their token: a Ray head that scales its cluster, a workflow's
    steps. Default: none."""


class Limited(Parameters):
    """What `resource-limits` asks for."""

    limits: tuple[Literal["cpu", "memory"], ...] = ("cpu", "memory")
    """The resources that each container needs a limit for. Default: both; leave `cpu` out where throttling hurts more
    than a noisy neighbour."""


@rule(
    *kubernetes.SERVICE_ACCOUNT,
    *_WITH_ACCOUNT,
    severity="medium",
    remediation=(
        "Set `automountServiceAccountToken: false` on the service account or the pod; bind the account of a pod "
        "that does call the Kubernetes API to a Role in the stack, or name it in the rule's parameter `accounts`."
    ),
    references={"nsa-hardening": ["C-0034"], "checkov": ["CKV_K8S_38"], "soc2": ["CC6.3"]},
    graph=True,
    parameters=Accounts,
)
def no_automount_token(resource: Resource, stack: Stack, parameters: Accounts) -> Iterator[Finding]:
    """Tokens of the Kubernetes API are mounted only into pods that need them.

    Model code rarely calls the Kubernetes API, and a token that lies in its file system is what an intruder takes
    first. A pod is fine where it refuses the token, or where its service account in the stack does and the pod does
    not ask for it again. A pod that asks for it is fine where the stack binds its account to a Role: what it may do
    there is said. Serving runtimes are not judged: their pods take the account from the InferenceService.
    """
    if "ServiceAccount" not in resource.kind:
        found = some(pods(resource), "it describes no pods")
        yield from thorough(_mounting(pod, stack, parameters) for pod in found)
    elif resource.value("metadata.name") not in parameters.accounts and not _refuses(resource):
        yield resource.finding("its pods are given a token of the Kubernetes API", _TOKEN)


@rule(
    *kubernetes.WORKLOADS,
    severity="medium",
    remediation=(
        "Set `securityContext.readOnlyRootFilesystem: true` on the container, and mount an `emptyDir` where it writes."
    ),
    references={"nsa-hardening": ["C-0017"], "checkov": ["CKV_K8S_22"], "soc2": ["CC6.8"]},
)
def read_only_rootfs(workload: Resource) -> Iterator[Finding]:
    """Containers can't write to their root file system.

    An intruder can then not replace what the image brought, and what a container writes is where somebody meant it to
    be. Pods of Windows, which knows no such file system, are exempt.
    """
    at = "securityContext.readOnlyRootFilesystem"

    def writable(pod: Pod, container: View) -> Iterator[Finding]:
        if not container.flag(at, default=pod.partial) and not pod.windows:
            yield container.finding(f"container {named(container)} can write to its root file system", at)

    found = some(((pod, each) for pod in pods(workload) for each in containers(pod)), "it describes no containers")
    yield from thorough(writable(pod, container) for pod, container in found)


@rule(
    *kubernetes.WORKLOADS,
    severity="medium",
    remediation="Set `resources.limits` on the container, or a LimitRange with defaults in its namespace.",
    references={
        "nsa-hardening": ["C-0270", "C-0271"],
        "checkov": ["CKV_K8S_11", "CKV_K8S_13"],
        "soc2": ["A1.1"],
    },
    graph=True,
    parameters=Limited,
)
def resource_limits(workload: Resource, stack: Stack, parameters: Limited) -> Iterator[Finding]:
    """Containers have limits of CPU and memory.

    One training step without a limit can take a node from every endpoint on it. A limit of the pod as a whole counts
    for its containers, and so does the default of a LimitRange of the stack in the same namespace.
    """

    def unlimited(pod: Pod, container: View) -> Iterator[Finding]:
        limited = {*entries(container, "resources.limits"), *entries(pod, "resources.limits")}
        if set(parameters.limits) - limited:
            limited |= _defaults(stack, workload)
        missing = [resource for resource in parameters.limits if resource not in limited]
        if missing:
            message = f"container {named(container)} has no limit of {' and '.join(missing)}"
            yield container.finding(message, "resources.limits")

    found = ((pod, each) for pod in pods(workload) if not pod.partial for each in containers(pod))
    yield from thorough(
        unlimited(pod, container) for pod, container in some(found, "its containers are described elsewhere")
    )


@rule(
    *kubernetes.LASTING,
    severity="low",
    remediation="Set `livenessProbe` and `readinessProbe` on the container.",
    references={"checkov": ["CKV_K8S_8", "CKV_K8S_9"], "soc2": ["A1.2"]},
)
def probes_set(workload: Resource) -> Iterator[Finding]:
    """Containers that serve say when they are ready, and when they hang.

    Without a readiness probe requests reach a server that still loads its model; without a liveness probe one that
    hangs stays. What runs to its end is exempt, and so are Ray's pods, whose probes KubeRay sets.
    """

    def unprobed(container: View) -> Iterator[Finding]:
        for probe in ("livenessProbe", "readinessProbe"):
            if not container.has(probe):
                yield container.finding(f"container {named(container)} has no {probe}", probe)

    found = (
        container
        for pod in pods(workload)
        if not pod.partial and pod.text("restartPolicy") in (None, "Always")
        for container in containers(pod, started=False)
    )
    yield from thorough(unprobed(container) for container in some(found, "no container of it serves until stopped"))


def _mounting(pod: Pod, stack: Stack, parameters: Accounts) -> Iterator[Finding]:
    account = pod.account
    if account in parameters.accounts:
        return
    if pod.value(_TOKEN) is None and not pod.partial:
        if not any(_refuses(found) for found in _accounts(pod, account, stack)):
            yield pod.finding("neither the pod nor its service account refuses a token of the Kubernetes API", _TOKEN)
    elif pod.flag(_TOKEN) and not _bound(pod, account, stack):
        yield pod.finding("the pod asks for a token of the Kubernetes API", _TOKEN)


def _bound(pod: Pod, account: object, stack: Stack) -> bool:
    return any(
        subject.text("kind") == "ServiceAccount" and subject.value("name") == account != "default"
        for binding in stack.of(*kubernetes.ROLE_BINDING)
        if namespace(stack, binding) == namespace(stack, pod.resource) and binding.text("roleRef.kind") == "Role"
        for subject in binding.each("subjects")
    )


def _accounts(pod: Pod, account: object, stack: Stack) -> Iterator[Resource]:
    for found in stack.of(*kubernetes.SERVICE_ACCOUNT):
        named_so = found.value("metadata.name") == account or stack.refers(pod, "serviceAccountName", found)
        if named_so and namespace(stack, found) == namespace(stack, pod.resource):
            yield found


def _refuses(account: Resource) -> bool:
    return not account.flag(_TOKEN, default=True)


def _defaults(stack: Stack, workload: Resource) -> set[str]:
    return {
        resource
        for found in stack.of(*kubernetes.LIMIT_RANGE)
        if namespace(stack, found) == namespace(stack, workload)
        for limit in found.each("spec.limits")
        if limit.text("type") == "Container"
        for resource in (*entries(limit, "default"), *entries(limit, "max"))
    }
