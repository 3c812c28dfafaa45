"""The quickstart in a cluster: only its platform and where its data lies are others than on this machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from tests.e2e.conftest import REPOSITORY, ClusterProject
from tests.kubernetes_kit import on_the_bed
from tools.kubernetes.bed import Bed
from tools.kubernetes.control_plane import ESTABLISH_SECONDS, is_established

pytestmark = [*on_the_bed, pytest.mark.engine]

QUICKSTART = REPOSITORY / "stacks" / "quickstart"


ISTIO = {"authorizationpolicies": "AuthorizationPolicy", "peerauthentications": "PeerAuthentication"}


@pytest.fixture
def istio(bed: Bed) -> None:
    """The kinds of Istio that a stack uses, without their schemas, which the bed does not have; there until it ends."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    for plural, kind in ISTIO.items():
        names = {"kind": kind, "plural": plural, "singular": kind.lower()}
        version = {"name": "v1", "served": True, "storage": True, "schema": schema}
        definition = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.security.istio.io"},
            "spec": {"group": "security.istio.io", "scope": "Namespaced", "names": names, "versions": [version]},
        }
        bed.api.apply(definition)
        bed.api.wait(definition, is_established, ESTABLISH_SECONDS)


@pytest.fixture
def prometheus(bed: Bed) -> None:
    """The namespace of the operator that the overlay names; other tests may find it, too."""
    bed.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "monitoring"}})


@pytest.fixture
def quickstart(cluster_project: Callable[..., ClusterProject], istio: None, prometheus: None) -> ClusterProject:
    spec = (QUICKSTART / "mlops.yaml").read_text()
    spec = spec.replace("../../examples", str(REPOSITORY / "examples"))
    spec = spec.replace("namespace: flight-delay", "namespace: $namespace")
    made = cluster_project((QUICKSTART / "__main__.py").read_text(), {"mlops.yaml": spec})
    made.pulumi("config", "set", "environment", "kubernetes")
    return made


SECRETS = {"store": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "features": ("connection", "registry")}


def put_secrets(project: ClusterProject) -> None:
    """What the spec refers to and a person puts there, once the namespace is there."""
    for name, keys in SECRETS.items():
        metadata = {"name": name, "namespace": project.namespace}
        values = dict.fromkeys(keys, "value")
        project.bed.api.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": values})


def test_the_quickstart_lives_in_a_cluster(quickstart: ClusterProject) -> None:
    project, api = quickstart, quickstart.bed.api
    planned = project.preview().changes["create"]
    up = project.up()
    assert up.changes == {"created": planned}
    assert "would violate PodSecurity" not in up.text
    put_secrets(project)
    made = Counter(kind for kind, _ in project.objects())
    assert made["Namespace"] == made["InferenceService"] == made["FeatureStore"] == made["Workflow"] == 1
    outputs = project.outputs()
    assert outputs["tracking_uri"] == f"http://mlflow.{project.namespace}.svc:5000"
    assert set(outputs["endpoints"]) == {"flight-delay", "next-week", "gate-display"}
    assert project.read("apps/v1", "Deployment", "mlflow")["status"]["availableReplicas"] == 1

    assert project.up().changes == {"unchanged": planned}
    assert project.refresh().changes == {"unchanged": planned}

    # The deploy step switches a version in; neither refresh nor up takes it back.
    endpoint = project.read("serving.kserve.io/v1beta1", "InferenceService", "flight-delay")
    model = {
        "storageUri": "s3://mlops/flight-delay/versions/1",
        "runtime": "another",
        "modelFormat": {"name": "sklearn"},
    }
    identity = {key: endpoint[key] for key in ("apiVersion", "kind")}
    identity |= {"metadata": {"name": "flight-delay", "namespace": project.namespace}}
    api.apply({**identity, "spec": {"predictor": {"canaryTrafficPercent": 10, "model": model}}}, manager="deploy")
    project.refresh()
    spec = project.folder / "mlops.yaml"
    spec.write_text(
        spec.read_text().replace("capture: { sample: 0.5 }", "capture: { sample: 0.5 }\n    scale: { max: 3 }", 1)
    )
    changed = project.up().changes
    assert changed["unchanged"] > planned - 10
    predictor = api.read(identity)["spec"]["predictor"]
    assert predictor["maxReplicas"] == 3
    assert predictor["canaryTrafficPercent"] == 10
    assert {key: predictor["model"][key] for key in model} == model

    project.destroy()
    assert project.objects() == set()
    assert project.state() == []


def test_what_somebody_changed_in_a_cluster_is_found(quickstart: ClusterProject) -> None:
    project, api = quickstart, quickstart.bed.api
    total = project.up().changes["created"]
    put_secrets(project)
    quota = project.read("v1", "ResourceQuota", "mlops")
    hard = {**quota["spec"]["hard"], "pods": "1"}
    edited = {key: quota[key] for key in ("apiVersion", "kind")}
    edited |= {"metadata": {"name": "mlops", "namespace": project.namespace}, "spec": {"hard": hard}}
    api.apply(edited, manager="somebody")
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
    policies = api.items({**policy, "metadata": {"namespace": project.namespace}})
    denied = next(each for each in policies if not each["spec"].get("ingress") and not each["spec"].get("egress"))
    api.delete({**policy, "metadata": denied["metadata"]})

    found = project.refresh()
    assert found.changes == {"updated": 1, "deleted": 1, "unchanged": total - 2}
    project.pulumi("config", "set", "kubernetes:enablePatchForce", "true")
    project.up()
    assert project.read("v1", "ResourceQuota", "mlops")["spec"]["hard"]["pods"] == "100"
    assert project.read("networking.k8s.io/v1", "NetworkPolicy", denied["metadata"]["name"])["spec"] == denied["spec"]
    project.destroy()
