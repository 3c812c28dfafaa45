"""Work beside the pipeline as pods run it, each with an empty working copy: scoring in shards, rollback."""

from __future__ import annotations

import io
import json

import polars as pl
import pytest
import training_kit as kit
from test_steps_alone import STEPS, Pods
from test_steps_alone import pods as pods
from test_steps_alone import tracking_uri as tracking_uri

from mlops_runtime.cli import app
from mlops_runtime.errors import StepError
from mlops_runtime.stores.bucket_audit import BucketAudit

NIGHTLY = {
    "name": "nightly",
    "kind": "batch",
    "source": "rows",
    "schedule": None,
    "keep_columns": [],
    "chunk_rows": 100,
    "shards": 3,
}


def command(pods: Pods, name: str, *options: str) -> None:
    """In this process, which is quicker."""
    pods.wipe()
    definition = str(pods.root / "definition.json")
    app([name, "--definition", definition, "--endpoint", "nightly", *options], standalone_mode=False)


def plan(pods: Pods) -> str | None:
    command(pods, "batch-plan", "--outputs", str(pods.outputs))
    return pods.output("scoring") if pods.output("go") == "true" else None


def shard(pods: Pods, scoring: str, number: int) -> None:
    command(pods, "batch-shard", "--scoring", scoring, "--shard", str(number), "--shards", "3")


def gather(pods: Pods, scoring: str) -> None:
    command(pods, "batch-gather", "--scoring", scoring, "--shards", "3")


def complete(pods: Pods) -> list[dict]:
    """Manifests of complete scorings."""
    paths = [path for path in pods.paths("batch/nightly/") if path.count("/") == 2]
    return [json.loads(pods.objects.read(path)) for path in paths]


def test_pods_side_by_side_score_a_table_once_and_a_rollback_goes_back(pods):
    pods.define(endpoints=[NIGHTLY])
    pods.here("late-1", *STEPS)
    assert pods.paths("batch/") == [], "the step that deploys leaves it to the shards"

    scoring = plan(pods)
    assert scoring is not None
    assert list(pods.store.rglob("*.parquet")) == list(pods.store.rglob("*.onnx")) == []
    for number in (2, 0):
        shard(pods, scoring, number)
        assert [path.name for path in pods.store.glob("batch/nightly/*/*.parquet")] == [f"part-{number:05d}.parquet"]
    with pytest.raises(StepError, match="shards 1 of 3 have not scored their rows"):
        gather(pods, scoring)
    assert complete(pods) == []
    shard(pods, scoring, 1)
    gather(pods, scoring)
    assert list(pods.store.rglob("*.parquet")) == [], "the parts stay where they are"
    (manifest,) = complete(pods)
    parts = [pods.objects.read(f"batch/nightly/{manifest['file']}/{part['file']}") for part in manifest["parts"]]
    rows = pl.concat([pl.read_parquet(io.BytesIO(part)) for part in parts])
    assert (manifest["rows"], rows.height, len(parts)) == (1200, 1200, 3)

    before = {entry.path: entry.etag for entry in pods.objects.list("")}
    for number in range(3):
        shard(pods, scoring, number)
        assert list(pods.store.rglob("*.parquet")) == [], "what stands already is not even read"
    gather(pods, scoring)
    assert plan(pods) is None
    assert {entry.path: entry.etag for entry in pods.objects.list("")} == before

    whole = json.loads((pods.root / "definition.json").read_bytes())
    whole["endpoints"][0]["shards"] = 1
    pods.objects.delete(f"batch/nightly/{manifest['run_id']}.json")
    (pods.root / "whole.json").write_text(json.dumps(whole))
    pods.wipe()
    app(["batch", "--definition", str(pods.root / "whole.json"), "--endpoint", "nightly"], standalone_mode=False)
    (table,) = pods.store.glob("batch/nightly/*.parquet")
    assert pl.read_parquet(table).drop("scored_at").equals(rows.drop("scored_at"))

    why = ("--by", "ann@example.com", "--reason", "worse in autumn", "--to", "0", "--outputs", str(pods.outputs))
    code, output = pods.run("rollback", *why)
    assert (code, output) == (2, "error: version 1 is the first one deployed on nightly; nothing lies before it\n")
    kit.rows(1300, seed=1).to_csv(pods.root / "rows.csv", index=False)
    pods.here("late-2", *STEPS)
    assert json.loads(pods.objects.read("deployments/nightly.json"))["version"] == 2
    code, output = pods.run("rollback", *why)
    assert code == 0, output
    assert pods.output("version") == "1"
    assert [each["version"] for each in json.loads(pods.output("endpoints"))] == [1]
    pointer = json.loads(pods.objects.read("deployments/nightly.json"))
    assert (pointer["version"], pointer["by"]) == (1, "ann@example.com")
    assert {version.number: version.tags["status"] for version in pods.tracking.versions()} == {
        1: "approved",
        2: "rolled-back",
    }
    last = BucketAudit(pods.objects).audit_log(limit=1)[0]
    assert (last.actor, last.action, last.details["reason"]) == ("ann@example.com", "rollback", "worse in autumn")
    again = plan(pods)
    assert again is not None
    assert json.loads(again)["version"] == 1
