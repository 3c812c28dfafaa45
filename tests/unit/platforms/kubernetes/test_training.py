"""The pipeline of a model as objects: what each part of the spec changes, and what is refused."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pulumi
import pytest

from pulumi_mlops.platforms.base import PipelinePlan
from pulumi_mlops.platforms.kubernetes import limits, pipeline, ray, workflow
from pulumi_mlops.spec.environments import merge
from tests.unit.platforms.kubernetes import kit
from tests.unit.platforms.kubernetes.training_kit import CASES, objects, objects_of


def spec_of(found: list[kit.Manifest], name: str = "delay") -> dict[str, Any]:
    made = kit.one(found, "WorkflowTemplate", name)["spec"]
    assert isinstance(made, dict)
    return made


def template(found: list[kit.Manifest], name: str, of: str = "delay") -> dict[str, Any]:
    return next(each for each in spec_of(found, of)["templates"] if each["name"] == name)


def job(found: list[kit.Manifest]) -> dict[str, Any]:
    made = json.loads(template(found, "train")["resource"]["manifest"])
    assert isinstance(made, dict)
    return made


@pytest.fixture(scope="module")
def full() -> list[kit.Manifest]:
    return objects()


@pytest.mark.parametrize("case", CASES)
def test_every_template_that_is_asked_for_is_there(case: str) -> None:
    for each in objects(**CASES[case]):
        if each["kind"] == "WorkflowTemplate":
            assert workflow.undefined(each["spec"]) == []


def test_a_template_that_is_not_there_is_found(full: list[kit.Manifest]) -> None:
    spec = spec_of(full)
    spec = {**spec, "templates": [each for each in spec["templates"] if each["name"] != "train"]}
    assert workflow.undefined(spec) == ["train"]


def test_steps_follow_each_other(full: list[kit.Manifest]) -> None:
    def names(of: str) -> list[str]:
        return [step["template"] for group in template(full, of)["steps"] for step in group]

    assert names("main") == ["make", "approve", "deploy"]
    assert names("make") == [
        "admit", "ingest", "verify", "featurize", "train", "evaluate", "validate", "register",
    ]  # fmt: skip
    assert template(full, "approve")["suspend"] == {}
    assert spec_of(full)["onExit"] == "finish"


def test_a_version_that_waits_for_approval_holds_no_lock(full: list[kit.Manifest]) -> None:
    assert locks(full, "delay") == {"make": ["delay"], "deploy": ["delay", "delay.endpoints"]}
    assert "synchronization" not in spec_of(full)


def test_a_rollback_waits_for_deployments_and_not_for_training(full: list[kit.Manifest]) -> None:
    assert locks(full, "delay-tasks") == {"rollback": ["delay.endpoints"]}


def locks(found: list[kit.Manifest], of: str) -> dict[str, list[str]]:
    return {
        each["name"]: [lock["name"] for lock in each["synchronization"]["mutexes"]]
        for each in spec_of(found, of)["templates"]
        if "synchronization" in each
    }


@pytest.mark.parametrize("case", ["full", "distributed"])
def test_only_the_step_that_deploys_gets_a_token(case: str) -> None:
    found = objects(**CASES[case])
    spec = spec_of(found)
    assert spec["automountServiceAccountToken"] is False
    assert spec["serviceAccountName"] == "delay-pipeline"
    assert spec["executor"] == {"serviceAccountName": "delay-executor"}
    with_token = [each["name"] for each in spec["templates"] if each.get("automountServiceAccountToken")]
    assert with_token == ["deploy"]
    deploy = template(found, "deploy")
    assert deploy["serviceAccountName"] == "delay-deploy"
    assert json.loads(deploy["podSpecPatch"])["automountServiceAccountToken"] is True
    token = kit.one(found, "Secret", "delay-executor.service-account-token")
    assert token["metadata"]["annotations"]["kubernetes.io/service-account.name"] == "delay-executor"
    accounts = [each for each in found if each["kind"] == "ServiceAccount"]
    assert {each["automountServiceAccountToken"] for each in accounts} == {False}


def test_secrets_are_mounted_where_they_are_read(full: list[kit.Manifest]) -> None:
    def secrets(step: str, of: str = "delay") -> set[str]:
        mounts = template(full, step, of)["container"]["volumeMounts"]
        return {each["mountPath"] for each in mounts if each["mountPath"].startswith("/secrets/")}

    sources, online = {"/secrets/weather", "/secrets/planes"}, {"/secrets/features"}
    assert secrets("admit") == secrets("ingest") == sources
    assert secrets("featurize") == online
    assert secrets("materialize", "delay-tasks") == sources | online
    for step in ("verify", "train", "evaluate", "validate", "register", "deploy", "finish"):
        assert secrets(step) == set(), step


def test_only_training_asks_for_gpus_and_spot_nodes(full: list[kit.Manifest]) -> None:
    for each in spec_of(full)["templates"]:
        if "container" in each:
            trains = each["name"] == "train"
            assert ("nvidia.com/gpu" in each["container"]["resources"]["limits"]) is trains, each["name"]
            assert (each.get("nodeSelector") == {"karpenter.sh/capacity-type": "spot"}) is trains, each["name"]


def test_a_step_has_the_time_and_the_room_that_it_is_given() -> None:
    found = objects(
        training={"compute": {"cpu": 3, "memory": "5Gi", "time_limit": "20m"}}, kubernetes={"workspace": "9Gi"}
    )
    step = template(found, "evaluate")
    assert step["activeDeadlineSeconds"] == 1200
    asked = {"cpu": "3", "memory": str(5 * 2**30), "ephemeral-storage": str(10 * 2**30)}
    assert step["container"]["resources"] == {"requests": asked, "limits": asked}
    # One step of the rollout at 10 minutes, the time for pods, for a Prometheus that is away, and for tables.
    assert template(found, "deploy")["activeDeadlineSeconds"] == (600 + 900 + 300) + 2 * 900 + 1200


@pytest.mark.parametrize(
    ("code", "message", "again"),
    [
        (-1, "pod deleted", True),
        (1, "", True),
        (143, "", True),
        (2, "", False),
        (10, "", False),
        (11, "", False),
        (12, "", False),
        (137, "OOMKilled (exit code 137)", False),
        (137, "Pod was active on the node longer than the specified deadline", False),
    ],
)
def test_what_is_tried_again(code: int, message: str, again: bool) -> None:
    """The expression, read as Argo's language reads it: `not in`, `matches` and `&&`."""
    expression = workflow.RETRY["expression"]
    codes, pattern = re.fullmatch(
        r"asInt\(lastRetry\.exitCode\) not in (\[.*\]) && !\(lastRetry\.message matches '(.*)'\)", expression
    ).groups()  # type: ignore[union-attr]
    assert (code not in json.loads(codes) and re.search(pattern, message) is None) is again


