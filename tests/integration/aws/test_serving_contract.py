"""SageMaker's contract for containers that serve: the real process, started as SageMaker starts it, over HTTP.

The process is the installed package's; `test_images` runs the same command in the image's own file system.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from mlops_runtime.serving import sagemaker
from mlops_runtime.serving.config import ConfigError
from tests import serving_kit as kit

USUAL = {"endpoint": kit.ENDPOINT, "model": kit.MODEL, "max_batch_rows": 100, "warm_up_requests": 3, "drain_seconds": 5}


@contextmanager
def container(folder: Path, model: Path, **changes: object) -> Iterator[kit.Server]:
    """A process with the argument and the environment that SageMaker gives; `model` stands for /opt/ml/model."""
    log = folder / "serving.log"
    config = {**USUAL, "host": "127.0.0.1", "bundle": str(model), **changes}
    environment = {**os.environ, sagemaker.CONFIG: json.dumps(config), "SAGEMAKER_BIND_TO_PORT": "0"}
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlops_runtime", "serve"], stdout=output, stderr=output, text=True, env=environment
        )
    try:
        port = int(kit.until(lambda: kit._port(log, process)))
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield kit.Server(process, port, folder, client)
    finally:
        process.kill()
        process.wait()


def unpacked(archive: Path, target: Path) -> Path:
    """What SageMaker makes of `model.tar.gz`."""
    with tarfile.open(archive) as packed:
        packed.extractall(target, filter="data")
    return target


def packed(bundle: Path, archive: Path) -> Path:
    with tarfile.open(archive, "w:gz") as tar:
        for file in sorted(bundle.iterdir()):
            tar.add(file, file.name)
    return archive


@pytest.fixture
def model(tmp_path):
    bundle = kit.write_bundle(tmp_path / "store", 3)
    return unpacked(packed(bundle, tmp_path / "model.tar.gz"), tmp_path / "opt-ml-model")


def test_a_packed_bundle_is_served_at_invocations(tmp_path, model):
    with container(tmp_path, model) as server:
        assert server.client.get("/ping").status_code == 200
        answer = server.client.post("/invocations", json=kit.named())
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert (answer.json()["model_name"], answer.json()["model_version"]) == ("delay", "3")
        assert answer.json() | {"id": ""} == server.infer(kit.named()).json() | {"id": ""}


@pytest.mark.parametrize("exists", [True, False])
def test_without_a_bundle_the_container_is_well_and_says_that_there_is_no_model(tmp_path, exists):
    folder = tmp_path / "model"
    if exists:
        folder.mkdir()
    with container(tmp_path, folder) as server:
        assert server.client.get("/ping").status_code == 200
        answer = server.client.post("/invocations", json=kit.named())
        assert answer.status_code == 503
        assert answer.json() == {"error": "no model yet: nothing is deployed"}


def test_a_request_s_own_mistakes_are_told(tmp_path, model):
    with container(tmp_path, model) as server:
        answer = server.client.post("/invocations", content=b"a,b\n1,2", headers={"content-type": "text/csv"})
        assert answer.status_code == 400
        assert "malformed JSON" in answer.json()["error"]
        assert server.client.get("/invocations").status_code == 405
        many = kit.named(**{name: [1] * 101 for name in ("dep_hour", "distance", "stops")}, carrier=["UA"] * 101)
        assert server.client.post("/invocations", json=many).status_code == 413


def test_sigterm_ends_the_process_at_once_where_nothing_is_asked(tmp_path, model):
    with container(tmp_path, model) as server:
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(5) == 0


def test_captured_requests_of_the_container_are_files_of_its_own(tmp_path, model):
    captures = tmp_path / "captures"
    with container(tmp_path, model, capture={"directory": str(captures), "sample": 1, "rotate_bytes": 1}) as server:
        server.client.post("/invocations", json=kit.named())
        (file,) = kit.until(lambda: list(captures.glob("*/*.jsonl")))
        assert json.loads(file.read_text())["version"] == "3"


def test_a_damaged_bundle_keeps_the_container_from_being_well(tmp_path, model):
    (model / "model.onnx").write_bytes(b"damaged")
    environment = {**os.environ, sagemaker.CONFIG: json.dumps({**USUAL, "bundle": str(model)})}
    command = [sys.executable, "-m", "mlops_runtime", "serve"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 4
    assert "cannot serve the bundle" in done.stderr


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "give --config FILE, or the config (JSON) in the environment variable MLOPS_SERVING_CONFIG"),
        ({sagemaker.CONFIG: "{"}, "MLOPS_SERVING_CONFIG is not JSON"),
        ({sagemaker.CONFIG: "[]"}, "MLOPS_SERVING_CONFIG: expected an object"),
        ({sagemaker.CONFIG: '{"endpoint": "a"}'}, "MLOPS_SERVING_CONFIG: model: missing"),
        ({sagemaker.CONFIG: "{}", "SAGEMAKER_BIND_TO_PORT": "x"}, "SAGEMAKER_BIND_TO_PORT: expected a port, got 'x'"),
    ],
)
def test_what_is_wrong_with_the_environment_is_one_line(environment, message):
    with pytest.raises(ConfigError) as raised:
        sagemaker.config(environment)
    assert str(raised.value).startswith(message)


def test_by_default_the_container_listens_where_sagemaker_asks():
    made = sagemaker.config({sagemaker.CONFIG: '{"endpoint": "delays", "model": "delay"}'})
    assert (made.host, made.port, str(made.bundle), made.sagemaker) == ("0.0.0.0", 8080, "/opt/ml/model", True)
