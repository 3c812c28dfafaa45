"""A stack on a real API server lives as the official provider would let it: made, changed, mended, replaced, gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import ClusterProject
from tests.kubernetes_kit import on_the_bed

pytestmark = [*on_the_bed, pytest.mark.engine]

Make = Callable[..., ClusterProject]
PROGRAM = """
import pulumi
import pulumi_kubernetes as k8s

OWNED = ["spec.predictor.model.runtime", "spec.predictor.model.storageUri"]
provider = k8s.Provider("cluster", namespace="$namespace")
opts = pulumi.ResourceOptions(provider=provider, custom_timeouts=pulumi.CustomTimeouts(create="30s", update="30s"))
space = k8s.core.v1.Namespace("space", metadata={"name": "$namespace"}, opts=opts)
inside = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[space]))
settings = k8s.core.v1.ConfigMap("settings", data={"level": "info"}, opts=inside)
secret = k8s.core.v1.Secret("secret", metadata={"name": "token"}, string_data={"key": "canary-91c4"}, opts=inside)
claim = k8s.core.v1.PersistentVolumeClaim(
    "claim",
    metadata={"name": "data"},
    spec={"access_modes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}},
    opts=inside,
)
web = k8s.apps.v1.Deployment(
    "web",
    metadata={"name": "web"},
    spec={
        "replicas": 2,
        "selector": {"match_labels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "containers": [
                    {
                        "name": "main",
                        "image": "registry.example.com/web:1",
                        "resources": {"requests": {"cpu": "0.5"}},
                        "env_from": [{"config_map_ref": {"name": settings.metadata.name}}],
                    }
                ]
            },
        },
    },
    opts=inside,
)
endpoint = k8s.apiextensions.CustomResource(
    "endpoint",
    api_version="serving.kserve.io/v1beta1",
    kind="InferenceService",
    metadata={"name": "delay", "annotations": {"pulumi.com/waitFor": "condition=Ready"}},
    spec={"predictor": {"minReplicas": 1, "model": {"modelFormat": {"name": "onnx"}, "runtime": "onnx"}}},
    opts=pulumi.ResourceOptions.merge(inside, pulumi.ResourceOptions(ignore_changes=OWNED)),
)
pulumi.export("settings", settings.metadata.name)
pulumi.export("ready", web.status.available_replicas)
"""


def served(project: ClusterProject) -> dict[str, Any]:
    return dict(project.read("serving.kserve.io/v1beta1", "InferenceService", "delay")["spec"]["predictor"])


def test_a_stack_lives_and_goes(cluster_project: Make) -> None:
    project = cluster_project(PROGRAM)
    preview = project.preview()
    assert preview.changes == {"create": 8}  # and the stack, and the provider

    assert project.up().changes == {"created": 8}
    settings = project.outputs()["settings"]
    assert settings.startswith("settings-")
    assert project.outputs()["ready"] == 2
    made = {
        ("Namespace", project.namespace),
        ("ConfigMap", settings),
        ("Secret", "token"),
        ("PersistentVolumeClaim", "data"),
        ("Deployment", "web"),
        ("InferenceService", "delay"),
    }
    assert project.objects() == made
    assert project.read("v1", "PersistentVolumeClaim", "data")["status"]["phase"] == "Bound"
    assert "canary-91c4" not in project.pulumi("stack", "export").text

    assert project.preview().changes == {"unchanged": 8}
    assert project.up().changes == {"unchanged": 8}
    assert project.refresh().changes == {"unchanged": 8}

    project.change('"replicas": 2', '"replicas": 3')
    assert "replicas: 2 => 3" in " ".join(project.preview().text.split())
    assert project.up().changes == {"updated": 1, "unchanged": 7}
    assert project.read("apps/v1", "Deployment", "web")["status"]["availableReplicas"] == 3

    project.destroy()
    assert project.objects() == set()
    assert project.state() == []


def test_what_others_changed_is_found_and_mended(cluster_project: Make) -> None:
    project = cluster_project(PROGRAM)
    project.up()
    deployment = project.read("apps/v1", "Deployment", "web")
    edited = {key: deployment[key] for key in ("apiVersion", "kind")}
    edited |= {"metadata": {"name": "web", "namespace": project.namespace}, "spec": {"replicas": 1}}
    project.bed.api.apply(edited, manager="somebody")
    token = project.read("v1", "Secret", "token")
    project.bed.api.delete(token)

    assert project.refresh().changes == {"updated": 1, "deleted": 1, "unchanged": 6}
    (web,) = [each for each in project.state() if each["urn"].endswith("::web")]
    assert web["inputs"]["spec"]["replicas"] == 1
    assert web["inputs"]["spec"]["template"]["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "0.5"}}

    conflict = project.up(check=False)
    assert conflict.code != 0
    assert 'conflict with "somebody": .spec.replicas' in conflict.text
    project.change(
        'provider = k8s.Provider("cluster", ', 'provider = k8s.Provider("cluster", enable_patch_force=True, '
    )
    project.up()
    assert project.read("apps/v1", "Deployment", "web")["spec"]["replicas"] == 2
    assert project.read("v1", "Secret", "token")["data"] == {"key": "Y2FuYXJ5LTkxYzQ="}
    assert project.up().changes == {"unchanged": 8}


def test_what_a_pipeline_owns_is_left_to_it(cluster_project: Make) -> None:
    project = cluster_project(PROGRAM)
    project.up()
    deployed = {"storageUri": "s3://models/delay/7", "runtime": "sklearn"}
    project.bed.api.apply(
        {
            "apiVersion": "serving.kserve.io/v1beta1",
            "kind": "InferenceService",
            "metadata": {"name": "delay", "namespace": project.namespace},
            "spec": {"predictor": {"model": {"modelFormat": {"name": "onnx"}, **deployed}}},
        },
        manager="deploy",
    )
    project.refresh()
    assert project.preview().changes == {"unchanged": 8}
    project.change('"minReplicas": 1', '"minReplicas": 2')
    assert project.up().changes == {"updated": 1, "unchanged": 7}
    predictor = served(project)
    assert predictor["minReplicas"] == 2
    assert {key: predictor["model"][key] for key in deployed} == deployed


def test_what_can_not_change_is_replaced(cluster_project: Make) -> None:
    project = cluster_project(PROGRAM)
    project.up()
    earlier = project.outputs()["settings"]
    before = project.read("apps/v1", "Deployment", "web")["metadata"]["uid"]
    project.change('"level": "info"', '"level": "debug"')
    project.change('"app": "web"', '"app": "site"')
    assert project.preview().changes == {"replace": 2, "unchanged": 6}
    assert project.up().changes == {"replaced": 2, "unchanged": 6}
    later = project.outputs()["settings"]
    assert later != earlier  # a name of ours: made before the old one goes
    deployment = project.read("apps/v1", "Deployment", "web")
    assert deployment["metadata"]["uid"] != before  # a fixed name: gone before the new one is made
    assert deployment["spec"]["selector"] == {"matchLabels": {"app": "site"}}
    assert {name for kind, name in project.objects() if kind == "ConfigMap"} == {later}


def test_a_typo_in_a_custom_resource_is_refused_at_preview(cluster_project: Make) -> None:
    project = cluster_project(PROGRAM.replace('"minReplicas": 1', '"minReplica": 1'))
    preview = project.preview(check=False)
    assert preview.code != 0
    assert ".spec.predictor.minReplica: field not declared in schema" in preview.text
    assert not project.has_namespace()


def test_a_typo_beside_a_value_that_is_not_known_yet_is_refused_at_preview(cluster_project: Make) -> None:
    project = cluster_project(
        PROGRAM.replace('"image":', '"imagePullpolicy": claim.metadata.uid, "imagee": "", "image":')
    )
    preview = project.preview(check=False)
    assert preview.code != 0
    assert ".imagee: field not declared in schema" in " ".join(preview.text.split())


def test_an_endpoint_that_never_gets_ready_is_told_and_kept(cluster_project: Make) -> None:
    waiting = '"bed/never-ready": "true", "pulumi.com/waitFor"'
    project = cluster_project(PROGRAM.replace('"pulumi.com/waitFor"', waiting).replace('create="30s"', 'create="3s"'))
    up = project.up(check=False)
    assert up.code != 0
    text = " ".join(up.text.split())
    assert (
        f"InferenceService delay in namespace {project.namespace}: not ready after 3 s: no condition Ready yet" in text
    )
    assert "Traceback" not in up.text
    assert ("InferenceService", "delay") in project.objects()
    assert "delay" in {each["inputs"].get("metadata", {}).get("name") for each in project.state() if "inputs" in each}

    project.change(waiting, '"pulumi.com/waitFor"')
    assert project.up().changes["updated"] == 1  # what is there goes on from where it stopped
    project.destroy()
    assert project.objects() == set()


QUOTA = """
import pulumi
import pulumi_kubernetes as k8s

