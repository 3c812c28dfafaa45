"""What the cluster would run to score a large table, and to take a version back, does run; see test_workflow_runs."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from mlops_runtime.definition import Bucket
from mlops_runtime.stores.bucket import ObjectStore
from mlops_runtime.stores.bucket_audit import BucketAudit
from tests.argo_kit import Workflow
from tests.integration.kubernetes.test_workflow_runs import bottles, wine
from tests.kserve_kit import kserve
from tests.kubernetes_kit import on_the_bed
from tests.mlflow_kit import mlflow_server
from tests.pod_kit import mounts_are_possible
from tests.stack_kit import Stack
from tests.unit.platforms.kubernetes import kit
from tools.kubernetes.bed import Bed

pytestmark = [
    *on_the_bed,
    pytest.mark.usefixtures("custom_resources"),
    pytest.mark.skipif(not mounts_are_possible(), reason="this machine does not let its user mount folders"),
]

SCORING = ["batch-plan", "batch-shard", "batch-shard", "batch-shard", "batch-gather"]
ENDPOINTS = [
    {"name": "wine", "kind": "rest", "port": 8080},
    {"name": "cellar", "kind": "batch", "source": "bottles", "keep_columns": ["bottle"], "chunk_rows": 50, "shards": 3},
]


@pytest.fixture(scope="module")
def tracking_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as uri:
        yield uri


def task(stack: Stack, entrypoint: str, arguments: Mapping[str, str]) -> Workflow:
    """A workflow of the model's other work."""
    spec = kit.one(stack.objects, "WorkflowTemplate", "wine-tasks")["spec"]
    return replace(
        stack.workflow(f"wine-{entrypoint}"), spec={**spec, "entrypoint": entrypoint}, arguments=arguments, ran=[]
    )


def cellar(objects: ObjectStore) -> list[tuple[int, pl.DataFrame]]:
    """Complete scorings: version and rows, in the order of the parts."""
    found = []
    for entry in objects.list("batch/cellar/"):
        if entry.path.endswith(".json") and entry.path.count("/") == 2:
            manifest = json.loads(objects.read(entry.path))
            folder = f"batch/cellar/{manifest['file']}"
            parts = [pl.read_parquet(io.BytesIO(objects.read(f"{folder}/{p['file']}"))) for p in manifest["parts"]]
            found.append((manifest["version"], pl.concat(parts)))
    return found


@pytest.mark.timeout(1200)  # some thirty pods, each a process that imports MLflow or scikit-learn
def test_shards_score_after_a_deployment_and_a_rollback_goes_back(
    bed: Bed, namespace: str, bucket: Bucket, tracking_uri: str, tmp_path: Path
) -> None:
    stack = wine(bed, namespace, bucket, tracking_uri, tmp_path, endpoints=ENDPOINTS, evaluation={"champion": None})
    objects = ObjectStore(bucket)
    with kserve(bed.api, stack.service):
        first = stack.workflow("wine-1", trigger="up", requested_by="pulumi")
        assert first.run() == "Succeeded", first.ran[-2:]
        assert first.names[-7:] == ["deploy", *SCORING, "finish"]
        ((version, scored),) = cellar(objects)
        assert (version, scored["bottle"].to_list()) == (1, list(range(len(bottles()))))
        right = [told == true for told, true in zip(scored["prediction"], bottles()["cultivar"], strict=True)]
        assert sum(right) > 0.9 * len(right)

        again = task(stack, "batch-shards", {"endpoint": "cellar", "shards": "3"})
        assert again.run() == "Succeeded", again.ran
        assert again.names == ["batch-plan"]
        assert "already" in again.said("batch-plan")

        known = {"by": "ann@example.com", "reason": "worse in autumn", "to": "0"}
        nowhere = task(stack, "rollback", known)
        assert nowhere.run() == "Failed"
        assert "error: version 1 is the first one deployed on wine; nothing lies before it" in nowhere.said("go-back")

        second = stack.workflow("wine-2", trigger="manual", requested_by="ann")
        assert second.run() == "Succeeded", second.ran[-2:]
        assert (stack.storage_uri() or "").endswith("/bundles/wine/2")
        assert sorted(version for version, _ in cellar(objects)) == [1, 2]

        back = task(stack, "rollback", known)
        assert back.run() == "Succeeded", back.ran
        assert back.names == ["go-back", "batch-plan"], "what version 1 says of this table is there already"
        assert (stack.storage_uri() or "").endswith("/bundles/wine/1")
    pointers = [json.loads(objects.read(f"deployments/{name}.json")) for name in ("wine", "cellar")]
    assert [(pointer["version"], pointer["by"]) for pointer in pointers] == [(1, "ann@example.com")] * 2
    last = BucketAudit(objects).audit_log()[0]
    assert (last.actor, last.action, last.subject, last.details["reason"]) == (
        "ann@example.com",
        "rollback",
        "wine/1",
        "worse in autumn",
    )
