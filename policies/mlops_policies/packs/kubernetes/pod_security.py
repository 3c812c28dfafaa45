"""The Pod Security Standards: each check a function, named after its row in the standard.

Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/ as the admission controller of Kubernetes
1.36 applies it: with the sysctls allowed since 1.32 (kubernetes/kubernetes#127489), image volumes since 1.33
(#130394), hosts of probes refused since 1.34, and user namespaces heeded since 1.35.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from mlops_policies.findings import Finding
from mlops_policies.kinds import kubernetes
from mlops_policies.kinds.kubernetes import Pod, containers, entries, named, pods
from mlops_policies.registry import Parameters, pack
from mlops_policies.resources import Resource, View
from mlops_policies.several import once, some, thorough

rule = pack("kubernetes")

STANDARD: Final = [
    "Baseline: HostProcess",
    "Baseline: Host Namespaces",
    "Baseline: Privileged Containers",
    "Baseline: Capabilities",
    "Baseline: HostPath Volumes",
    "Baseline: Host Ports",
    "Baseline: Host Probes / Lifecycle Hooks",
    "Baseline: AppArmor",
    "Baseline: SELinux",
    "Baseline: /proc Mount Type",
    "Baseline: Seccomp",
    "Baseline: Sysctls",
    "Restricted: Baseline",
    "Restricted: Volume Types",
    "Restricted: Privilege Escalation",
    "Restricted: Running as Non-root",
    "Restricted: Running as Non-root user",
    "Restricted: Seccomp",
    "Restricted: Capabilities",
]
"""The rows of the standard: twelve of its baseline profile, seven of its restricted one."""

_ADDABLE: Final = frozenset(
    (
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    )
)
_SYSCTLS: Final = frozenset(
    (
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    )
)
_SELINUX: Final = ("container_t", "container_init_t", "container_kvm_t", "container_engine_t")
_PROFILES: Final = ("RuntimeDefault", "Localhost")
_VOLUMES: Final = frozenset(
    (
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    )
)
_HOST_NAMESPACES: Final = {"hostNetwork": "network", "hostPID": "processes", "hostIPC": "interprocess communication"}
_HANDLERS: Final = ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle.postStart", "lifecycle.preStop")
_APPARMOR: Final = "container.apparmor.security.beta.kubernetes.io/"


class PodSecurity(Parameters):
    """How strict `pod-security-restricted` is."""

    profile: Literal["baseline", "restricted"] = "restricted"
    """The profile of the standard: `baseline` leaves out the seven restricted checks. Default: restricted."""


@rule(
    *kubernetes.WORKLOADS,
    severity="high",
    remediation=(
        "For `restricted`, set on the pod `runAsNonRoot: true` and `seccompProfile: {type: RuntimeDefault}`, "
        "and on each container `allowPrivilegeEscalation: false` and `capabilities: {drop: [ALL]}`; take away "
        "what the finding names."
    ),
    references={
        "pod-security-standards": STANDARD,
        "nsa-hardening": ["C-0013", "C-0016", "C-0038", "C-0041", "C-0044", "C-0046", "C-0055", "C-0057"],
        "soc2": ["CC6.1", "CC6.8"],
    },
    parameters=PodSecurity,
)
def pod_security_restricted(workload: Resource, parameters: PodSecurity) -> Iterator[Finding]:
    """Pods keep to the Pod Security Standards.

    A pod that may become root, or reach into its node, is a way from one model's code to everything on that node. All
    containers are judged, init and ephemeral ones too, of every kind that makes pods; each violation is a finding
    that names the standard's control. A predictor's model is judged by what the InferenceService says: what a serving
    runtime or the cluster would add is not seen here. Patches, and what operators merge into pods of their own
    (TrainJob, LLMInferenceService, FeatureStore, Prometheus), are judged by what they say, not by what they leave
    out. Pods of Windows are exempt as the standard exempts them, and pods in a user namespace of their own
    (`hostUsers: false`) may be root there.
    """
    found = some(pods(workload), "it describes no pods")
    yield from once(thorough(_violations(pod, parameters.profile == "restricted") for pod in found))


def _violations(pod: Pod, restricted: bool) -> Iterator[Finding]:
    def checks() -> Iterator[Iterator[Finding]]:
        yield from (check(pod) for check in (_host_namespaces, _host_path, _sysctls, _app_armor_annotations))
        yield from (check(pod, "the pod") for check in _EITHER)
        if restricted:
            yield from (_volume_types(pod), _non_root_pod(pod), _root_user(pod, pod, "the pod"))
        for container in containers(pod):
            who = f"container {named(container)}"
            yield from (check(container, who) for check in (*_EITHER, *_CONTAINER))
            yield _proc_mount(pod, container, who, restricted)
            if restricted:
                yield _root_user(pod, container, who)
                yield from (check(pod, container, who) for check in _RESTRICTED)

    return thorough(checks())


def _host_namespaces(pod: Pod) -> Iterator[Finding]:
    def shared(key: str, what: str) -> Iterator[Finding]:
        yield from _where(pod.flag(key), pod, f"Host Namespaces: the pod shares the node's {what}", key)

    yield from thorough(shared(key, what) for key, what in _HOST_NAMESPACES.items())


def _host_path(pod: Pod) -> Iterator[Finding]:
    for volume in pod.gathered("volumes"):
        if volume.value("hostPath") is not None:
            yield volume.finding(f"HostPath Volumes: volume {named(volume)} is a path of the node", "hostPath")


def _sysctls(pod: Pod) -> Iterator[Finding]:
    for sysctl in pod.each("securityContext.sysctls"):
        if (name := sysctl.text("name")) and name not in _SYSCTLS:
            yield sysctl.finding(f"Sysctls: {name} is not among the safe ones", "name")


def _app_armor_annotations(pod: Pod) -> Iterator[Finding]:
    for key, annotation in entries(pod.metadata, "annotations").items():
        profile = annotation.text() if key.startswith(_APPARMOR) else None
        if profile not in (None, "runtime/default") and not profile.startswith("localhost/"):
            who = f"container {key.removeprefix(_APPARMOR)}"
            yield annotation.finding(f"AppArmor: an annotation takes the default profile from {who}")


def _host_process(part: View, who: str) -> Iterator[Finding]:
    at = "securityContext.windowsOptions.hostProcess"
    yield from _where(part.flag(at), part, f"HostProcess: {who} runs as a process of the Windows node", at)


def _app_armor(part: View, who: str) -> Iterator[Finding]:
    at = "securityContext.appArmorProfile.type"
    profile = part.text(at)
    yield from _where(profile not in (None, *_PROFILES), part, f"AppArmor: {who} is not confined by a profile", at)


def _seccomp(part: View, who: str) -> Iterator[Finding]:
    at = "securityContext.seccompProfile.type"
    yield from _where(part.text(at) not in (None, *_PROFILES), part, f"Seccomp: {who} is not confined by a profile", at)


def _selinux(part: View, who: str) -> Iterator[Finding]:
    at = "securityContext.seLinuxOptions"
    for key in ("user", "role"):
        yield from _where(part.has(f"{at}.{key}"), part, f"SELinux: {who} sets a {key} of its own", f"{at}.{key}")
    kind = part.text(f"{at}.type")
    yield from _where(
        kind not in (None, *_SELINUX), part, f"SELinux: {who} has a type that is not allowed", f"{at}.type"
    )


def _privileged(container: View, who: str) -> Iterator[Finding]:
    at = "securityContext.privileged"
    yield from _where(container.flag(at), container, f"Privileged Containers: {who} is privileged", at)


def _capabilities(container: View, who: str) -> Iterator[Finding]:
    for capability in container.each("securityContext.capabilities.add"):
        if (name := capability.text()) and name not in _ADDABLE:
            yield capability.finding(f"Capabilities: {who} adds {name}")


def _host_ports(container: View, who: str) -> Iterator[Finding]:
    for port in container.each("ports"):
        if number := port.number("hostPort"):
            yield port.finding(f"Host Ports: {who} takes port {number:g} of the node", "hostPort")


def _host_probes(container: View, who: str) -> Iterator[Finding]:
    for handler in _HANDLERS:
        for host in (f"{handler}.httpGet.host", f"{handler}.tcpSocket.host"):
            message = f"Host Probes / Lifecycle Hooks: {handler.rpartition('.')[2]} of {who} names a host"
            yield from _where(container.has(host), container, message, host)


def _proc_mount(pod: Pod, container: View, who: str, restricted: bool) -> Iterator[Finding]:
    at = "securityContext.procMount"
    if container.text(at) not in (None, "Default") and (restricted or _host_users(pod)):
        yield container.finding(f"/proc Mount Type: {who} unmasks /proc", at)


def _volume_types(pod: Pod) -> Iterator[Finding]:
    for volume in pod.gathered("volumes"):
        for kind in volume.keys():  # noqa: SIM118 - of a view
            if kind not in (*_VOLUMES, "hostPath", "name") and volume.value(kind) is not None:
                yield volume.finding(f"Volume Types: volume {named(volume)} is of the type {kind}", kind)


def _non_root_pod(pod: Pod) -> Iterator[Finding]:
    at = "securityContext.runAsNonRoot"
    if not pod.flag(at, default=True) and _host_users(pod):
        yield pod.finding("Running as Non-root: the pod lets its containers run as root", at)


def _root_user(pod: Pod, part: View, who: str) -> Iterator[Finding]:
    at = "securityContext.runAsUser"
    if part.number(at) == 0 and _host_users(pod):
        yield part.finding(f"Running as Non-root user: {who} runs as user 0", at)


def _non_root(pod: Pod, container: View, who: str) -> Iterator[Finding]:
    at = "securityContext.runAsNonRoot"
    inherited = pod.partial or pod.value(at) is not None
    if not container.flag(at, default=inherited) and _host_users(pod):
        yield container.finding(f"Running as Non-root: {who} may run as root", at)


def _privilege_escalation(pod: Pod, container: View, who: str) -> Iterator[Finding]:
    at = "securityContext.allowPrivilegeEscalation"
    if container.flag(at, default=not pod.partial) and not pod.windows:
        yield container.finding(f"Privilege Escalation: {who} may gain privileges", at)


def _seccomp_set(pod: Pod, container: View, who: str) -> Iterator[Finding]:
    at = "securityContext.seccompProfile.type"
    if not (pod.partial or container.has(at) or pod.has(at) or pod.windows):
        yield container.finding(f"Seccomp: {who} has no seccomp profile, and neither has its pod", at)


def _capabilities_dropped(pod: Pod, container: View, who: str) -> Iterator[Finding]:
    at = "securityContext.capabilities"
    for capability in container.each(f"{at}.add"):
        name = capability.text()
        if name in _ADDABLE and name != "NET_BIND_SERVICE" and not pod.windows:
            yield capability.finding(f"Capabilities: {who} adds {name}")
    if not pod.partial and "ALL" not in container.texts(f"{at}.drop") and not pod.windows:
        yield container.finding(f"Capabilities: {who} does not drop ALL", f"{at}.drop")


_EITHER = (_host_process, _app_armor, _seccomp, _selinux)
_CONTAINER = (_privileged, _capabilities, _host_ports, _host_probes)
_RESTRICTED = (_privilege_escalation, _non_root, _seccomp_set, _capabilities_dropped)


def _host_users(pod: Pod) -> bool:
    return pod.flag("hostUsers", default=True)


def _where(wrong: bool, part: View, message: str, at: str) -> Iterator[Finding]:
    if wrong:
        yield part.finding(message, at)
