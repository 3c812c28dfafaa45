"""A rendered stack in a cluster that is played here: objects on the bed, its workflows' and servers' pods as processes.

Bucket (moto), MLflow and API server are real servers; KServe's and Argo's controllers are played.
"""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import boto3
import psutil

from tests.argo_kit import Workflow
from tests.pod_kit import Node, account_folder
from tests.unit.platforms.kubernetes import kit
from tools.kubernetes.bed import Bed
from tools.kubernetes.certificates import Certificates
from tools.kubernetes.control_plane import CERTIFICATES

CREDENTIALS: Final = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
"""Of the bucket, which takes any."""

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 30.0

Manifest = dict[str, Any]


def resolved(objects: Sequence[Manifest], addresses: Mapping[str, str]) -> list[Manifest]:
    """Objects in which names of the cluster's DNS are addresses of this machine, configurations included."""
    text = json.dumps(objects)
    for name, address in addresses.items():
        assert name in text, f"no object knows {name}"
        text = text.replace(name, address)
    return list(json.loads(text))


class Stack:
    """A model's stack: its objects, applied where steps need them, and what its workflows run on.

    Arguments:
        bed: has the namespace of the objects.
        objects: all of the stack's.
        model: its model; the endpoint has the same name.
        root: an empty folder for what is in pods.
        secrets: contents of the Secrets that the stack refers to, by name and key.
    """

    def __init__(
        self,
        bed: Bed,
        objects: Sequence[Manifest],
        model: str,
        root: Path,
        secrets: Mapping[str, Mapping[str, str]],
    ) -> None:
        self.bed, self.objects, self.model, self._root = bed, objects, model, root
        self.node = Node(root / "pods", objects, secrets)
        self.service = kit.one(objects, "InferenceService", model)
        for each in objects:
            if each["kind"] in ("ServiceAccount", "Role", "RoleBinding"):
                bed.api.apply(each)

    def workflow(self, name: str, **arguments: str) -> Workflow:
        """A workflow of the model's template, whose pods have the tokens of their accounts."""
        account, namespace = f"{self.model}-deploy", self.service["metadata"]["namespace"]
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        token = self.bed.api.request("POST", path, request)["status"]["token"]
        authority = Certificates(self.bed.directory / CERTIFICATES).authority.read_text()
        folder = account_folder(self._root / "account", token, authority, namespace)
        host, _, port = self.bed.url.removeprefix("https://").partition(":")
        spec = kit.one(self.objects, "WorkflowTemplate", self.model)["spec"]
        parameters = {key.replace("_", "-"): value for key, value in arguments.items()}
        environment = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
        return Workflow(spec, self.node, name, parameters, {account: folder}, environment)

    def storage_uri(self) -> str | None:
        """The bundle that KServe is told to serve."""
        uri = self.bed.api.read(self.service)["spec"]["predictor"]["model"].get("storageUri")
        assert uri is None or isinstance(uri, str)
        return uri

    @contextmanager
    def serving(self, models: Path) -> Iterator[str]:
        """The container of the endpoint's ServingRuntime at work on a downloaded bundle; its address."""
        runtime = kit.one(self.objects, "ServingRuntime", f"{self.model}-onnx")["spec"]
        container = runtime["containers"][0]
        mounts = [*container["volumeMounts"], {"name": "models", "mountPath": "/mnt/models", "readOnly": True}]
        served = {**container, "volumeMounts": mounts}
        folders = self.node.folders(served, [*runtime["volumes"], {"name": "models", "emptyDir": {}}])
        url = f"http://127.0.0.1:{container['ports'][0]['containerPort']}"
        log = self._root / "serving.log"
        with (
            log.open("w") as said,
            subprocess.Popen(
                self.node.arguments(served, folders | {"models": models}), stdout=said, stderr=subprocess.STDOUT
            ) as server,
        ):
            try:
                _wait_until_ready(server, f"{url}{container['readinessProbe']['httpGet']['path']}", log)
                yield url
            finally:
                _end(server)


def download(endpoint_url: str, uri: str, folder: Path) -> None:
    """What KServe's storage initializer does."""
    client = boto3.client("s3", endpoint_url=endpoint_url)
    name, _, prefix = uri.removeprefix("s3://").partition("/")
    for entry in client.list_objects_v2(Bucket=name, Prefix=f"{prefix}/")["Contents"]:
        target = folder / entry["Key"].removeprefix(f"{prefix}/")
        target.parent.mkdir(parents=True, exist_ok=True)
        client.download_file(name, entry["Key"], str(target))


def predicted(url: str, model: str, columns: Mapping[str, tuple[str, list[Any]]]) -> dict[str, list[Any]]:
    """Outputs of a model for some rows, by name.

    Arguments:
        url: of the server.
        model: its name.
        columns: data type (of the Open Inference Protocol) and values of each input.
    """
    inputs = [
        {"name": name, "shape": [len(values)], "datatype": dtype, "data": values}
        for name, (dtype, values) in columns.items()
    ]
    request = urllib.request.Request(
        f"{url}/v2/models/{model}/infer", json.dumps({"inputs": inputs}).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return {each["name"]: each["data"] for each in json.load(answer)["outputs"]}


def _end(server: subprocess.Popen[bytes]) -> None:
    """What the kubelet does to a pod; `unshare` itself ignores the signal, and ends with the container."""
    for container in psutil.Process(server.pid).children():
        container.terminate()
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        raise


def _wait_until_ready(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
