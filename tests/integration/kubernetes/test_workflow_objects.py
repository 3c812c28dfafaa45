"""What the API server, with the definitions of Argo, Kueue and KubeRay, says to the objects of training."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pulumi_mlops.platforms.kubernetes.foundation import POD_SECURITY
from tests.kubernetes_kit import on_the_bed
from tests.unit.platforms.kubernetes import kit
from tests.unit.platforms.kubernetes.training_kit import CASES, objects
from tools.kubernetes.bed import Bed

pytestmark = [*on_the_bed, pytest.mark.usefixtures("custom_resources")]


@pytest.fixture
def restricted_namespace(bed: Bed) -> Iterator[str]:
    """One that refuses pods with privileges."""
    with bed.namespace(POD_SECURITY) as name:
        yield name


@pytest.mark.parametrize("case", CASES)
def test_objects_are_accepted(bed: Bed, namespace: str, case: str) -> None:
    kit.accepted(bed.api, objects(**CASES[case]), namespace)


def test_a_ray_job_of_a_template_is_accepted(bed: Bed, namespace: str) -> None:
    """The API server sees a text there; Argo would be the first to read it."""
    kit.accepted(bed.api, [named(ray_job())], namespace)


def test_a_misspelt_field_is_refused(bed: Bed, namespace: str) -> None:
    found = objects()
    kit.one(found, "WorkflowTemplate", "delay")["spec"]["templates"][0]["step"] = []
    job = named(ray_job())
    job["spec"]["rayClusterSpec"]["headGroupSpecs"] = {}
    refused = kit.refusals(bed.api, [*found, job], namespace)
    assert sorted(refused) == ["RayJob delay-train", "WorkflowTemplate delay"]


@pytest.mark.parametrize("step", ["admit", "ingest", "train", "deploy", "finish"])
def test_pods_of_steps_pass_the_restricted_profile(bed: Bed, restricted_namespace: str, step: str) -> None:
    """With Argo's own containers, as its controller puts them in and patches them."""
    spec = kit.one(objects(), "WorkflowTemplate", "delay")["spec"]
    pod = pod_of(spec, step)
    kit.accepted(bed.api, [pod], restricted_namespace)
    del pod["spec"]["containers"][1]["securityContext"]
    assert "restricted" in str(kit.refusals(bed.api, [pod], restricted_namespace))


@pytest.mark.parametrize("group", ["headGroupSpec", "workerGroupSpecs", "submitterPodTemplate"])
def test_pods_of_ray_pass_the_restricted_profile(bed: Bed, restricted_namespace: str, group: str) -> None:
    spec = ray_job()["spec"]
    found = {**spec["rayClusterSpec"], **spec}[group]
    template = (
        found if group == "submitterPodTemplate" else (found[0] if isinstance(found, list) else found)["template"]
    )
    pod = _pod("ray", template["metadata"]["labels"], {**template["spec"], "serviceAccountName": "default"})
    kit.accepted(bed.api, [pod], restricted_namespace)


def ray_job() -> dict[str, Any]:
    found = objects(**CASES["distributed"])
    templates = kit.one(found, "WorkflowTemplate", "delay")["spec"]["templates"]
    train = next(each for each in templates if each["name"] == "train")
    job = json.loads(train["resource"]["manifest"])
    assert isinstance(job, dict)
    return job


def named(job: dict[str, Any]) -> dict[str, Any]:
    """With a name, which server-side apply wants, and the workflow's name put in as Argo does."""
    text = json.dumps(job).replace("{{workflow.name}}", "delay-1")
    made: dict[str, Any] = json.loads(text)
    made["metadata"]["name"] = made["metadata"].pop("generateName").rstrip("-")
    made["metadata"]["namespace"] = "delays"
    return made


def pod_of(spec: dict[str, Any], step: str) -> dict[str, Any]:
    """The pod that Argo's controller would make of a step."""
    template = next(each for each in spec["templates"] if each["name"] == step)
    patch = json.loads(template["podSpecPatch"])
    images = {"init": "registry.example.com/argoexec:1", "wait": "registry.example.com/argoexec:1"}
    for kind in ("initContainers", "containers"):
        for each in patch[kind]:
            each["image"] = images[each["name"]]
    own = {key: template[key] for key in ("nodeSelector", "tolerations") if key in template}
    parts = {
        "restartPolicy": "Never",
        "serviceAccountName": "default",
        "securityContext": spec["securityContext"],
        "volumes": spec["volumes"],
        **own,
        "enableServiceLinks": patch["enableServiceLinks"],
        "initContainers": patch["initContainers"],
        "containers": [template["container"], *patch["containers"]],
    }
    return _pod(step, template["metadata"]["labels"], parts)


def _pod(name: str, labels: dict[str, str], spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "delays", "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
