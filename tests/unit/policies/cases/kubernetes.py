"""Cases of the kubernetes pack."""

from __future__ import annotations

from typing import Any

from mlops_policies import UNKNOWN, Resource, Secret, Settings
from mlops_policies.packs.kubernetes.mesh import Mesh
from mlops_policies.packs.kubernetes.namespaces import LeastProfile
from mlops_policies.packs.kubernetes.pod_security import PodSecurity
from mlops_policies.packs.kubernetes.workloads import Accounts, Limited
from pulumi_mlops.testing import policy
from pulumi_mlops.testing.policy import Case

CONTAINER = {
    "name": "main",
    "image": "registry.example/train@sha256:0",
    "ports": [{"containerPort": 8080}],
    "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
    "livenessProbe": {"httpGet": {"path": "/live", "port": 8080}},
    "readinessProbe": {"tcpSocket": {"port": 8080}},
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
    },
}
POD = {
    "automountServiceAccountToken": False,
    "securityContext": {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "seccompProfile": {"type": "RuntimeDefault"},
        "sysctls": [{"name": "net.ipv4.tcp_syncookies", "value": "1"}],
    },
    "containers": [CONTAINER],
    "initContainers": [{**CONTAINER, "name": "init"}],
    "volumes": [
        {"name": "work", "emptyDir": {}},
        {"name": "model", "image": {"reference": "registry.example/model:1"}},
    ],
}


def changed(value: Any, path: str, new: Any) -> Any:
    """A value with another one at a path; a step past the end of a list appends."""
    step, _, rest = path.partition(".")
    if not step:
        return new
    if isinstance(value, list):
        items = [*value, {}] if int(step) == len(value) else list(value)
        items[int(step)] = changed(items[int(step)], rest, new)
        return items
    held = value if isinstance(value, dict) else {}
    step = step.replace("~", ".")
    default: Any = [] if rest[:1].isdecimal() else {}
    return {**held, step: changed(held.get(step, default), rest, new)}


def workload(kind: str = "apps/v1:Deployment", at: str = "spec.template.spec", pod: Any = POD, **more: Any) -> Resource:
    name = {"metadata": {"name": "it", "namespace": "ml", **more.pop("metadata", {})}}
    return policy.resource(f"kubernetes:{kind}", "it", **changed({**name, **more}, at, pod))


def with_pod(*changes: tuple[str, Any], **more: Any) -> Resource:
    pod: Any = POD
    for path, new in changes:
        pod = changed(pod, path, new)
    return workload(pod=pod, **more)


def without(value: Any, path: str) -> Any:
    return changed(value, path, None)


SECURITY = "containers.0.securityContext"
VIOLATIONS: dict[str, list[tuple[str, Any]]] = {
    "HostProcess": [
        ("securityContext.windowsOptions.hostProcess", True),
        (f"{SECURITY}.windowsOptions.hostProcess", True),
    ],
    "Host Namespaces": [("hostNetwork", True), ("hostPID", "true"), ("hostIPC", True)],
    "Privileged Containers": [(f"{SECURITY}.privileged", True), ("initContainers.0.securityContext.privileged", True)],
    "Capabilities": [
        (f"{SECURITY}.capabilities.add", ["SYS_ADMIN"]),
        (f"{SECURITY}.capabilities.add", ["CHOWN"]),
        (f"{SECURITY}.capabilities.drop", ["CHOWN"]),
        ("initContainers.0.securityContext.capabilities", None),
    ],
    "HostPath Volumes": [("volumes.2", {"name": "node", "hostPath": {"path": "/var"}})],
    "Host Ports": [("containers.0.ports.0.hostPort", 80)],
    "Host Probes / Lifecycle Hooks": [
        ("containers.0.livenessProbe.httpGet.host", "169.254.169.254"),
        ("containers.0.readinessProbe.tcpSocket.host", "127.0.0.1"),
        ("initContainers.0.lifecycle.preStop.httpGet.host", "node"),
    ],
    "AppArmor": [
        ("securityContext.appArmorProfile.type", "Unconfined"),
        (f"{SECURITY}.appArmorProfile.type", "Unconfined"),
    ],
    "SELinux": [
        ("securityContext.seLinuxOptions.type", "spc_t"),
        (f"{SECURITY}.seLinuxOptions.user", "system_u"),
        (f"{SECURITY}.seLinuxOptions.role", "system_r"),
    ],
    "/proc Mount Type": [(f"{SECURITY}.procMount", "Unmasked")],
    "Sysctls": [("securityContext.sysctls.1", {"name": "kernel.msgmax", "value": "1"})],
    "Volume Types": [("volumes.2", {"name": "share", "nfs": {"server": "nfs", "path": "/"}})],
    "Privilege Escalation": [
        (f"{SECURITY}.allowPrivilegeEscalation", True),
        (f"{SECURITY}.allowPrivilegeEscalation", None),
    ],
    "Running as Non-root": [("securityContext.runAsNonRoot", False), (f"{SECURITY}.runAsNonRoot", False)],
    "Running as Non-root user": [("securityContext.runAsUser", 0), (f"{SECURITY}.runAsUser", 0)],
    "Seccomp": [
        ("securityContext.seccompProfile.type", "Unconfined"),
        (f"{SECURITY}.seccompProfile.type", "Unconfined"),
    ],
}
"""For each control, changes of a pod that break it and no other."""