def test_metrics_have_the_names_that_alerts_ask_for(full: list[kit.Manifest]) -> None:
    counted = spec_of(full)["metrics"]["prometheus"]
    succeeded = template(full, "deploy")["metrics"]["prometheus"]
    rules = json.dumps(kit.one(full, "PrometheusRule", "delay-training")["spec"])
    for metric in (*counted, *succeeded):
        assert f"argo_workflows_{metric['name']}{{" in rules.replace(" ", "")
        assert {each["key"] for each in metric["labels"]} >= {"model", "mlops_namespace"}
    assert "mlops_namespace" in rules


def test_the_first_run_is_named_by_what_decides_the_model() -> None:
    def run(**changes: Any) -> str:
        made = [each for each in objects(**changes) if each["kind"] == "Workflow"]
        assert len(made) == 1
        return str(made[0]["metadata"]["name"])

    first = run()
    assert re.fullmatch(r"delay-[0-9a-f]{8}", first)
    assert run(kubernetes={"workspace": "30Gi"}) == first
    assert run(training={"compute": {"memory": "4Gi"}}) == first
    assert run(training={"seed": 8}) != first


def test_the_first_run_is_not_waited_for_and_stays(full: list[kit.Manifest]) -> None:
    run = next(each for each in full if each["kind"] == "Workflow")
    assert run["metadata"]["annotations"]["pulumi.com/skipAwait"] == "true"
    assert run["spec"]["workflowTemplateRef"] == {"name": "delay"}
    assert run["spec"]["ttlStrategy"]["secondsAfterCompletion"] > timedelta(days=3000).total_seconds()


