"""The test bed is a real control plane: it accepts what is right, refuses what is not, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.kubernetes_kit import on_the_bed
from tools.kubernetes import build
from tools.kubernetes.api import RefusedError
from tools.kubernetes.bed import ROOT, Bed, running

pytestmark = on_the_bed


def pod(name: str, namespace: str, **spec: Any) -> dict[str, Any]:
    container = {"name": "main", "image": "registry.example/main:1", **spec.pop("container", {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"containers": [container], **spec},
    }


def gpu_pod(name: str, namespace: str, gpus: int) -> dict[str, Any]:
    return pod(
        name,
        namespace,
        container={"resources": {"limits": {"nvidia.com/gpu": str(gpus)}}},
        tolerations=[{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    )


def condition(document: dict[str, Any], kind: str) -> dict[str, Any]:
    conditions = document.get("status", {}).get("conditions") or []
    return next((each for each in conditions if each["type"] == kind), {})


def is_ready(document: dict[str, Any]) -> bool:
    return bool(condition(document, "Ready").get("status") == "True")


def test_every_example_is_accepted(bed: Bed, manifests: list[dict[str, Any]]) -> None:
    refused = {}
    for document in manifests:
        try:
            bed.api.apply(document, dry_run=True)
        except RefusedError as error:
            refused[f"{document['kind']} {document['metadata']['name']}"] = error.message
    assert refused == {}
    assert len({document["kind"] for document in manifests}) > 30


@pytest.mark.parametrize(
    ("kind", "path", "typo"),
    [
        ("InferenceService", ["spec", "predictor"], "minReplica"),
        ("RayJob", ["spec", "rayClusterSpec", "headGroupSpec"], "rayStartParam"),
        ("ClusterQueue", ["spec"], "cohort"),
        ("PrometheusRule", ["spec", "groups", 0], "intervall"),
    ],
)
def test_a_typo_in_a_custom_resource_is_refused(
    bed: Bed, manifests: list[dict[str, Any]], kind: str, path: list[Any], typo: str
) -> None:
    document = next(each for each in manifests if each["kind"] == kind)
    place = document
    for step in path:
        place = place[step]
    place[typo] = 1
    with pytest.raises(RefusedError, match=rf"{typo}.*field not declared in schema"):
        bed.api.apply(document, dry_run=True)


def test_a_typo_in_a_pod_is_refused(bed: Bed, namespace: str) -> None:
    right = pod("right", namespace)
    bed.api.apply(right, dry_run=True)
    right["spec"]["containers"][0]["imagePullpolicy"] = "Always"
    with pytest.raises(RefusedError, match=r"imagePullpolicy.*field not declared in schema"):
        bed.api.apply(right, dry_run=True)


def test_a_deployment_becomes_available(bed: Bed, namespace: str) -> None:
    labels = {"app": "web"}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod("", "")["spec"]},
        },
    }
    bed.api.apply(deployment)
    bed.api.wait(deployment, lambda found: found["status"].get("availableReplicas") == 2)


def test_a_job_completes(bed: Bed, namespace: str) -> None:
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "once", "namespace": namespace},
        "spec": {"template": {"spec": pod("", "", restartPolicy="Never")["spec"]}},
    }
    bed.api.apply(job)
    bed.api.wait(job, lambda found: condition(found, "Complete").get("status") == "True")


def test_a_claim_is_bound_and_its_pod_runs(bed: Bed, namespace: str) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": namespace},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    user = pod(
        "user",
        namespace,
        container={"volumeMounts": [{"name": "data", "mountPath": "/data"}]},
        volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
    )
    bed.api.apply(claim)
    bed.api.apply(user)
    bed.api.wait(claim, lambda found: found["status"]["phase"] == "Bound")
    bed.api.wait(user, is_ready)


def test_pods_wait_for_gpus_that_no_node_has(bed: Bed, namespace: str) -> None:
    fits, too_large = gpu_pod("fits", namespace, 4), gpu_pod("too-large", namespace, 16)
    bed.api.apply(fits)
    bed.api.apply(too_large)
    assert bed.api.wait(fits, is_ready)["spec"]["nodeName"] == "gpu"
    waiting = bed.api.wait(too_large, lambda found: condition(found, "PodScheduled").get("reason") == "Unschedulable")
    assert waiting["status"]["phase"] == "Pending"
    assert "Insufficient nvidia.com/gpu" in condition(waiting, "PodScheduled")["message"]


def test_nodes_are_heard_of_for_as_long_as_the_bed_lives(bed: Bed) -> None:
    """A node that is not makes its pods unready after 50 s, for good: a test of a minute would fail where it waits."""
    for name in (node["metadata"]["name"] for node in bed.api.items({"apiVersion": "v1", "kind": "Node"})):
        metadata = {"name": name, "namespace": "kube-node-lease"}
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata}
        first = bed.api.wait(lease, bool, 20)["spec"]["renewTime"]
        bed.api.wait(lease, lambda found, first=first: found["spec"]["renewTime"] > first, 20)


NEVER_READY = {"bed/never-ready": "true"}
REACHED: dict[str, Callable[[dict[str, Any]], bool]] = {
    "ClusterQueue": lambda status: holds(status, "Active"),
    "ExternalSecret": lambda status: holds(status, "Ready"),
    "FeatureStore": lambda status: status["phase"] == "Ready" and holds(status, "FeatureStore"),
    "Gateway": lambda status: holds(status, "Programmed"),
    "HTTPRoute": lambda status: all(holds(parent, "Accepted") for parent in status["parents"]),
    "InferenceService": lambda status: holds(status, "Ready") and status["url"].startswith("http://"),
    "JobSet": lambda status: status["terminalState"] == "Completed",
    "LocalQueue": lambda status: holds(status, "Active"),
    "RayCluster": lambda status: status["state"] == "ready",
    "RayJob": lambda status: status["jobStatus"] == "SUCCEEDED",
    "TrainJob": lambda status: holds(status, "Complete"),
}


def holds(status: dict[str, Any], kind: str) -> bool:
    return condition({"status": status}, kind).get("status") == "True"


@pytest.mark.parametrize("kind", REACHED)
def test_stages_play_the_operator_of_a_custom_resource(
    bed: Bed, manifests: list[dict[str, Any]], namespace: str, kind: str
) -> None:
    played = next(each for each in manifests if each["kind"] == kind)
    played["metadata"]["name"] = namespace  # of a kind without namespaces, too, it is the test's own
    played["spec"].pop("suspend", None)
    kept = json.loads(json.dumps(played))
    kept["metadata"] |= {"name": f"{namespace}-kept", "annotations": NEVER_READY}
    bed.api.apply(kept)
    bed.api.apply(played)
    bed.api.wait(played, lambda found: "status" in found and REACHED[kind](found["status"]), 20)
    assert not condition(bed.api.read(kept), "Ready")
    status = bed.api.read(kept).get("status")
    assert not status or status.get("jobStatus") == "RUNNING" or "Waiting for controller" in json.dumps(status)


def test_traffic_follows_the_revisions_of_an_endpoint(
    bed: Bed, namespace: str, manifests: list[dict[str, Any]]
) -> None:
    endpoint = next(each for each in manifests if each["kind"] == "InferenceService")
    predictor = endpoint["spec"]["predictor"]

    def applied(**changes: Any) -> dict[str, Any]:
        predictor.update(changes)
        generation = bed.api.apply(endpoint)["metadata"]["generation"]
        found = bed.api.wait(endpoint, lambda found: found.get("status", {}).get("observedGeneration") == generation)
        return dict(found["status"]["components"]["predictor"])

    del predictor["canaryTrafficPercent"]
    first = applied()["latestReadyRevision"]
    canary = applied(canaryTrafficPercent=10, timeout=40)
    assert {each["revisionName"]: each["percent"] for each in canary["traffic"]} == {
        first: 90,
        canary["latestReadyRevision"]: 10,
    }
    assert canary["latestRolledoutRevision"] == first
    whole = applied(canaryTrafficPercent=100)
    assert [each["percent"] for each in whole["traffic"]] == [100]
    assert whole["latestRolledoutRevision"] == whole["latestReadyRevision"] != first


def test_an_account_may_do_what_its_role_says_and_no_more(bed: Bed, namespace: str) -> None:
    rbac = "rbac.authorization.k8s.io"
    scope = {"namespace": namespace}
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "features", **scope}}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token", **scope}}
    rule = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["features"], "verbs": ["get"]}
    account = {"kind": "ServiceAccount", "name": "trainer", "namespace": namespace}
    for document in (
        config_map,
        secret,
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "trainer", **scope}},
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": {"name": "trainer", **scope}, "rules": [rule]},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "trainer", **scope},
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "trainer"},
            "subjects": [account],
        },
    ):
        bed.api.apply(document)
    trainer = bed.impersonate(f"system:serviceaccount:{namespace}:trainer")
    eventually(lambda: may(lambda: trainer.read(config_map)))  # the authorizer hears of roles a moment later
    for denied in (
        lambda: trainer.read(secret),
        lambda: trainer.delete(config_map),
        lambda: trainer.apply({**config_map, "data": {"a": "b"}}),
        lambda: trainer.items(config_map),
    ):
        assert not may(denied)


def test_pod_security_is_enforced(bed: Bed) -> None:
    with bed.namespace({"pod-security.kubernetes.io/enforce": "restricted"}) as restricted:
        with pytest.raises(RefusedError, match='violates PodSecurity "restricted'):
            bed.api.apply(pod("root", restricted))
        bed.api.apply(
            pod(
                "user",
                restricted,
                container={"securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}},
                securityContext={"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            )
        )


def test_a_bed_knows_nothing_of_another(bed: Bed, namespace: str) -> None:
    known = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    assert bed.api.read(known)["status"]["phase"] == "Active"
    with running(controllers=False) as other:
        assert set(other.processes) == {"etcd", "kube-apiserver", "serve"}
        with pytest.raises(RefusedError, match="404 NotFound"):
            other.api.read(known)
        with pytest.raises(LookupError, match=r"no Deploiment in apps/v1"):
            other.api.apply({"apiVersion": "apps/v1", "kind": "Deploiment", "metadata": {"name": "web"}})


HOLDER = """
import json, time
from tools.kubernetes.bed import running
with running() as bed:
    print(json.dumps({"processes": bed.processes, "directory": str(bed.directory)}), flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize(
    "victim",
    [
        "tests",
        pytest.param(
            "serve", marks=pytest.mark.skipif(sys.platform != "linux", reason="no signal of a parent's death")
        ),
    ],
)
def test_nothing_outlives_a_killed_process(bed: Bed, victim: str) -> None:
    tests = subprocess.Popen([sys.executable, "-c", HOLDER], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert tests.stdout is not None
    held = json.loads(tests.stdout.readline())
    processes = held["processes"] | {"tests": tests.pid}
    assert set(processes) == {*build.EXECUTABLES, "serve", "tests"} - {"kubectl"}
    assert all(is_running(pid) for pid in processes.values())

    os.kill(processes.pop(victim), signal.SIGKILL)
    tests.send_signal(signal.SIGINT)
    tests.wait(10)
    eventually(lambda: not any(is_running(pid) for pid in processes.values()))
    eventually(lambda: not Path(held["directory"]).exists())


def may(request: Callable[[], object]) -> bool:
    try:
        request()
    except RefusedError as error:
        if error.reason != "Forbidden":
            raise
        return False
    return True


def is_running(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def eventually(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)