opts = pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create="5s"))
space = k8s.core.v1.Namespace("space", metadata={"name": "$namespace"})
metadata = {"namespace": space.metadata.name, "name": "large"}
quota = k8s.core.v1.ResourceQuota("quota", metadata=metadata, spec={"hard": {"requests.cpu": "1"}})
pod = {"containers": [{"name": "main", "image": "registry.example.com/a:1", "resources": {"requests": {"cpu": "2"}}}]}
k8s.apps.v1.Deployment(
    "large",
    metadata=metadata,
    spec={
        "selector": {"match_labels": {"app": "large"}},
        "template": {"metadata": {"labels": {"app": "large"}}, "spec": pod},
    },
    opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[quota])),
)
"""


def test_a_deployment_over_its_quota_says_so(cluster_project: Make) -> None:
    project = cluster_project(QUOTA)
    up = project.up(check=False)
    assert up.code != 0
    text = " ".join(up.text.split())
    assert f"Deployment large in namespace {project.namespace}: not ready after 5 s: ReplicaFailure=True" in text
    assert "exceeded quota: large, requested: requests.cpu=2, used: requests.cpu=0, limited: requests.cpu=1" in text
    project.destroy()
    assert project.objects() == set()


GPUS = """
import pulumi
import pulumi_kubernetes as k8s