def test_pods_stay_in_the_regions_that_governance_allows() -> None:
    found = objects_of(kit.spec(**CASES["distributed"]), regions=("eu-west-1",))
    parts = [spec_of(found), spec_of(found, "delay-tasks")]
    cluster = job(found)["spec"]["rayClusterSpec"]
    parts += [cluster["headGroupSpec"]["template"]["spec"], cluster["workerGroupSpecs"][0]["template"]["spec"]]
    for part in parts:
        required = part["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert required["nodeSelectorTerms"][0]["matchExpressions"][0]["values"] == ["eu-west-1"]


def test_work_waits_in_the_queue_and_looking_does_not(full: list[kit.Manifest]) -> None:
    for name, waits in (("train", True), ("ingest", True), ("admit", False), ("deploy", False), ("finish", False)):
        assert ("kueue.x-k8s.io/queue-name" in template(full, name)["metadata"]["labels"]) is waits, name
    assert job(objects(**CASES["distributed"]))["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "training"
    without = objects(**CASES["no queue"])
    assert "kueue" not in json.dumps(without)


def test_sources_as_large_as_the_workspace_fit_into_the_folder_that_they_are_read_through() -> None:
    """What is in an emptyDir beyond its limit has the pod evicted."""
    found = objects(**{**CASES["distributed"], "kubernetes": {"quota": {"gpu": 4}, "workspace": "50Gi", "queue": None}})
    volumes = {each["name"]: each for each in spec_of(found)["volumes"]}
    assert volumes["tmp"]["emptyDir"] == volumes["store"]["emptyDir"] == {"sizeLimit": str(50 * 2**30)}
    for group in ("headGroupSpec", "workerGroupSpecs"):
        pod = job(found)["spec"]["rayClusterSpec"][group]
        spec = (pod[0] if isinstance(pod, list) else pod)["template"]["spec"]
        scratch = next(each for each in spec["volumes"] if each["name"] == "tmp")["emptyDir"]["sizeLimit"]
        assert scratch == spec["containers"][0]["resources"]["limits"]["ephemeral-storage"]


@pytest.mark.parametrize("case", ["full", "distributed"])
def test_the_queue_covers_all_that_what_waits_in_it_asks_for(case: str) -> None:
    """Kueue admits nothing that asks for a resource beyond those (its issue 4848)."""
    found = objects(**CASES[case])
    groups = kit.one(found, "ClusterQueue")["spec"]["resourceGroups"]
    for each in found:
        for step in each["spec"]["templates"] if each["kind"] == "WorkflowTemplate" else []:
            if "kueue.x-k8s.io/queue-name" in step.get("metadata", {}).get("labels", {}):
                assert set(step["container"]["resources"]["requests"]) <= set(groups[0]["coveredResources"])
    for flavour in groups[0]["flavors"]:
        assert [each["name"] for each in flavour["resources"]] == groups[0]["coveredResources"]


def test_a_ray_cluster_has_its_workers_beside_a_head_that_schedules_nothing() -> None:
    found = objects(**CASES["distributed"])
    made = job(found)
    cluster = made["spec"]["rayClusterSpec"]
    head, workers = cluster["headGroupSpec"], cluster["workerGroupSpecs"][0]
    assert (workers["replicas"], workers["minReplicas"], workers["maxReplicas"]) == (2, 2, 2)
    assert "enableInTreeAutoscaling" not in cluster
    assert head["rayStartParams"]["num-cpus"] == head["rayStartParams"]["num-gpus"] == "0"
    assert "nodeSelector" not in head["template"]["spec"]
    assert workers["template"]["spec"]["nodeSelector"] == {"karpenter.sh/capacity-type": "spot"}
    assert head["template"]["spec"]["automountServiceAccountToken"] is False
    mounts = head["template"]["spec"]["containers"][0]["volumeMounts"]
    assert {"name": "checkpoints", "mountPath": "/checkpoints"} in mounts
    assert kit.one(found, "PersistentVolumeClaim")["spec"]["storageClassName"] == "fast"
    assert made["spec"]["entrypoint"].startswith(
        "mlops-runtime train --definition /etc/mlops/definition.json --run-id "
    )
    assert made["spec"]["entrypoint"].endswith(" --ray")


def test_a_ray_cluster_that_scales_may_change_itself() -> None:
    cluster = job(objects(**CASES["scaled"]))["spec"]["rayClusterSpec"]
    assert cluster["enableInTreeAutoscaling"] is True
    workers = cluster["workerGroupSpecs"][0]
    assert (workers["replicas"], workers["minReplicas"], workers["maxReplicas"]) == (0, 0, 4)
    assert cluster["headGroupSpec"]["template"]["spec"]["automountServiceAccountToken"] is True
    assert workers["template"]["spec"]["automountServiceAccountToken"] is False


def test_ray_is_the_version_of_the_job_image() -> None:
    pinned = (kit.ROOT / "constraints.txt").read_text()
    assert f"\nray=={ray.VERSION}\n" in pinned


def test_other_people_s_words_stay_out_of_the_shell() -> None:
    assert "workflow.parameters" not in job(objects(**CASES["distributed"]))["spec"]["entrypoint"]


def test_a_ray_cluster_on_spot_nodes_has_its_head_on_others() -> None:
    """So both flavours together hold it."""
    spec = kit.spec(
        training={"compute": {"cpu": 2, "gpu": 0}, "distribution": {"min_workers": 8, "max_workers": 8}},
        kubernetes={"queue": {"flavours": {"spot": {"cpu": 16}, "standard": {"cpu": 3}}}},
    )
    settings = spec.platform.kubernetes
    assert settings is not None
    assert limits.problems(PipelinePlan.of(spec), settings) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"training": {"compute": {"cpu": 40}}}, "training.compute: the pods of a step ask for 40.05 cores"),
        ({"training": {"compute": {"memory": "200Gi"}}}, "platform.kubernetes.quota.memory allows"),
        # The quota counts what Argo's own container may have at most.
        ({"training": {"compute": {"memory": "131000Mi"}}}, "platform.kubernetes.quota.memory allows"),
        ({"kubernetes": {"quota": {"gpu": 0}}}, "platform.kubernetes.quota.gpu allows 0"),
        (
            {"training": {"compute": {"cpu": 20}}},
            "no flavour of spot nodes of platform.kubernetes.queue holds 20050m CPU",
        ),
        # Argo's own container is in the pod too.
        ({"training": {"compute": {"cpu": 16}}}, "holds 16050m CPU"),
        # Only the step that trains goes to spot nodes.
        (
            {"kubernetes": {"queue": {"flavours": {"standard": None}}}},
            "training.compute: no flavour without spot nodes of platform.kubernetes.queue holds 1550m CPU",
        ),
        (
            {"training": {"distribution": {"min_workers": 1}}},
            "training.distribution.min_workers: is 1 and max_workers 2",
        ),
        (
            {**CASES["distributed"], "kubernetes": {"quota": {"gpu": 1}}},
            "training.distribution.max_workers: the pods of a step ask for 2 GPUs",
        ),
        (
            {"data": {"sources": {"flights": {"uri": "data/flights.csv"}}}},
            "data.sources.flights.uri: data/flights.csv is a file of this machine",
        ),
        (
            {"training": {"distribution": {"min_workers": 2, "checkpoints": "600Gi"}}},
            "training.distribution.checkpoints:",
        ),
    ],
)
def test_what_could_never_run_is_refused(changes: dict[str, Any], problem: str) -> None:
    spec = kit.spec(**changes)
    settings = spec.platform.kubernetes
    assert settings is not None
    found = limits.problems(PipelinePlan.of(spec), settings)
    assert any(problem in each for each in found), found
    with pytest.raises(pulumi.RunError, match=re.escape(problem)):
        objects(**changes)


