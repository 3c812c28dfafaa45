"""The kubernetes pack beyond its cases: each control of the standard, pods of every kind, correct manifests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mlops_policies import UNKNOWN, Outcome, Resource, Settings
from mlops_policies.kinds.kubernetes import accelerators, containers, named, pods
from mlops_policies.kinds.workloads import SHAPES as KINDS
from mlops_policies.packs.kubernetes.pod_security import STANDARD
from mlops_policies.values import Undecided
from pulumi_mlops.testing import policy
from pulumi_mlops.testing.policy import Case
from tests.unit.policies.cases import kubernetes as cases

MANIFESTS = Path(__file__).parents[4] / "shared" / "manifests"

VIOLATIONS = [(control, *change) for control, changes in cases.VIOLATIONS.items() for change in changes]


def messages(resource: Resource, rule: str = "pod-security-restricted", **settings: Any) -> list[tuple[str, str]]:
    return [(found.message, found.path) for found in policy.judge(resource, rule, **settings).findings]


@pytest.mark.parametrize(("control", "path", "new"), VIOLATIONS, ids=[f"{c}-{p}" for c, p, _ in VIOLATIONS])
def test_a_violation_is_one_finding_that_names_its_control(control: str, path: str, new: Any) -> None:
    (found,) = messages(cases.with_pod((path, new)))
    assert found[0].startswith(f"{control}: ")
    assert path.startswith(found[1].removeprefix("spec.template.spec.")) or path in found[1]
    if "ontainers." in path:
        assert ("container main" if path.startswith("containers") else "container init") in found[0]


def test_all_controls_of_the_standard_are_judged() -> None:
    rows = {row.partition(": ")[2] for row in STANDARD} - {"Baseline"}
    assert rows == set(cases.VIOLATIONS)
    assert len(STANDARD) == 19


def test_what_is_left_out_is_found_control_by_control() -> None:
    found = messages(cases.workload(pod={"containers": [{"name": "main"}]}))
    left_out = ["Capabilities", "Privilege Escalation", "Running as Non-root", "Seccomp"]
    assert sorted(message.partition(":")[0] for message, _ in found) == left_out


@pytest.mark.parametrize(("rule", "case"), cases.MORE.items(), ids=cases.MORE)
def test_parameters_change_what_is_found(rule: str, case: Case) -> None:
    case.check(rule)


def test_a_control_that_is_not_known_yet_hides_no_other() -> None:
    resource = cases.with_pod(
        ("containers.0.securityContext.privileged", UNKNOWN), ("hostPID", True), ("hostIPC", UNKNOWN)
    )
    judgement = policy.judge(resource, "pod-security-restricted")
    assert [found.message for found in judgement.findings] == ["Host Namespaces: the pod shares the node's processes"]
    assert judgement.undecided


def test_what_a_workflow_says_for_all_steps_is_told_once_and_where_it_says_it() -> None:
    step = {"name": "again", "container": cases.CONTAINER}
    spec = cases.changed(cases.changed(cases.STEP, "hostNetwork", True), "templates.2", step)
    assert messages(cases.workflow(spec=spec)) == [
        ("Host Namespaces: the pod shares the node's network", "spec.hostNetwork")
    ]


def test_steps_take_what_they_do_not_set_from_defaults_and_then_from_the_workflow() -> None:
    defaults = {"container": {"image": "i", "env": [{"name": "A"}]}, "serviceAccountName": "defaults"}
    templates = [{"name": "a", "container": {"command": ["x"], "image": "j"}}, {"name": "b", "script": {"source": "y"}}]
    spec = {"serviceAccountName": "all", "hostNetwork": True, "templateDefaults": defaults, "templates": templates}
    first, second = pods(cases.workflow(spec=spec))
    (main,) = containers(first)
    assert (main.text("image"), [item.text("name") for item in main.each("env")]) == ("j", ["A"])
    assert (main.at("command"), main.at("env")) == (
        "spec.templates.0.container.command",
        "spec.templateDefaults.container.env",
    )
    assert first.text("serviceAccountName") == second.text("serviceAccountName") == "defaults"
    assert first.flag("hostNetwork")
    assert first.at("hostNetwork") == "spec.hostNetwork"


@pytest.mark.parametrize(("kind", "at"), [*cases.SHAPES, *cases.PARTIAL])
def test_the_pods_of_every_kind_are_seen(kind: str, at: str) -> None:
    (pod,) = (pod for pod in pods(cases.workload(kind, at)) if pod.path == at)
    assert [named(container) for container in containers(pod, started=False)][-1:] == ["main"] or pod.partial
    assert pod.partial is ((kind, at) in cases.PARTIAL)


def test_every_kind_is_tried() -> None:
    tried = {kind.partition("/")[0] + ":" + kind.rpartition(":")[2] for kind, _ in (*cases.SHAPES, *cases.PARTIAL)}
    untried = {shape for kind, shape in KINDS.items() if kind not in tried and not shape.workflow}
    assert untried <= {KINDS[kind] for kind in tried & set(KINDS)}, "a kind of a shape of its own is not tried"


def test_pods_that_are_known_come_before_those_that_are_not() -> None:
    cluster = {"headGroupSpec": {"template": {"spec": cases.POD}}, "workerGroupSpecs": UNKNOWN}
    found = pods(cases.workload("ray.io/v1:RayCluster", "spec", cluster))
    assert next(found).path == "spec.headGroupSpec.template.spec"
    with pytest.raises(Undecided):
        next(found)


def test_accelerators_are_told_from_other_extended_resources() -> None:
    asked = {"limits": {"nvidia.com/gpu": 1, "nvidia.com/hostdev": 1, "cpu": 1}, "requests": {"google.com/tpu": 8}}
    ((container,),) = (containers(pod) for pod in pods(cases.workload(pod={"containers": [{"resources": asked}]})))
    assert accelerators(container) == {"nvidia.com/gpu", "google.com/tpu"}


def test_the_provider_s_namespace_counts_where_none_is_set() -> None:
    metadata = {"name": "it"}
    deny = policy.resource(
        "kubernetes:networking.k8s.io/v1:NetworkPolicy",
        metadata=metadata,
        provider={"namespace": "ml"},
        spec={"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
    )
    policy.assert_passes("default-deny-network", cases.space(), deny)
    policy.assert_finds("default-deny-network", cases.space("default"), deny)


def manifests() -> list[Resource]:
    if not MANIFESTS.is_dir():
        pytest.skip(
            f"{MANIFESTS} holds an object of each kind, accepted by a real API server; it is not in this checkout"
        )
    found = []
    for path in sorted(MANIFESTS.glob("*.yaml")):
        for manifest in yaml.safe_load_all(path.read_text()):
            api = manifest["apiVersion"] if "/" in manifest["apiVersion"] else f"core/{manifest['apiVersion']}"
            found.append(
                policy.resource(f"kubernetes:{api}:{manifest['kind']}", manifest["metadata"]["name"], **manifest)
            )
    return found


def test_correct_manifests_break_no_rule_that_they_should_not() -> None:
    """They are correct, and most say nothing of security: only that is found, and nothing that they do say."""
    resources = manifests()
    judgement = policy.judge(resources, packs=["kubernetes"], settings=Settings())
    assert [result.message for result in judgement.results if result.outcome is Outcome.ERROR] == []
    assert not judgement.undecided
    unsaid = {
        "pod-security-restricted",
        "no-automount-token",
        "read-only-rootfs",
        "probes-set",
        "kserve-mtls-strict",
        "kserve-authz",
    }
    assert {result.rule.id for result in judgement.findings} == unsaid
    hardened = {("read-only-rootfs", "mlflow"), ("read-only-rootfs", "retrain")}
    of_mlflow = {(r.rule.id, r.about) for r in judgement.findings if r.about == "mlflow"}
    assert of_mlflow == {("read-only-rootfs", "mlflow")}
    cron_job = {(r.rule.id, r.about) for r in judgement.findings if r.resource and r.resource.kind == "CronJob"}
    assert cron_job | of_mlflow == hardened
    assert not [
        r for r in judgement.findings if r.resource and r.resource.kind in ("Namespace", "ServiceAccount", "Role")
    ]