space = k8s.core.v1.Namespace("space", metadata={"name": "$namespace"})
k8s.batch.v1.Job(
    "train",
    metadata={"namespace": space.metadata.name, "name": "train"},
    spec={
        "template": {
            "spec": {
                "restart_policy": "Never",
                "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
                "containers": [
                    {
                        "name": "main",
                        "image": "registry.example.com/train:1",
                        "resources": {"limits": {"nvidia.com/gpu": "16"}},
                    }
                ],
            }
        }
    },
    opts=pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create="4s")),
)
"""


def test_a_job_that_no_node_can_run_says_why(cluster_project: Make) -> None:
    project = cluster_project(GPUS)
    up = project.up(check=False)
    assert up.code != 0
    text = " ".join(up.text.split())
    assert "Job train in namespace" in text
    assert "not complete, 1 pods active" in text
    assert "PodScheduled=False (Unschedulable: 0/5 nodes are available" in text
    assert "4 Insufficient nvidia.com/gpu" in text
    project.change('"16"', '"8"')
    project.up()  # another template of the same name: the job that waits goes first
    project.destroy()
    assert project.objects() == set()


RESTRICTED = GPUS.replace(
    '"name": "$namespace"', '"name": "$namespace", "labels": {"pod-security.kubernetes.io/warn": "restricted"}'
)


def test_what_the_cluster_warns_of_is_shown(cluster_project: Make) -> None:
    project = cluster_project(RESTRICTED.replace('"16"', '"1"'))
    up = project.up()
    job = f"/apis/batch/v1/namespaces/{project.namespace}/jobs/train"
    assert f'warning: {job}: would violate PodSecurity "restricted:latest": allowPrivilegeEscalation' in up.text


EXISTING = """
import pulumi_kubernetes as k8s

k8s.core.v1.ConfigMap("settings", metadata={"name": "settings", "namespace": "$namespace"}, data={"a": "ours"})
"""


def test_what_is_there_is_not_taken_over(cluster_project: Make) -> None:
    project = cluster_project(EXISTING)
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": project.namespace}}
    project.bed.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": project.namespace}})
    project.bed.api.apply({**theirs, "data": {"a": "theirs"}})
    for outcome in (project.preview(check=False), project.up(check=False)):
        assert outcome.code != 0
        assert f"ConfigMap settings in namespace {project.namespace} already exists" in outcome.text
    assert project.bed.api.read(theirs)["data"] == {"a": "theirs"}


PATCH = """
import pulumi_kubernetes as k8s

k8s.core.v1.NamespacePatch(
    "labels",
    metadata={"name": "$namespace", "labels": {"team": "ml"}, "annotations": {"pulumi.com/patchForce": "true"}},
)
"""


def test_a_patch_adds_to_what_others_own_and_takes_back_only_that(cluster_project: Make) -> None:
    project = cluster_project(PATCH)
    theirs = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": project.namespace, "labels": {"tier": "a"}}}
    project.bed.api.apply(theirs)

    def labels() -> dict[str, str]:
        found = project.read("v1", "Namespace", project.namespace)["metadata"]["labels"]
        return {key: value for key, value in found.items() if key in ("team", "tier")}

    project.up()
    assert labels() == {"tier": "a", "team": "ml"}
    project.destroy()
    assert labels() == {"tier": "a"}


def test_a_kind_that_the_cluster_lacks_is_refused_at_preview(cluster_project: Make) -> None:
    project = cluster_project(PROGRAM.replace("serving.kserve.io/v1beta1", "serving.kserve.io/v9"))
    preview = project.preview(check=False)
    assert preview.code != 0
    assert "no InferenceService in serving.kserve.io/v9" in preview.text
