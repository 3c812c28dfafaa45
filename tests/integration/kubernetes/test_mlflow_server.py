"""The very command and environment of MLflow's Deployment, run here: tables, records, artefacts in a bucket."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.unit.platforms.kubernetes import kit


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def pod(store: str) -> dict[str, Any]:
    settings = {"store": {"uri": "s3://mlops-artefacts/delays", "endpoint_url": store}}
    deployment = kit.one(kit.objects(kit.spec(kubernetes=settings)), "Deployment", "mlflow")
    spec: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return spec


def environment(container: dict[str, Any], folder: Path) -> dict[str, str]:
    secrets = {
        ("mlflow", "uri"): f"sqlite:///{folder}/mlflow.db",
        ("store", "AWS_ACCESS_KEY_ID"): "key",
        ("store", "AWS_SECRET_ACCESS_KEY"): "secret",
    }
    found = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for each in container["env"]:
        if "value" in each:
            found[each["name"]] = each["value"]
        else:
            reference = each["valueFrom"]["secretKeyRef"]
            found[each["name"]] = secrets[reference["name"], reference["key"]]
    return {**found, "HOME": str(folder)}


def command(container: dict[str, Any]) -> list[str]:
    words: list[str] = [*container["command"], *container.get("args", [])]
    return [shutil.which(words[0], path=str(Path(sys.executable).parent)) or words[0], *words[1:]]


def test_the_server_makes_its_tables_and_keeps_runs_and_artefacts(
    pod: dict[str, Any], store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (upgrade,), (server,) = pod["initContainers"], pod["containers"]
    variables = environment(server, tmp_path)
    for _ in range(2):  # the second time there is nothing to do
        subprocess.run(command(upgrade), env=variables, cwd=tmp_path, check=True, capture_output=True, timeout=300)
    port = str(free_port())
    # Two replacements: the port may be taken here, and only the pod's network is closed to others.
    arguments = [{"5000": port, "0.0.0.0": "127.0.0.1"}.get(each, each) for each in command(server)]
    variables["MLFLOW_SERVER_ALLOWED_HOSTS"] = variables["MLFLOW_SERVER_ALLOWED_HOSTS"].replace(":5000", f":{port}")
    s3 = boto3.client(
        "s3", endpoint_url=store, region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret"
    )
    s3.create_bucket(Bucket="mlops-artefacts")
    log = (tmp_path / "log").open("wb")
    process = subprocess.Popen(arguments, env=variables, cwd=tmp_path, stdout=log, stderr=log, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{port}"
        path = server["readinessProbe"]["httpGet"]["path"]
        # A kubelet calls the server by the pod's address, which is none of the allowed hosts.
        wait(lambda: status(f"{url}{path}", "10.1.2.3:5000") == 200, process, tmp_path / "log")
        listing = "/api/2.0/mlflow/experiments/search?max_results=1"
        assert status(f"{url}{listing}", f"mlflow.delays.svc:{port}") == 200
        assert status(f"{url}{listing}", "evil.example.com") == 403
        monkeypatch.setenv("HOME", str(tmp_path))
        from mlflow.tracking import MlflowClient

        client = MlflowClient(url)
        run = client.create_run(client.create_experiment("delay")).info.run_id
        (tmp_path / "card.md").write_text("a card")
        client.log_artifact(run, str(tmp_path / "card.md"))
        assert [each.path for each in client.list_artifacts(run)] == ["card.md"]
        keys = [each["Key"] for each in s3.list_objects_v2(Bucket="mlops-artefacts")["Contents"]]
        assert [key for key in keys if key.startswith("delays/mlflow/") and key.endswith("/artifacts/card.md")]
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)
        log.close()


def test_the_connection_string_is_in_no_argument(pod: dict[str, Any]) -> None:
    for container in (*pod["containers"], *pod["initContainers"]):
        reference = next(each for each in container["env"] if each["name"] == "MLFLOW_BACKEND_STORE_URI")
        assert reference["valueFrom"] == {"secretKeyRef": {"name": "mlflow", "key": "uri"}}
        assert not any("$(" in each for each in (*container["command"], *container.get("args", [])))


def status(url: str, host: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Host": host}), timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def wait(holds: Any, process: subprocess.Popen[bytes], log: Path, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert process.poll() is None, log.read_text()[-2000:]
        assert time.monotonic() < deadline, log.read_text()[-2000:]
        time.sleep(0.2)