ANNOTATION = "container~apparmor~security~beta~kubernetes~io/main"
WINDOWS = {"os": {"name": "windows"}, "securityContext": {"runAsNonRoot": True}, "containers": [{"name": "main"}]}
STEP = {
    "templates": [
        {"name": "main", "steps": [[{"name": "train", "template": "train"}]]},
        {"name": "train", "container": {**CONTAINER, "name": ""}},
    ],
    "automountServiceAccountToken": False,
    "securityContext": POD["securityContext"],
    "volumes": POD["volumes"],
}
SHAPES: list[tuple[str, str]] = [
    ("core/v1:Pod", "spec"),
    ("core/v1:PodTemplate", "template.spec"),
    ("core/v1:ReplicationController", "spec.template.spec"),
    ("apps/v1:StatefulSet", "spec.template.spec"),
    ("apps/v1:DaemonSet", "spec.template.spec"),
    ("apps/v1:ReplicaSet", "spec.template.spec"),
    ("apps/v1:DeploymentList", "items.0.spec.template.spec"),
    ("extensions/v1beta1:Deployment", "spec.template.spec"),
    ("batch/v1:Job", "spec.template.spec"),
    ("batch/v1:CronJob", "spec.jobTemplate.spec.template.spec"),
    ("serving.knative.dev/v1:Service", "spec.template.spec"),
    ("serving.kserve.io/v1beta1:InferenceService", "spec.predictor"),
    ("serving.kserve.io/v1beta1:InferenceService", "spec.predictor.workerSpec"),
    ("serving.kserve.io/v1beta1:InferenceService", "spec.transformer"),
    ("serving.kserve.io/v1beta1:InferenceService", "spec.explainer"),
    ("serving.kserve.io/v1beta1:InferenceService", "spec.canary.predictor"),
    ("serving.kserve.io/v1alpha1:ServingRuntime", "spec"),
    ("serving.kserve.io/v1alpha1:ClusterServingRuntime", "spec.workerSpec"),
    ("ray.io/v1:RayCluster", "spec.headGroupSpec.template.spec"),
    ("ray.io/v1:RayCluster", "spec.workerGroupSpecs.0.template.spec"),
    ("ray.io/v1:RayJob", "spec.rayClusterSpec.workerGroupSpecs.0.template.spec"),
    ("ray.io/v1:RayJob", "spec.submitterPodTemplate.spec"),
    ("ray.io/v1:RayService", "spec.rayClusterConfig.headGroupSpec.template.spec"),
    ("ray.io/v1:RayCronJob", "spec.jobTemplate.rayClusterSpec.headGroupSpec.template.spec"),
    ("jobset.x-k8s.io/v1alpha2:JobSet", "spec.replicatedJobs.0.template.spec.template.spec"),
    (
        "trainer.kubeflow.org/v1alpha1:TrainingRuntime",
        "spec.template.spec.replicatedJobs.0.template.spec.template.spec",
    ),
    ("kubeflow.org/v1:Notebook", "spec.template.spec"),
]
"""Kinds that make pods, and where the pod spec stands."""

