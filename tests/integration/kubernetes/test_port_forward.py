"""How `mlops` reaches MLflow in a cluster: the API server carries it, to a pod that a server of the test stands for."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from mlops_runtime.errors import StepError
from pulumi_mlops.cli.cluster.remote import Remote
from pulumi_mlops.platforms.kubernetes.registry import approver_rules
from tests.kubernetes_kit import on_the_bed
from tools.kubernetes.bed import Bed

pytestmark = on_the_bed

RBAC = "rbac.authorization.k8s.io"
CONTENT = b"0123456789" * 100_000


class Content(BaseHTTPRequestHandler):
    """Answers with more than one frame of a tunnel holds, and keeps the connection."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Content) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield int(made.server_address[1])
        made.shutdown()
        thread.join()


@pytest.fixture
def mlflow(bed: Bed, namespace: str, server: int) -> None:
    """The Service `mlflow` and its pod."""
    labels = {"app": "mlflow"}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "mlflow", "namespace": namespace},
        "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": "http"}]},
    }
    container = {
        "name": "mlflow",
        "image": "registry.example.com/mlflow:1",
        "ports": [{"name": "http", "containerPort": 5000}],
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "mlflow-0", "namespace": namespace, "labels": labels},
        "spec": {"containers": [container]},
    }
    # Before its pod: kwok has heard of it once the pod is ready.
    bed.forward(namespace, "mlflow-0", server)
    bed.api.apply(service)
    bed.api.apply(pod)
    bed.api.wait(pod, is_ready)


def is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


class Users:
    """Users of one namespace, whom the API server knows by their tokens."""

    def __init__(self, bed: Bed, namespace: str, folder: Path, environment: pytest.MonkeyPatch) -> None:
        self.bed, self.namespace, self.folder, self.environment = bed, namespace, folder, environment

    def stack(self, name: str, rules: Sequence[Mapping[str, Any]]) -> Remote:
        """The stack as a new user sees it who has the rights of `rules`."""
        metadata = {"name": name, "namespace": self.namespace}
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
        self.bed.api.apply(account)
        rbac = {"apiVersion": f"{RBAC}/v1", "metadata": metadata}
        self.bed.api.apply(rbac | {"kind": "Role", "rules": [dict(rule) for rule in rules]})
        reference = {"apiGroup": RBAC, "kind": "Role", "name": name}
        subject = {"kind": "ServiceAccount", **metadata}
        self.bed.api.apply(rbac | {"kind": "RoleBinding", "roleRef": reference, "subjects": [subject]})
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        answer = self.bed.api.request("POST", self.bed.api.path(account) + "/token", request)
        config = yaml.safe_load(self.bed.kubeconfig.read_text())
        config["users"][0]["user"] = {"token": answer["status"]["token"]}
        kubeconfig = self.folder / f"{name}.kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(config))
        self.environment.setenv("KUBECONFIG", str(kubeconfig))
        platform = SimpleNamespace(kubernetes=SimpleNamespace(namespace=self.namespace, context=None))
        spec: Any = SimpleNamespace(platform=platform)
        found = Remote(spec)
        assert found.cluster.whoami() == f"system:serviceaccount:{self.namespace}:{name}"
        return found


@pytest.fixture
def users(bed: Bed, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Users:
    return Users(bed, namespace, tmp_path, monkeypatch)


def forwarding(*verbs: str) -> list[Mapping[str, Any]]:
    """An approver's rules, with these verbs alone on `pods/portforward`."""
    others = [rule for rule in approver_rules() if "pods/portforward" not in rule["resources"]]
    assert len(others) < len(approver_rules())
    return [*others, {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": verbs}] if verbs else others


@pytest.mark.usefixtures("mlflow")
def test_an_approver_reaches_mlflow_and_nobody_with_less_rights(users: Users) -> None:
    with users.stack("ann", approver_rules()).forwarded("mlflow") as port:
        connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=30) for _ in range(2)]
        for connection in connections * 2:
            connection.request("GET", "/")
            assert connection.getresponse().read() == CONTENT
        for connection in connections:
            connection.close()
    for name, rules in (("bob", forwarding()), ("eve", forwarding("get"))):
        refused = pytest.raises(StepError, match=r"right to create pods/portforward.*403")
        with refused, users.stack(name, rules).forwarded("mlflow"):
            pass
