"""Preflight before a real API server that lacks this and that: each lack is told, with what mends it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

import pulumi_mlops as mlops
from pulumi_mlops.cli.app import app
from pulumi_mlops.platforms.checks import Check
from pulumi_mlops.platforms.kubernetes import guard, requirements
from pulumi_mlops.platforms.kubernetes.checks import checks
from pulumi_mlops.platforms.kubernetes.questions import Server
from tests.kubernetes_kit import missing, on_the_bed
from tests.unit.platforms.kubernetes import kit
from tools import golang
from tools.kubernetes import build
from tools.kubernetes.api import RefusedError
from tools.kubernetes.bed import Bed, running

pytestmark = on_the_bed

WEB = {"name": "web", "kind": "rest"}
SMALL: dict[str, Any] = {
    "endpoints": [WEB],
    "features": None,
    "monitors": None,
    "retraining": None,
    "delivery": None,
    "training": {"views": None, "compute": {"gpu": None, "spot": None}},
    "data": {"sources": {"weather": None, "planes": None, "routes": None}},
    "kubernetes": {
        "create_namespace": False,
        "online_store": None,
        "queue": None,
        "gateway": None,
        "monitoring": None,
        "argo": None,
    },
}
"""A spec that needs Argo Workflows and KServe, and the Secrets `mlflow` and `store`."""


@pytest.fixture(scope="module")
def bare() -> Iterator[Bed]:
    """An API server without operators."""
    try:
        build.ensure()
    except golang.NoGoError as error:
        missing(str(error))
    with running(None, controllers=False) as started:
        yield started


@pytest.fixture(autouse=True)
def kubeconfig(bare: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    use(bare.kubeconfig, monkeypatch)


def use(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    # The client reads the variable once, when it is imported.
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(kubeconfig))


@pytest.fixture
def space(bare: Bed) -> Iterator[str]:
    with bare.namespace({"pod-security.kubernetes.io/enforce": "restricted"}) as name:
        yield name


@pytest.fixture
def operators(bare: Bed) -> Iterator[None]:
    """Definitions of what the spec needs of Argo and KServe, without their schemas."""
    made = [
        definition(version, kind) for version, kind in requirements.kinds(small(), kit.settings()) if "." in version
    ]
    made = [each for each in made if each["spec"]["group"] in ("argoproj.io", "serving.kserve.io")]
    established(bare, made)
    yield
    for each in made:
        bare.api.delete(each)
    for each in made:
        # One that is still going would take the next test's definition with it.
        eventually(partial(is_gone, bare, each))


def is_gone(bed: Bed, document: dict[str, Any]) -> bool:
    try:
        bed.api.read(document)
    except RefusedError as error:
        return error.code == 404
    return False


def small(namespace: str = "absent", **settings: Any) -> mlops.Spec:
    return kit.spec(**{**SMALL, "kubernetes": {**SMALL["kubernetes"], "namespace": namespace, **settings}})


def definition(version: str, kind: str) -> dict[str, Any]:
    group, _, number = version.partition("/")
    plural = f"{kind.lower()}s"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [{"name": number, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }


def established(bed: Bed, definitions: list[dict[str, Any]]) -> None:
    for each in definitions:
        bed.api.apply(each)
    for each in definitions:
        bed.api.wait(each, lambda found: any(c["type"] == "Established" for c in found["status"].get("conditions", [])))
        group, version = each["spec"]["group"], each["spec"]["versions"][0]["name"]
        name = each["metadata"]["name"].partition(".")[0]
        eventually(partial(is_served, bed, f"/apis/{group}/{version}", name))


def is_served(bed: Bed, path: str, name: str) -> bool:
    """Discovery follows the definitions a moment later."""
    try:
        return name in {each["name"] for each in bed.api.request("GET", path)["resources"]}
    except RefusedError:
        return False


def eventually(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def found(spec: mlops.Spec) -> dict[str, Check]:
    assert spec.platform.kubernetes is not None
    return {check.name: check for check in checks(spec, spec.platform.kubernetes, Server(None))}


def secret(bed: Bed, namespace: str, name: str, **values: str) -> None:
    metadata = {"name": name, "namespace": namespace}
    bed.api.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": values})


def test_operators_that_are_missing_are_named_with_the_command_that_installs_them() -> None:
    told = found(small())
    argo, kserve = told["argo-workflows (argoproj.io)"], told["kserve (serving.kserve.io)"]
    assert (argo.status, kserve.status) == ("fail", "fail")
    assert argo.message == "missing: Workflow (v1alpha1), WorkflowTemplate (v1alpha1)"
    assert argo.remedies[0].startswith(
        "helm upgrade --install argo-workflows argo-workflows --repo https://argoproj.github.io/argo-helm"
    )
    assert [remedy.split()[3] for remedy in kserve.remedies[:2]] == ["kserve-crd", "kserve"]
    installing = found(small(install_operators=["kserve"]))
    assert installing["kserve (serving.kserve.io)"].status == "ok"
    assert "cert-manager" in installing["cert-manager (cert-manager.io/v1)"].message


def test_an_operator_of_another_version_is_told(bare: Bed) -> None:
    old = definition("serving.kserve.io/v1alpha2", "InferenceService")
    bare.api.apply(old)
    bare.api.wait(old, lambda each: any(c["type"] == "Established" for c in each["status"].get("conditions", [])))
    try:
        check = found(small())["kserve (serving.kserve.io)"]
        assert check.status == "fail"
        assert "InferenceService (v1beta1)" in check.message
        assert "of serving.kserve.io the cluster serves v1alpha2" in check.message
    finally:
        bare.api.delete(old)


def test_namespaces(bare: Bed, space: str) -> None:
    assert found(small(space))[f"namespace {space}"].status == "ok"
    absent = found(small())["namespace absent"]
    assert (absent.status, absent.remedies) == ("fail", ("kubectl create namespace absent, or create_namespace: true",))
    assert found(small(create_namespace=True))["namespace absent"].message == "will be made"
    taken = found(small(space, create_namespace=True))[f"namespace {space}"]
    assert (taken.status, taken.message) == ("fail", "is there, and no stack of this kind has made it")
    with bare.namespace() as lax:
        check = found(small(lax))[f"namespace {lax}"]
        assert (check.status, check.remedies) == (
            "warn",
            (f"kubectl label namespace {lax} pod-security.kubernetes.io/enforce=restricted",),
        )


def test_secrets_and_their_keys_are_looked_for_and_no_value_is_told(bare: Bed, space: str) -> None:
    told = found(small(space))
    assert (told["Secret mlflow"].status, told["Secret store"].status) == ("fail", "fail")
    assert told["Secret store"].remedies == (
        f"kubectl create secret generic store --namespace {space} "
        "--from-file=AWS_ACCESS_KEY_ID=FILE --from-file=AWS_SECRET_ACCESS_KEY=FILE",
    )
    secret(bare, space, "store", AWS_ACCESS_KEY_ID="t0p-canary")
    secret(bare, space, "mlflow", uri="postgresql://mlflow:t0p-canary@db.example.com:6543/mlflow")
    told = found(small(space))
    assert told["Secret store"].message == "lacks AWS_SECRET_ACCESS_KEY; it has AWS_ACCESS_KEY_ID"
    assert told["Secret mlflow"].message == "names port 6543, and MLflow is let through to port 5432 only"
    secret(bare, space, "store", AWS_SECRET_ACCESS_KEY="t0p-canary", AWS_ACCESS_KEY_ID="t0p-canary")
    secret(bare, space, "mlflow", uri="postgresql://mlflow:t0p-canary@db.example.com/mlflow")
    told = found(small(space))
    assert (told["Secret mlflow"].status, told["Secret store"].status) == ("ok", "ok")
    assert "t0p-canary" not in str(told)


def test_kserve_must_be_told_where_the_store_is(bare: Bed, space: str) -> None:
    assert "Secret store (KServe)" not in found(small(space))
    secret(bare, space, "store", AWS_SECRET_ACCESS_KEY="a", AWS_ACCESS_KEY_ID="b")
    check = found(small(space))["Secret store (KServe)"]
    wanted = {
        "serving.kserve.io/s3-endpoint": "objects.example.com:9000",
        "serving.kserve.io/s3-region": "us-east-1",
        "serving.kserve.io/s3-usehttps": "1",
    }
    pairs = " ".join(f"{key}={value}" for key, value in wanted.items())
    assert (check.status, check.remedies) == (
        "warn",
        (f"kubectl annotate secret store --namespace {space} --overwrite {pairs}",),
    )
    metadata = {"name": "store", "namespace": space, "annotations": wanted}
    bare.api.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata}, manager="kubectl-annotate")
    assert found(small(space))["Secret store (KServe)"].status == "ok"


def test_a_storage_class_that_is_not_there(bare: Bed, space: str) -> None:
    development = {"tracking": {"database": None, "volume": "1Gi"}, "images": {"postgres": "registry.example.com/p:18"}}
    assert found(small(space, **development))["storage class"].status == "fail"
    named = {**development, "storage_class": "fast"}
    check = found(small(space, **named))["storage class fast"]
    assert (check.status, check.remedies) == (
        "fail",
        ("Set platform.kubernetes.storage_class to one of: none is there.",),
    )
    fast = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "fast", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "example.com/disks",
    }
    bare.api.apply(fast)
    try:
        assert found(small(space, **named))["storage class fast"].status == "ok"
        assert found(small(space, **development))["storage class"].message == "the cluster's default is fast"
    finally:
        bare.api.delete(fast)


def test_gpus_that_no_node_has_are_a_warning(bare: Bed, space: str) -> None:
    sections = {**SMALL, "kubernetes": {**SMALL["kubernetes"], "namespace": space, "quota": {"gpu": 2}}}
    wanting = kit.spec(**{**sections, "training": {"views": None, "compute": {"gpu": 2, "spot": None}}})
    assert (found(wanting)["GPUs"].status, found(wanting)["GPUs"].message) == (
        "warn",
        "a pod of training asks for 2, and the most that a node has is 0",
    )


def test_a_caller_without_rights_is_told_which(
    bare: Bed, space: str, operators: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found(small(space))["permissions"].status == "ok"
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "jane", "namespace": space}}
    path = bare.api.path(bare.api.apply(account))
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    config = yaml.safe_load(bare.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": bare.api.request("POST", f"{path}/token", request)["status"]["token"]}
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    use(tmp_path / "config", monkeypatch)
    told = found(small(space))
    assert told["permissions"].status == "fail"
    assert "deployments (create, delete, get, patch)" in told["permissions"].message
    assert told["Secret store"].message == "not checked: the caller may not read Secrets"


def test_a_program_ends_before_anything_is_created(bare: Bed, space: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert guard.problems(small(space)) == [], "no engine runs"
    monkeypatch.setattr("pulumi.runtime.settings.get_monitor", lambda: object())
    assert any(each.startswith("Secret store: is not there") for each in guard.problems(small(space)))
    monkeypatch.setenv(guard.SWITCH, "off")
    assert guard.problems(small(space)) == []
    monkeypatch.delenv(guard.SWITCH)
    use(Path("/nonexistent"), monkeypatch)
    assert guard.problems(small(space)) == []


def written(folder: Path, namespace: str) -> Path:
    document = kit.document(**{**SMALL, "kubernetes": {**SMALL["kubernetes"], "namespace": namespace}})
    file = folder / "mlops.yaml"
    file.write_text(json.dumps(document, default=str))
    return file


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["preflight", *arguments], catch_exceptions=False)
    return result.exit_code, result.output


def test_the_command(bare: Bed, space: str, operators: None, tmp_path: Path) -> None:
    spec = written(tmp_path, space)
    code, output = run(str(spec))
    assert code == 1
    assert "2 of" in output
    assert "kubectl create secret generic store" in output
    secret(bare, space, "store", AWS_SECRET_ACCESS_KEY="x", AWS_ACCESS_KEY_ID="x")
    secret(bare, space, "mlflow", uri="postgresql://db.example.com/mlflow")
    code, output = run(str(spec))
    assert code == 0, output
    assert "ready for pulumi up" in output
    code, output = run(str(spec), "--json")
    told = json.loads(output)
    assert (code, told["ready"], told["platform"]) == (0, True, "kubernetes")
    # KServe would look for bundles at AWS: its storage initializer reads annotations of the Secret.
    assert [check["check"] for check in told["checks"] if check["status"] != "ok"] == ["Secret store (KServe)"]


def test_no_cluster_is_told(space: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(tmp_path / "none", monkeypatch)
    code, output = run(str(written(tmp_path, space)))
    assert code == 1
    assert "Set KUBECONFIG, or platform.kubernetes.context, to a cluster that answers." in output