PARTIAL: list[tuple[str, str]] = [
    ("apps/v1:DeploymentPatch", "spec.template.spec"),
    ("serving.kserve.io/v1alpha1:LLMInferenceService", "spec.prefill.template"),
    (
        "trainer.kubeflow.org/v1alpha1:TrainJob",
        "spec.runtimePatches.0.trainingRuntimeSpec.template.spec.replicatedJobs.0.template.spec.template.spec",
    ),
    ("feast.dev/v1:FeatureStore", "spec.services"),
    ("monitoring.coreos.com/v1:Prometheus", "spec"),
]
"""Kinds that change pods, and where they do."""


def workflow(kind: str = "WorkflowTemplate", at: str = "spec", spec: Any = STEP) -> Resource:
    return workload(f"argoproj.io/v1alpha1:{kind}", at, spec)


def parameters(rule: str, given: Any) -> Settings:
    return Settings(parameters={rule: given})


def object_of(kind: str, name: str = "it", space: str = "ml", **props: Any) -> Resource:
    metadata = {"name": name, "namespace": space, **props.pop("metadata", {})}
    return policy.resource(f"kubernetes:{kind}", name, metadata=metadata, **props)


ENFORCE = "pod-security.kubernetes.io/enforce"
MESH = "security.istio.io/v1"


def space(name: str = "ml", kind: str = "Namespace", **labels: Any) -> Resource:
    return policy.resource(f"kubernetes:core/v1:{kind}", name, metadata={"name": name, "labels": labels})


def network_policy(space: str = "ml", name: str = "deny", **spec: Any) -> Resource:
    spec = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], **spec}
    return object_of("networking.k8s.io/v1:NetworkPolicy", name, space, spec=spec)


def account(name: str = "trainer", kind: str = "ServiceAccount", **props: Any) -> Resource:
    return object_of(f"core/v1:{kind}", name, **props)


def service(name: str = "fraud", **props: Any) -> Resource:
    return object_of("serving.kserve.io/v1beta1:InferenceService", name, **props)


def peers(mode: Any = "STRICT", space: str = "ml", name: str = "peers", **spec: Any) -> Resource:
    return object_of(f"{MESH}:PeerAuthentication", name, space, spec={"mtls": {"mode": mode}, **spec})


def callers(space: str = "ml", name: str = "callers", **spec: Any) -> Resource:
    return object_of(f"{MESH}:AuthorizationPolicy", name, space, spec=spec)


def asking(resource: str = "nvidia.com/gpu", **more: Any) -> Resource:
    limits = {**CONTAINER["resources"]["limits"], resource: "1"}  # type: ignore[index]
    return workload("batch/v1:Job", pod=changed(POD, "containers.0.resources.limits", limits), **more)


def quota(hard: Any, space: str = "ml") -> Resource:
    return object_of("core/v1:ResourceQuota", "quota", space, spec={"hard": hard})


def role(kind: str = "Role", **grant: Any) -> Resource:
    rules = [{"apiGroups": ["ray.io"], "resources": ["rayjobs"], "verbs": ["get"], **grant}]
    return object_of(f"rbac.authorization.k8s.io/v1:{kind}", rules=rules)


def binding(name: Any, kind: str = "RoleBinding") -> Resource:
    return object_of(f"rbac.authorization.k8s.io/v1:{kind}", roleRef={"kind": "ClusterRole", "name": name})


SELECTED: dict[str, Any] = {"selector": {"matchLabels": {"serving.kserve.io/inferenceservice": "fraud"}}}
OTHER: dict[str, Any] = {"selector": {"matchLabels": {"app": "other"}}}
SAME_NAMESPACE = {"from": [{"source": {"namespaces": ["ml"]}}]}
UNLIMITED = changed(POD, "containers.0.resources.limits", {"cpu": "1"})
UNREFUSED = without(POD, "automountServiceAccountToken")
TRAINER = {**UNREFUSED, "serviceAccountName": "trainer"}
ASKING = {**TRAINER, "automountServiceAccountToken": True}


def bound(role: str = "Role", space: str = "ml", account: str = "trainer") -> Resource:
    subject = {"kind": "ServiceAccount", "name": account}
    kind = "rbac.authorization.k8s.io/v1:RoleBinding"
    return object_of(kind, space=space, roleRef={"kind": role, "name": "it"}, subjects=[subject])


AUTONAMED = policy.resource("kubernetes:core/v1:Namespace", "ml", metadata={"labels": {ENFORCE: "restricted"}})
OTHER_SPACE = policy.resource("kubernetes:core/v1:Namespace", "other", metadata={})


