"""What the cluster would run does run: the steps of the rendered workflow as processes, up to a served prediction.

Bucket (moto), MLflow, API server and KServe's objects are there; KServe's and Argo's controllers are played.
"""

from __future__ import annotations

import io
import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from sklearn.datasets import load_wine

from mlops_runtime.definition import Bucket
from tests.argo_kit import Workflow
from tests.kserve_kit import kserve
from tests.kubernetes_kit import on_the_bed
from tests.mlflow_kit import mlflow_server
from tests.pod_kit import Node, account_folder, mounts_are_possible
from tests.unit.platforms.kubernetes import kit
from tools.kubernetes.bed import Bed
from tools.kubernetes.certificates import Certificates
from tools.kubernetes.control_plane import CERTIFICATES

pytestmark = [
    *on_the_bed,
    pytest.mark.usefixtures("custom_resources"),
    pytest.mark.skipif(not mounts_are_possible(), reason="this machine does not let its user mount folders"),
]

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


@pytest.fixture(scope="module")
def tracking_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as uri:
        yield uri


class Stack:
    """The quickstart on Kubernetes: its objects, applied where steps need them, and what its workflows run on."""

    def __init__(self, bed: Bed, namespace: str, bucket: Bucket, tracking_uri: str, root: Path, **changes: Any) -> None:
        self.bed, self.namespace, self.bucket, self.root = bed, namespace, bucket, root
        settings = {
            "namespace": namespace,
            "store": {"uri": bucket.uri, "endpoint_url": bucket.endpoint_url, "secret_name": "store"},
            "tracking": {"uri": tracking_uri, "database": None},
            "images": {"mlflow": None},
        }
        put_wines(bucket)
        data = {"sources": {"bottles": {"endpoint_url": bucket.endpoint_url}}}
        self.objects = kit.objects(kit.quickstart(kubernetes=settings, data=data, **changes))
        self.node = Node(root / "pods", self.objects, {"store": CREDENTIALS})
        self.service = kit.one(self.objects, "InferenceService", "wine")
        for each in self.objects:
            if each["kind"] in ("ServiceAccount", "Role", "RoleBinding"):
                bed.api.apply(each)

    def workflow(self, name: str, **arguments: str) -> Workflow:
        account = "wine-deploy"
        path = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{account}/token"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        token = self.bed.api.request("POST", path, request)["status"]["token"]
        authority = Certificates(self.bed.directory / CERTIFICATES).authority.read_text()
        folder = account_folder(self.root / "account", token, authority, self.namespace)
        host, _, port = self.bed.url.removeprefix("https://").partition(":")
        spec = kit.one(self.objects, "WorkflowTemplate", "wine")["spec"]
        parameters = {key.replace("_", "-"): value for key, value in arguments.items()}
        environment = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
        return Workflow(spec, self.node, name, parameters, {account: folder}, environment)

    def storage_uri(self) -> str | None:
        uri = self.bed.api.read(self.service)["spec"]["predictor"]["model"].get("storageUri")
        assert uri is None or isinstance(uri, str)
        return uri


def put_wines(bucket: Bucket) -> None:
    """The quickstart's table, as an object."""
    frame = load_wine(as_frame=True).frame.rename(columns={"od280/od315_of_diluted_wines": "od280_od315"})
    names = frame["target"].map({0: "barolo", 1: "grignolino", 2: "barbera"})
    table = frame.drop(columns="target").assign(cultivar=names, bottle=range(len(frame)))
    content = io.BytesIO()
    table.to_parquet(content, index=False)
    client = boto3.client("s3", endpoint_url=bucket.endpoint_url)
    client.create_bucket(Bucket="warehouse")
    client.put_object(Bucket="warehouse", Key="bottles.parquet", Body=content.getvalue())


def download(bucket: Bucket, uri: str, folder: Path) -> None:
    """What KServe's storage initializer does."""
    client = boto3.client("s3", endpoint_url=bucket.endpoint_url)
    name, _, prefix = uri.removeprefix("s3://").partition("/")
    for entry in client.list_objects_v2(Bucket=name, Prefix=f"{prefix}/")["Contents"]:
        target = folder / entry["Key"].removeprefix(f"{prefix}/")
        target.parent.mkdir(parents=True, exist_ok=True)
        client.download_file(name, entry["Key"], str(target))


