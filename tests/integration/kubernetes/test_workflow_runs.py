"""What the cluster would run does run: the steps of the rendered workflow as processes, up to a served prediction."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pandas as pd
import pytest
from sklearn.datasets import load_wine

from mlops_runtime.definition import Bucket
from tests.kserve_kit import kserve
from tests.kubernetes_kit import on_the_bed
from tests.mlflow_kit import mlflow_server
from tests.pod_kit import mounts_are_possible
from tests.stack_kit import CREDENTIALS, Stack, download, predicted
from tests.unit.platforms.kubernetes import kit
from tools.kubernetes.bed import Bed

pytestmark = [
    *on_the_bed,
    pytest.mark.usefixtures("custom_resources"),
    pytest.mark.skipif(not mounts_are_possible(), reason="this machine does not let its user mount folders"),
]

INPUTS = ("alcohol", "malic_acid", "ash", "flavanoids", "color_intensity", "hue", "od280_od315", "proline")


@pytest.fixture
def tracking_uri(tmp_path: Path) -> Iterator[str]:
    """A server of the test's own: it remembers the bucket in which it first saw a model's artefacts."""
    (tmp_path / "mlflow").mkdir()
    with mlflow_server(tmp_path / "mlflow") as uri:
        yield uri


def bottles() -> pd.DataFrame:
    """The rows of examples/wine."""
    frame: pd.DataFrame = load_wine(as_frame=True).frame.rename(columns={"od280/od315_of_diluted_wines": "od280_od315"})
    names = frame["target"].map({0: "barolo", 1: "grignolino", 2: "barbera"})
    return frame.drop(columns="target").assign(cultivar=names, bottle=range(len(frame)))


def wine(bed: Bed, namespace: str, bucket: Bucket, tracking_uri: str, root: Path, **changes: Any) -> Stack:
    """The stack of examples/wine, with its table as an object."""
    content = io.BytesIO()
    bottles().to_parquet(content, index=False)
    client = boto3.client("s3", endpoint_url=bucket.endpoint_url)
    client.create_bucket(Bucket="warehouse")
    client.put_object(Bucket="warehouse", Key="bottles.parquet", Body=content.getvalue())
    settings = {
        "namespace": namespace,
        "store": {"uri": bucket.uri, "endpoint_url": bucket.endpoint_url, "secret_name": "store"},
        "tracking": {"uri": tracking_uri, "database": None},
        "images": {"mlflow": None},
    }
    data = {"sources": {"bottles": {"endpoint_url": bucket.endpoint_url}}}
    objects = kit.objects(kit.quickstart(kubernetes=settings, data=data, **changes))
    return Stack(bed, objects, "wine", root, {"store": CREDENTIALS})


def test_the_workflow_ends_with_a_served_prediction(
    bed: Bed, namespace: str, bucket: Bucket, tracking_uri: str, tmp_path: Path
) -> None:
    stack = wine(bed, namespace, bucket, tracking_uri, tmp_path)
    with kserve(bed.api, stack.service):
        workflow = stack.workflow("wine-1", trigger="up", requested_by="pulumi")
        assert workflow.run() == "Succeeded", workflow.ran
        assert workflow.names == [
            "admit", "ingest", "verify", "featurize", "train", "evaluate", "validate", "register", "deploy", "finish",
        ]  # fmt: skip
        assert "run" in workflow.said("admit")
        assert workflow.said("finish").startswith("finish: succeeded")
        uri = stack.storage_uri()
        assert uri is not None
        assert uri.startswith(f"{bucket.uri}/bundles/wine/1"), uri

        again = stack.workflow("wine-2", trigger="schedule", cooldown="3600")
        assert again.run() == "Succeeded"
        assert again.names == ["admit", "finish"]
        assert "cooldown" in again.said("admit")

        same = stack.workflow("wine-3", trigger="new-data:bottles", new_data="bottles")
        assert same.run() == "Succeeded"
        assert same.names == ["admit", "finish"]
        assert "has not changed" in same.said("admit")

    models = tmp_path / "models"
    download(str(bucket.endpoint_url), uri, models)
    of_each = bottles().drop_duplicates("cultivar")
    with stack.serving(models) as url:
        outputs = predicted(url, "wine", {name: ("FP64", of_each[name].tolist()) for name in INPUTS})
    assert outputs["label"] == of_each["cultivar"].tolist()


def test_a_rejected_model_ends_the_workflow_and_is_recorded(
    bed: Bed, namespace: str, bucket: Bucket, tracking_uri: str, tmp_path: Path
) -> None:
    floors = {"primary": "accuracy", "floors": {"accuracy": 1.0, "f1_macro": 1.0}}
    stack = wine(bed, namespace, bucket, tracking_uri, tmp_path, evaluation=floors)
    workflow = stack.workflow("wine-rejected", trigger="schedule")
    assert workflow.run() == "Failed"
    assert workflow.names[-2:] == ["register", "finish"], workflow.ran
    assert workflow.said("finish").startswith("finish: rejected: the model was rejected")