def test_a_file_that_is_no_text_is_refused(tmp_path: Any) -> None:
    (tmp_path / "model.py").write_bytes(b"\xff\xfe\x00")
    spec = kit.spec(code={"directory": str(tmp_path)})
    with pytest.raises(pulumi.RunError, match=r"model\.py is not a text \(UTF-8\); code\.include is for source files"):
        objects_of(spec)


def test_code_that_is_too_large_is_refused(tmp_path: Any) -> None:
    (tmp_path / "table.py").write_text("x" * 1_100_000)
    with pytest.raises(pulumi.RunError, match=r"narrow code\.include"):
        objects_of(kit.spec(code={"directory": str(tmp_path)}))


CHANGES: dict[str, Any] = {
    "training.compute.cpu": 2,
    "training.compute.memory": "4Gi",
    "training.compute.time_limit": "45m",
    "training.compute.gpu": 2,
    "training.compute.spot": False,
    "training.distribution.min_workers": 1,
    "training.distribution.max_workers": 3,
    "training.distribution.checkpoints": "6Gi",
    "kubernetes.images.job": "registry.example.com/mlops/job:2",
    "kubernetes.workspace": "30Gi",
    "kubernetes.storage_class": "slow",
    "kubernetes.spot.label": "example.com/spot",
    "kubernetes.spot.value": "yes",
    "kubernetes.queue.flavours.standard.cpu": 17,
    "kubernetes.queue.flavours.standard.memory": "65Gi",
    "kubernetes.queue.flavours.standard.gpu": 1,
    "kubernetes.queue.flavours.standard.spot": True,
    "kubernetes.queue.flavours.standard.node_labels": {"pool": "training"},
    "code.include": ["*.py", "*.yaml"],
    "retraining.cooldown": "2h",
}


@pytest.mark.parametrize("field", CHANGES)
def test_each_field_changes_an_object(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "problems", lambda *_: [])
    before = {**CASES["distributed"]}
    section, *path = field.split(".")
    value: Any = CHANGES[field]
    for key in reversed(path):
        value = {key: value}
    merged = merge(before, {section: value})
    assert objects(**merged) != objects(**before)


def test_parameters_are_those_that_triggers_set(full: list[kit.Manifest]) -> None:
    declared = {each["name"] for each in spec_of(full)["arguments"]["parameters"]}
    assert declared == set(pipeline.PARAMETERS)
    for each in full:
        if each["kind"] == "CronWorkflow" and each["spec"]["workflowSpec"]["workflowTemplateRef"]["name"] == "delay":
            given = each["spec"]["workflowSpec"]["arguments"]["parameters"]
            assert {parameter["name"] for parameter in given} <= declared