def inside(kind: str, space: Resource, **props: Any) -> Resource:
    return policy.resource(f"kubernetes:{kind}", "it", refers={"metadata": space}, **props)


CASES = {
    "pod-security-restricted": Case(
        passing=[
            workload(),
            workload(pod=WINDOWS),
            with_pod(("hostUsers", False), ("securityContext.runAsUser", 0), ("securityContext.runAsNonRoot", False)),
            with_pod(("containers.0.ports.0.hostPort", 0), ("containers.0.livenessProbe.httpGet.host", "")),
            workload(
                pod=changed(
                    {"containers": [CONTAINER]},
                    SECURITY,
                    {
                        "runAsNonRoot": True,
                        "seccompProfile": {"type": "Localhost"},
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                )
            ),
            *(workload(kind, at) for kind, at in SHAPES),
            *(workload(kind, at, {"containers": [{"name": "main"}]}) for kind, at in PARTIAL),
            workload(
                "serving.kserve.io/v1beta1:InferenceService",
                "spec.predictor",
                {**POD, "containers": None, "model": CONTAINER},
            ),
            workflow(),
            workflow("CronWorkflow", "spec.workflowSpec"),
            workflow(spec=changed(STEP, "podSpecPatch", '{"containers": [{"name": "main"}]}')),
            workflow(
                spec={
                    **without(STEP, "securityContext"),
                    "templates": [{"name": "a", "script": {"image": "i"}}],
                    "templateDefaults": {
                        "securityContext": POD["securityContext"],
                        "script": {"securityContext": CONTAINER["securityContext"]},
                    },
                }
            ),
        ],
        failing=[
            *(with_pod(change) for changes in VIOLATIONS.values() for change in changes),
            workload(spec=changed({}, f"template.metadata.annotations.{ANNOTATION}", "unconfined")),
            with_pod((f"{SECURITY}.procMount", "Unmasked"), ("hostUsers", False)),
            with_pod(("securityContext", {"runAsUser": 1000})),
            *(workload(kind, at, changed(POD, "hostNetwork", True)) for kind, at in (*SHAPES, *PARTIAL)),
            *(workload(kind, at, {"containers": [{"name": "main"}]}) for kind, at in SHAPES),
            workload(
                "serving.kserve.io/v1beta1:InferenceService",
                "spec.predictor",
                {**POD, "sklearn": {"storageUri": "s3://m"}},
            ),
            workload("core/v1:Pod", "spec", changed(POD, "ephemeralContainers", [{"name": "debug"}])),
            workflow(spec=changed(STEP, "hostNetwork", True)),
            workflow(spec=changed(STEP, "volumes.2", {"name": "node", "hostPath": {"path": "/"}})),
            workflow(spec=changed(STEP, "templates.1.volumes", [{"name": "node", "hostPath": {"path": "/"}}])),
            workflow(spec=changed(STEP, "podSpecPatch", '{"hostPID": true}')),
            workflow(spec=changed(STEP, "templates.1.sidecars", [{"name": "proxy", "image": "i"}])),
            workflow(spec=changed(STEP, "templates.0.steps.0.0.inline", {"container": {"image": "i"}})),
            [with_pod(("containers", UNKNOWN), ("hostNetwork", True))],
        ],
        undecided=[
            workload(pod=UNKNOWN),
            with_pod((f"{SECURITY}.privileged", UNKNOWN)),
            with_pod(("securityContext.runAsNonRoot", UNKNOWN)),
            with_pod(("securityContext.runAsUser", Secret(0))),
            workflow(spec=changed(STEP, "podSpecPatch", "containers: []")),
        ],
        set_unknown=[with_pod(("containers.0.image", UNKNOWN), ("containers.0.name", UNKNOWN))],
        not_applicable=[policy.resource("kubernetes:apps/v1:Deployment", spec={"replicas": 2})],
    ),
    "namespace-pss-label": Case(
        passing=[
            space(**{ENFORCE: "baseline"}),
            space(**{ENFORCE: "restricted"}),
        ],
        failing=[
            space(),
            space(**{ENFORCE: "privileged"}),
            space(**{"pod-security.kubernetes.io/warn": "restricted"}),
            space(kind="NamespacePatch", **{ENFORCE: "privileged"}),
        ],
        undecided=[
            policy.resource("kubernetes:core/v1:Namespace", metadata={"labels": {ENFORCE: UNKNOWN}}),
            policy.resource("kubernetes:core/v1:Namespace", metadata=UNKNOWN),
        ],
        not_applicable=[
            space(kind="NamespacePatch"),
        ],
    ),
    "default-deny-network": Case(
        passing=[
            [space(), network_policy()],
            [space(), network_policy(policyTypes=["Ingress"]), network_policy(policyTypes=["Egress"])],
            [space(), network_policy(egress=[{"ports": [{"port": 53}]}], ingress=[{"from": [{"podSelector": {}}]}])],
            [space(), network_policy(egress=[{"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}]}])],
            [space(), network_policy(), network_policy(podSelector={"matchLabels": {"a": "b"}}, ingress=[{}])],
            [
                AUTONAMED,
                OTHER_SPACE,
                inside("networking.k8s.io/v1:NetworkPolicy", AUTONAMED, spec={"policyTypes": ["Ingress", "Egress"]}),
                inside("networking.k8s.io/v1:NetworkPolicy", OTHER_SPACE, spec={"policyTypes": ["Ingress", "Egress"]}),
            ],
        ],
        failing=[
            [space()],
            [space(), network_policy("other")],
            [space(), network_policy(policyTypes=["Ingress"])],
            [space(), network_policy(policyTypes=None)],
            [space(), network_policy(podSelector={"matchLabels": {"a": "b"}})],
            [space(), network_policy(), network_policy(policyTypes=["Egress"], egress=[{}])],
            [space(), network_policy(ingress=[{"from": []}])],
            [space(), network_policy(egress=[{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}])],
            [space(), network_policy(ingress=[{"from": [{"podSelector": {}}, {"ipBlock": {"cidr": "::/0"}}]}])],
            [AUTONAMED, OTHER_SPACE, inside("networking.k8s.io/v1:NetworkPolicy", OTHER_SPACE, spec={})],
        ],
        undecided=[
            [space(), network_policy(egress=UNKNOWN)],
            [space(), network_policy(podSelector=UNKNOWN)],
            [space(), policy.resource("kubernetes:networking.k8s.io/v1:NetworkPolicy", metadata=UNKNOWN, spec={})],
        ],
    ),
    "no-automount-token": Case(
        passing=[
            workload(),
            workload(pod={**TRAINER, "serviceAccountName": "api"}),
            [workload(pod=TRAINER), account(automountServiceAccountToken=False)],
            [workload(pod=ASKING), bound()],
            [workload(pod=UNREFUSED), account("default", "ServiceAccountPatch", automountServiceAccountToken=False)],
            [account("api")],
            [workload("apps/v1:DeploymentPatch", pod={"containers": []})],
            [workflow(spec=STEP)],
        ],
        failing=[
            workload(pod=UNREFUSED),
            workload(pod=changed(POD, "automountServiceAccountToken", True)),
            workload("apps/v1:DeploymentPatch", pod={"automountServiceAccountToken": True}),
            [workload(pod=ASKING), bound("ClusterRole")],
            [workload(pod=ASKING), bound(space="other")],
            [workload(pod=ASKING), bound(account="other")],
            [account()],
            [account(automountServiceAccountToken=True)],
            [account("default", "ServiceAccountPatch")],
            [workload(pod=TRAINER), account(automountServiceAccountToken=False, metadata={"namespace": "other"})],
            [workload(pod=TRAINER), account("default", automountServiceAccountToken=False)],
            [workload(pod=UNREFUSED), account("default", "ServiceAccountPatch")],
        ],
        undecided=[
            account(automountServiceAccountToken=UNKNOWN),
            workload(pod=changed(POD, "automountServiceAccountToken", UNKNOWN)),
        ],
        not_applicable=[policy.resource("kubernetes:apps/v1:Deployment", spec={"replicas": 2})],
        settings=parameters("no-automount-token", Accounts(accounts=["api"])),
    ),
    "read-only-rootfs": Case(
        passing=[
            workload(),
            workload(pod=WINDOWS),
            workload("apps/v1:DeploymentPatch", pod={"containers": [{"name": "a"}]}),
        ],
        failing=[
            with_pod((f"{SECURITY}.readOnlyRootFilesystem", None)),
            with_pod(("initContainers.0.securityContext.readOnlyRootFilesystem", False)),
            workload("apps/v1:DeploymentPatch", pod=changed(POD, f"{SECURITY}.readOnlyRootFilesystem", False)),
        ],
        undecided=[with_pod((f"{SECURITY}.readOnlyRootFilesystem", UNKNOWN)), with_pod(("containers", UNKNOWN))],
        not_applicable=[workload(pod={"containers": []})],
    ),
    "resource-limits": Case(
        passing=[
            workload(),
            workload(pod={**UNLIMITED, "resources": {"limits": {"memory": "1Gi"}}}),
            *(
                [
                    workload(pod=UNLIMITED),
                    object_of("core/v1:LimitRange", spec={"limits": [{"type": "Container", key: {"memory": "1Gi"}}]}),
                ]
                for key in ("default", "max")
            ),
        ],
        failing=[
            workload(pod=UNLIMITED),
            with_pod(("initContainers.0.resources", None)),
            with_pod(("containers.0.resources.limits", {"memory": "1Gi"})),
            [
                workload(pod=UNLIMITED),
                object_of("core/v1:LimitRange", spec={"limits": [{"type": "Pod", "max": {"memory": "1Gi"}}]}),
            ],
            [
                workload(pod=UNLIMITED),
                object_of(
                    "core/v1:LimitRange",
                    space="other",
                    spec={"limits": [{"type": "Container", "default": {"memory": "1Gi"}}]},
                ),
            ],
        ],
        undecided=[
            with_pod(("containers.0.resources", UNKNOWN)),
            [workload(pod=UNLIMITED), object_of("core/v1:LimitRange", spec=UNKNOWN)],
        ],
        set_unknown=[with_pod(("containers.0.resources.limits.memory", UNKNOWN))],
        not_applicable=[workload("apps/v1:DeploymentPatch", pod={"containers": [{"name": "a"}]})],
    ),
    "probes-set": Case(
        passing=[
            workload(),
            with_pod(("initContainers.0.livenessProbe", None)),
        ],
        failing=[
            with_pod(("containers.0.livenessProbe", None)),
            with_pod(("containers.0.readinessProbe", None)),
            workload("serving.kserve.io/v1beta1:InferenceService", "spec.predictor.model", {"storageUri": "s3://m"}),
        ],
        undecided=[with_pod(("restartPolicy", UNKNOWN))],
        set_unknown=[with_pod(("containers.0.livenessProbe", UNKNOWN))],
        not_applicable=[
            workload("core/v1:Pod", "spec", {"restartPolicy": "Never", "containers": [{"name": "once"}]}),
        ],
    ),
    "rbac-no-wildcard": Case(
        passing=[role(), role("ClusterRole"), binding("view"), binding("mine", "ClusterRoleBinding")],
        failing=[
            role(verbs=["*"]),
            role("ClusterRole", resources=["*"]),
            role(resources=["pods/*"]),
            role("ClusterRolePatch", apiGroups=["*"]),
            role("ClusterRole", nonResourceURLs=["/metrics/*"]),
            role(verbs=["*"], resources=UNKNOWN),
            binding("cluster-admin"),
            binding("cluster-admin", "ClusterRoleBinding"),
        ],
        undecided=[role(verbs=UNKNOWN), binding(UNKNOWN)],
    ),
    "kserve-mtls-strict": Case(
        passing=[
            [service(), peers()],
            [service(), peers(space="istio-system")],
            [service(), peers("UNSET"), peers(space="istio-system")],
            [service(), peers("PERMISSIVE"), peers(**SELECTED)],
            [service(), peers(), peers("DISABLE", **OTHER)],
            [service(), peers(), peers("DISABLE", space="other")],
            [service(), peers(), peers("UNSET", portLevelMtls={"8080": {"mode": "STRICT"}}, **SELECTED)],
        ],
        failing=[
            [service()],
            [service(), peers("PERMISSIVE")],
            [service(), peers("DISABLE"), peers(space="istio-system")],
            [service(), peers(), peers("PERMISSIVE", name="second")],
            [service(), peers(), peers("PERMISSIVE", **SELECTED)],
            [service(), peers(), peers("UNSET", portLevelMtls={"8080": {"mode": "DISABLE"}}, **SELECTED)],
            [service(), peers(space="other")],
            [service(), peers(**OTHER)],
            [service(), peers(selector={"matchLabels": {"component": "predictor", "app": "other"}})],
            [service(metadata={"annotations": {"sidecar.istio.io/inject": "false"}}), peers()],
            [service(metadata={"labels": {"sidecar.istio.io/inject": "false"}}), peers()],
        ],
        undecided=[[service(), peers(UNKNOWN)], [service(metadata={"namespace": UNKNOWN}), peers()]],
    ),
    "kserve-authz": Case(
        passing=[
            [service(), callers(rules=[SAME_NAMESPACE, {"to": [{"operation": {"paths": ["/metrics"]}}]}])],
            [service(), callers()],
            [service(), callers("istio-system")],
            [service(), callers(action="CUSTOM", rules=[{}])],
            [service(), callers(rules=[{"when": [{"key": "request.auth.claims[group]", "values": ["ml"]}]}])],
            [service(), callers(action="ALLOW", **SELECTED)],
        ],
        failing=[
            [service()],
            [service(), callers("other")],
            [service(), callers(action="DENY", rules=[SAME_NAMESPACE])],
            [service(), callers(), callers(rules=[{}], name="open")],
            [service(), callers(rules=[{"from": [{"source": {"principals": ["*"]}}]}])],
            [service(), callers(rules=[{"from": [{"source": {}}]}])],
            [
                service(),
                callers(rules=[{"from": [{"source": {"namespaces": ["ml"]}}, {"source": {"namespaces": ["*"]}}]}]),
            ],
            [service(), callers(**OTHER)],
            [service(), callers(targetRefs=[{"kind": "Gateway", "name": "g"}])],
        ],
        undecided=[[service(), callers(rules=UNKNOWN)], [service(), callers(action=UNKNOWN)]],
    ),
    "gpu-quota": Case(
        passing=[
            [space(), asking(), quota({"requests.nvidia.com/gpu": "8"})],
        ],
        failing=[
            [space(), asking()],
            [space(), asking(), quota({"requests.nvidia.com/gpu": "8"}, "other")],
            [space(), asking(), quota({"requests.cpu": "8"})],
            [space(), asking("nvidia.com/mig-1g.5gb"), quota({"requests.nvidia.com/gpu": "8"})],
            [
                space(),
                workload(
                    "trainer.kubeflow.org/v1alpha1:TrainJob",
                    "spec.trainer",
                    {"resourcesPerNode": {"limits": {"nvidia.com/gpu": "4"}}},
                ),
            ],
        ],
        undecided=[
            [space(), with_pod(("containers.0.resources.limits", UNKNOWN))],
            [space(), asking(), quota(UNKNOWN)],
        ],
        set_unknown=[[space(), asking(), quota({"requests.nvidia.com/gpu": UNKNOWN})]],
        not_applicable=[
            [space(), asking(metadata={"labels": {"kueue.x-k8s.io/queue-name": "training"}})],
            [space(), workload()],
            [space("other"), asking()],
        ],
    ),
}

MORE = {
    "pod-security-restricted": Case(
        passing=[
            with_pod((f"{SECURITY}.procMount", "Unmasked"), ("hostUsers", False)),
            workload(pod={"containers": [{}]}),
        ],
        failing=[with_pod((f"{SECURITY}.procMount", "Unmasked")), with_pod(("hostNetwork", True))],
        settings=parameters("pod-security-restricted", PodSecurity(profile="baseline")),
    ),
    "namespace-pss-label": Case(
        passing=[space(**{ENFORCE: "restricted"})],
        failing=[space(**{ENFORCE: "baseline"})],
        settings=parameters("namespace-pss-label", LeastProfile(least="restricted")),
    ),
    "resource-limits": Case(
        passing=[with_pod(("containers.0.resources.limits", {"memory": "1Gi"}))],
        failing=[workload(pod=UNLIMITED)],
        settings=parameters("resource-limits", Limited(limits=("memory",))),
    ),
    "kserve-mtls-strict": Case(
        passing=[service(), [service(), peers("UNSET")], [service(), peers("STRICT", space="mesh")]],
        failing=[[service(), peers("PERMISSIVE")], [service(), peers("PERMISSIVE", space="mesh")]],
        settings=parameters("kserve-mtls-strict", Mesh(root="mesh", elsewhere=True)),
    ),
    "kserve-authz": Case(
        passing=[service(), [service(), callers("mesh")]],
        failing=[[service(), callers(rules=[{}])]],
        settings=parameters("kserve-authz", Mesh(root="mesh", elsewhere=True)),
    ),
}
"""Cases with other parameters."""
