"""A table that several processes score is the table that one would write."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from mlops_runtime.deployment import deploy
from mlops_runtime.errors import BadDataError, BadInputError, StepError
from mlops_runtime.scoring import Scorer
from mlops_runtime.steps.batch import score
from mlops_runtime.steps.batch_shards import gather, plan, score_shard
from mlops_runtime.steps.batch_task import Scoring

SHARDS = 3


@pytest.fixture
def flights(trained):
    return pl.from_pandas(trained.rows).with_row_index("id")


@pytest.fixture
def definition(make_definition, real_bundle):
    real_bundle(1)
    return make_definition(nightly())


def nightly(**settings):
    return {
        "name": "nightly",
        "kind": "batch",
        "source": "flights",
        "schedule": None,
        "keep_columns": [],
        "chunk_rows": 50,
        "shards": SHARDS,
        **settings,
    }


def scored_in_shards(definition, *, shards=SHARDS, version=1):
    scoring = plan(definition, "nightly", version=version)
    for shard in range(shards):
        score_shard(definition, "nightly", scoring, shard, shards)
    return gather(definition, "nightly", scoring, shards)


@pytest.mark.parametrize("shards", [1, 3, 7])
def test_the_parts_are_the_whole(definition, ingest, flights, shards):
    ingest("flights", flights)
    gathered = scored_in_shards(definition, shards=shards)
    files = sorted(gathered.path.glob("*.parquet"))
    assert len(files) == shards
    parts = [pl.read_parquet(file) for file in files]
    assert max(part.height for part in parts) - min(part.height for part in parts) <= 1
    together = pl.read_parquet(gathered.path / "*.parquet")
    assert together["scored_at"].n_unique() == 1
    manifest = json.loads(gathered.manifest.read_bytes())
    assert manifest["file"] == gathered.path.name
    assert [part["file"] for part in manifest["parts"]] == [file.name for file in files]
    assert (manifest["rows"], gathered.rows, gathered.new) == (400, 400, True)

    gathered.manifest.unlink()
    whole = score(definition, "nightly", version=1)
    assert whole.run_id == gathered.run_id
    assert_frame_equal(pl.read_parquet(whole.path).drop("scored_at"), together.drop("scored_at"))
    facts = json.loads(whole.manifest.read_bytes())
    differ = {"file", "file_digest", "started_at", "finished_at", "seconds", "parts"}
    assert {key: value for key, value in manifest.items() if key not in differ} == {
        key: value for key, value in facts.items() if key not in differ
    }


def test_row_groups_of_other_shards_are_not_read(definition, ingest, flights, store, monkeypatch):
    import pyarrow.parquet as pq

    from mlops_runtime.stores.snapshots import Snapshots

    digest = ingest("flights", flights)
    file = Snapshots(store, "flights").path(digest)
    table = pq.read_table(file)
    pq.write_table(table, file, row_group_size=100)
    read, iter_batches = [], pq.ParquetFile.iter_batches

    def watched(self, **asked):
        read.append(asked["row_groups"])
        return iter_batches(self, **asked)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", watched)
    gathered = scored_in_shards(definition)
    assert read == [[0, 1], [1, 2], [2, 3]]
    assert pl.read_parquet(gathered.path / "*.parquet")["id"].to_list() == list(range(400))


def test_a_table_with_fewer_rows_than_shards(definition, ingest, flights):
    ingest("flights", flights.head(2))
    gathered = scored_in_shards(definition)
    assert pl.read_parquet(gathered.path / "*.parquet")["id"].to_list() == [0, 1]
    assert len(json.loads(gathered.manifest.read_bytes())["parts"]) == 2


def test_an_empty_table_is_refused_before_any_shard_runs(definition, ingest, flights):
    ingest("flights", flights.head(0))
    with pytest.raises(BadDataError, match="the snapshot for nightly is empty"):
        plan(definition, "nightly", version=1)


def test_nothing_is_complete_before_all_parts_are(definition, ingest, flights):
    ingest("flights", flights)
    scoring = plan(definition, "nightly", version=1)
    score_shard(definition, "nightly", scoring, 1, SHARDS)
    with pytest.raises(StepError, match="shards 0, 2 of 3 have not scored their rows"):
        gather(definition, "nightly", scoring, SHARDS)
    assert list(definition.store.glob("batch/nightly/*.json")) == []
    assert plan(definition, "nightly", version=1) is not None


def test_a_shard_that_failed_is_run_again_and_the_others_are_not(definition, ingest, flights, monkeypatch):
    ingest("flights", flights)
    scoring = plan(definition, "nightly", version=1)
    first = score_shard(definition, "nightly", scoring, 0, SHARDS)
    before = first.path.stat().st_mtime_ns
    calls, whole = [], Scorer.score

    def killed(self, table):
        calls.append(table.height)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole(self, table)

    monkeypatch.setattr(Scorer, "score", killed)
    with pytest.raises(KeyboardInterrupt):
        score_shard(definition, "nightly", scoring, 1, SHARDS)
    monkeypatch.undo()
    assert sorted(path.name for path in first.path.parent.iterdir() if path.name[0] != ".") == [
        "part-00000.json",
        "part-00000.parquet",
    ]
    again = [score_shard(definition, "nightly", scoring, shard, SHARDS) for shard in range(SHARDS)]
    assert [each.new for each in again] == [False, True, True]
    assert first.path.stat().st_mtime_ns == before
    gathered = gather(definition, "nightly", scoring, SHARDS)
    assert pl.read_parquet(gathered.path / "*.parquet")["id"].to_list() == list(range(400))


def test_the_same_work_is_done_once(definition, ingest, flights):
    ingest("flights", flights)
    scoring = plan(definition, "nightly", version=1)
    first = scored_in_shards(definition)
    said = []
    assert plan(definition, "nightly", version=1, progress=said.append) is None
    assert "has scored this snapshot with version 1 already" in said[0]
    again = gather(definition, "nightly", scoring, SHARDS)
    assert (again.path, again.new, again.rows) == (first.path, False, 400)
    # Nor by one process, after all.
    assert score(definition, "nightly", version=1).new is False


def test_shards_score_what_was_planned_whatever_is_deployed_meanwhile(
    definition, real_bundle, ingest, flights, store, trained
):
    deploy(store, ["nightly"], "delay", 1, by="pipeline")
    ingest("flights", flights)
    scoring = plan(definition, "nightly")
    score_shard(definition, "nightly", scoring, 0, SHARDS)
    real_bundle(2)
    deploy(store, ["nightly"], "delay", 2, by="pipeline")
    ingest("flights", flights.head(5))
    for shard in (1, 2):
        score_shard(definition, "nightly", scoring, shard, SHARDS)
    gathered = gather(definition, "nightly", scoring, SHARDS)
    output = pl.read_parquet(gathered.path / "*.parquet")
    assert output["model_version"].unique().to_list() == [1]
    np.testing.assert_allclose(output["score"], trained.model.predict_proba(trained.rows)[:, 1], atol=1e-5)
    later = plan(definition, "nightly")
    assert later is not None
    assert later.version == 2


def test_parts_of_another_number_of_shards_are_not_mixed_in(definition, ingest, flights):
    ingest("flights", flights)
    scoring = plan(definition, "nightly", version=1)
    score_shard(definition, "nightly", scoring, 0, 2)
    gathered = scored_in_shards(definition)
    assert pl.read_parquet(gathered.path / "*.parquet")["id"].to_list() == list(range(400))


@pytest.mark.parametrize(
    ("change", "shard", "told"),
    [
        ({}, 3, "there is no shard 3 of 3"),
        ({"version": 4}, 0, "the bundle .* can't be used"),
        ({"snapshots": {"flights": "sha256:gone"}}, 0, "source flights has no snapshot sha256:gone any more"),
    ],
)
def test_what_can_not_be_scored_is_named(definition, ingest, flights, change, shard, told):
    ingest("flights", flights)
    scoring = plan(definition, "nightly", version=1).model_copy(update=change)
    with pytest.raises(BadInputError, match=told):
        score_shard(definition, "nightly", scoring, shard, SHARDS)


def test_a_plan_is_handed_on_as_text():
    scoring = Scoring(version=1, snapshots={"flights": "sha256:1"}, scored_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert Scoring.parse(scoring.model_dump_json()) == scoring
    with pytest.raises(BadInputError, match="none is no scoring; `mlops-runtime batch-plan` writes one"):
        Scoring.parse("none")
