"""Shards as pods run them: a store in a bucket, and an empty working copy for each."""

from __future__ import annotations

import shutil

import polars as pl
import pytest

from mlops_runtime.errors import StepError
from mlops_runtime.pipeline.single import run_command
from mlops_runtime.steps.batch_shards import gather, plan, score_shard
from mlops_runtime.stores.working_copy import WorkingCopy
from tests.unit.operations.conftest import ingest as ingest
from tests.unit.operations.conftest import make_definition as make_definition
from tests.unit.operations.conftest import real_bundle as real_bundle
from tests.unit.operations.conftest import store as store
from tests.unit.operations.conftest import trained as trained

ENDPOINT = {
    "name": "nightly",
    "kind": "batch",
    "source": "flights",
    "schedule": None,
    "keep_columns": [],
    "chunk_rows": 50,
    "shards": 2,
}


def test_each_pod_pulls_what_it_needs_and_pushes_what_it_made(
    make_definition, real_bundle, ingest, trained, store, bucket
):
    real_bundle(1)
    ingest("flights", pl.from_pandas(trained.rows).with_row_index("id"))
    definition = make_definition(ENDPOINT, bucket=bucket.model_dump())
    WorkingCopy.at(store.root, bucket).push("snapshots/", "bundles/")

    def pod(name, work, **about):
        shutil.rmtree(store.root)
        return run_command(definition, name, work, endpoint="nightly", **about)

    def shard(number):
        about = {"scoring": scoring, "shards": 2, "shard": number}
        return pod("batch-shard", lambda: score_shard(definition, "nightly", scoring, number, 2), **about)

    def gathered():
        about = {"scoring": scoring, "shards": 2}
        return pod("batch-gather", lambda: gather(definition, "nightly", scoring, 2), **about)

    scoring = pod("batch-plan", lambda: plan(definition, "nightly", version=1), version=1)
    assert list(store.root.rglob("*.parquet")) == list(store.root.rglob("*.onnx")) == []
    assert shard(1).new
    with pytest.raises(StepError, match="shards 0 of 2 have not scored"):
        gathered()
    assert shard(0).new
    assert not shard(1).new
    assert list(store.root.rglob("*.parquet")) == [], "what stands already is not even read"
    result = gathered()
    assert (result.rows, result.new) == (400, True)
    assert list(store.root.rglob("*.parquet")) == []
    assert pod("batch-plan", lambda: plan(definition, "nightly", version=1), version=1) is None
    WorkingCopy.at(store.root, bucket).pull("batch/")
    assert pl.read_parquet(result.path / "*.parquet")["id"].to_list() == list(range(400))
