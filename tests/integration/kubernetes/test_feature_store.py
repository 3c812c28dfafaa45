"""What the API server says to a namespace's feature server: its FeatureStore, and pods as the operator makes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pulumi_mlops.platforms.kubernetes.foundation import POD_SECURITY
from tests.kubernetes_kit import on_the_bed
from tests.serving_kit import until
from tests.unit.platforms.kubernetes import kit
from tests.unit.platforms.kubernetes.test_feature_store import POSTGRES, objects
from tools.kubernetes.api import RefusedError
from tools.kubernetes.bed import Bed

pytestmark = [*on_the_bed, pytest.mark.usefixtures("custom_resources")]

DIGEST = "@sha256:" + "0" * 64
IMAGES = ("job", "serving", "serving_sklearn", "mlflow")
CASES: dict[str, dict[str, Any]] = {
    "redis": {},
    "postgres": {"online_store": {**POSTGRES, "replicas": 1}},
    "production": {
        "production": True,
        "images": {name: f"registry.example.com/mlops/{name}{DIGEST}" for name in IMAGES},
    },
    "adopted": {"create_namespace": False, "monitoring": None},
    "external secrets": {"secret_store": {"name": "vault"}},
}


@pytest.fixture
def restricted_namespace(bed: Bed) -> Iterator[str]:
    """One that refuses pods with privileges."""
    with bed.namespace(POD_SECURITY) as name:
        yield name


@pytest.mark.parametrize("case", CASES)
def test_objects_are_accepted(bed: Bed, namespace: str, case: str) -> None:
    kit.accepted(bed.api, objects(**CASES[case]), namespace)


def test_a_misspelt_field_is_refused(bed: Bed, namespace: str) -> None:
    found = objects()
    kit.one(found, "FeatureStore")["spec"]["services"]["onlineStore"]["sever"] = {}
    assert list(kit.refusals(bed.api, found, namespace)) == ["FeatureStore features"]


def test_pods_of_the_operator_pass_the_restricted_profile_by_our_policy(bed: Bed, restricted_namespace: str) -> None:
    pod: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "feast-features-1",
            "namespace": restricted_namespace,
            "labels": {"feast.dev/name": "features", "app.kubernetes.io/managed-by": "feast-operator"},
        },
        "spec": {
            # As the operator 0.66 has it: a context of the pod, none of its containers.
            "securityContext": kit.one(objects(), "FeatureStore")["spec"]["services"]["securityContext"],
            "initContainers": [{"name": "feast-init", "image": "registry.example.com/feast:1"}],
            "containers": [
                {"name": "online", "image": "registry.example.com/feast:1"},
                {
                    "name": "sidecar",
                    "image": "registry.example.com/sidecar:1",
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                },
            ],
        },
    }
    with pytest.raises(RefusedError, match="restricted"):
        bed.api.apply(pod, dry_run=True)
    policies: list[dict[str, Any]] = [
        each for each in kit.moved(objects(), restricted_namespace) if each["kind"].startswith("Mutating")
    ]
    assert len(policies) == 2
    for each in policies:
        each["metadata"]["name"] = restricted_namespace
    policies[1]["spec"]["policyName"] = restricted_namespace
    try:
        for each in policies:
            bed.api.apply(each)
        admitted = until(lambda: _admitted(bed, pod), seconds=60, every=0.5)
    finally:
        for each in policies:
            bed.api.delete(each)
    hardened = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    contexts = [
        each["securityContext"] for field in ("initContainers", "containers") for each in admitted["spec"][field]
    ]
    assert contexts == [hardened, hardened, {**hardened, "readOnlyRootFilesystem": True}]
    # Other pods of the namespace are judged as they are.
    del pod["metadata"]["labels"]["feast.dev/name"]
    with pytest.raises(RefusedError, match="restricted"):
        bed.api.apply(pod, dry_run=True)


def _admitted(bed: Bed, pod: dict[str, Any]) -> dict[str, Any] | None:
    """The pod as it would be, once the API server knows the policy."""
    try:
        return bed.api.apply(pod, dry_run=True)
    except RefusedError:
        return None