@pytest.fixture
def stack(bed: Bed, namespace: str, bucket: Bucket, tracking_uri: str, tmp_path: Path) -> Stack:
    return Stack(bed, namespace, bucket, tracking_uri, tmp_path)


def test_the_workflow_ends_with_a_served_prediction(stack: Stack, tmp_path: Path) -> None:
    with kserve(stack.bed.api, stack.service):
        workflow = stack.workflow("wine-1", trigger="up", requested_by="pulumi")
        assert workflow.run() == "Succeeded", workflow.ran
        assert workflow.names == [
            "admit", "ingest", "verify", "featurize", "train", "evaluate", "validate", "register", "deploy", "finish",
        ]  # fmt: skip
        assert "run" in workflow.said("admit")
        assert workflow.said("finish").startswith("finish: succeeded")
        uri = stack.storage_uri()
        assert uri is not None
        assert uri.startswith(f"{stack.bucket.uri}/bundles/wine/1"), uri

        again = stack.workflow("wine-2", trigger="schedule", cooldown="3600")
        assert again.run() == "Succeeded"
        assert again.names == ["admit", "finish"]
        assert "cooldown" in again.said("admit")

        same = stack.workflow("wine-3", trigger="new-data:bottles", new_data="bottles")
        assert same.run() == "Succeeded"
        assert same.names == ["admit", "finish"]
        assert "has not changed" in same.said("admit")

    models = tmp_path / "models"
    download(stack.bucket, uri, models)
    assert predicted(stack, models) in ("barolo", "grignolino", "barbera")


def test_a_rejected_model_ends_the_workflow_and_is_recorded(
    bed: Bed, namespace: str, bucket: Bucket, tracking_uri: str, tmp_path: Path
) -> None:
    floors = {"primary": "accuracy", "floors": {"accuracy": 1.0, "f1_macro": 1.0}}
    stack = Stack(bed, namespace, bucket, tracking_uri, tmp_path, evaluation=floors)
    workflow = stack.workflow("wine-rejected", trigger="schedule")
    assert workflow.run() == "Failed"
    assert workflow.names[-2:] == ["register", "finish"]
    assert workflow.said("finish").startswith("finish: rejected: the model was rejected")


def predicted(stack: Stack, models: Path) -> str:
    """What the container of the endpoint's ServingRuntime answers, over HTTP."""
    runtime = kit.one(stack.objects, "ServingRuntime", "wine-onnx")["spec"]
    container = runtime["containers"][0]
    mounts = [*container["volumeMounts"], {"name": "models", "mountPath": "/mnt/models", "readOnly": True}]
    volumes = [*runtime["volumes"], {"name": "models", "emptyDir": {}}]
    served = {**container, "volumeMounts": mounts}
    folders = stack.node.folders(served, volumes) | {"models": models}
    port = container["ports"][0]["containerPort"]
    with subprocess.Popen(
        stack.node.arguments(served, folders), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        try:
            wait_until_ready(server, port)
            row = load_wine(as_frame=True).frame.iloc[0]
            inputs = [
                {"name": name, "shape": [1], "datatype": "FP64", "data": [float(row[column])]}
                for name, column in COLUMNS.items()
            ]
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/v2/models/wine/infer",
                json.dumps({"inputs": inputs}).encode(),
                {"content-type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=10) as answer:
                outputs = {each["name"]: each["data"] for each in json.load(answer)["outputs"]}
        finally:
            server.terminate()
    return str(outputs["label"][0] if "label" in outputs else outputs)


COLUMNS = {
    name: "od280/od315_of_diluted_wines" if name == "od280_od315" else name
    for name in ("alcohol", "malic_acid", "ash", "flavanoids", "color_intensity", "hue", "od280_od315", "proline")
}


def wait_until_ready(server: subprocess.Popen[str], port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/health/ready", timeout=2):
                return
        except OSError:
            assert server.poll() is None, server.stdout.read() if server.stdout else ""
            assert time.monotonic() < deadline
            time.sleep(0.1)
