from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from mlops_runtime.deployment import deploy
from mlops_runtime.errors import BadDataError, BadInputError
from mlops_runtime.steps.batch import score


def nightly(**settings):
    return {
        "name": "nightly",
        "kind": "batch",
        "source": "flights",
        "schedule": None,
        "keep_columns": [],
        "chunk_rows": 100,
        "shards": 1,
        **settings,
    }


@pytest.fixture
def flights(trained):
    return pl.from_pandas(trained.rows).with_row_index("id")


def test_the_newest_accepted_snapshot_is_scored(make_definition, real_bundle, ingest, flights, trained, store):
    real_bundle(1)
    deploy(store, ["nightly"], "delay", 1, by="pipeline")
    ingest("flights", flights.head(5))
    digest = ingest("flights", flights)
    ingest("flights", flights.head(7), accepted=False)
    scored = score(make_definition(nightly()), "nightly")
    output = pl.read_parquet(scored.path)
    assert output.columns == ["id", "prediction", "score", "model_version", "scored_at"]
    assert output["id"].to_list() == list(range(400))
    np.testing.assert_allclose(output["score"], trained.model.predict_proba(trained.rows)[:, 1], atol=1e-5)
    assert output["model_version"].unique().to_list() == [1]
    assert pq.ParquetFile(scored.path).num_row_groups == 4
    manifest = json.loads(scored.manifest.read_text())
    assert (manifest["snapshot"], manifest["rows"], manifest["version"]) == (digest, 400, 1)
    assert (scored.rows, scored.unscored, scored.new) == (400, 0, True)


def test_the_same_work_is_done_once(make_definition, real_bundle, ingest, flights):
    real_bundle(1)
    ingest("flights", flights)
    said = []
    first = score(make_definition(nightly()), "nightly", version=1)
    before = first.path.stat()
    again = score(make_definition(nightly(chunk_rows=7)), "nightly", version=1, progress=said.append)
    assert (again.path, again.new, again.rows) == (first.path, False, 400)
    assert first.path.stat().st_mtime_ns == before.st_mtime_ns
    assert "already" in said[0]
    assert sorted(path.suffix for path in first.path.parent.glob("v1*")) == [".json", ".parquet"]


def test_another_version_and_other_data_are_scored_anew(make_definition, real_bundle, ingest, flights):
    for version in (1, 2):
        real_bundle(version)
    definition = make_definition(nightly())
    ingest("flights", flights)
    runs = [score(definition, "nightly", version=1), score(definition, "nightly", version=2)]
    ingest("flights", flights.head(9))
    runs.append(score(definition, "nightly", version=1))
    runs.append(score(make_definition(nightly(keep_columns=["carrier", "id"])), "nightly", version=1))
    assert all(run.new for run in runs)
    assert len({run.path for run in runs}) == 4
    assert pl.read_parquet(runs[3].path).columns[:3] == ["carrier", "id", "prediction"]


def test_a_failure_leaves_nothing_behind(make_definition, real_bundle, ingest, flights, monkeypatch):
    from mlops_runtime.scoring import Scorer

    real_bundle(1)
    ingest("flights", flights)
    definition, whole, calls = make_definition(nightly()), Scorer.score, []

    def full_disk(self, table):
        calls.append(table.height)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        return whole(self, table)

    monkeypatch.setattr(Scorer, "score", full_disk)
    with pytest.raises(OSError, match="No space left"):
        score(definition, "nightly", version=1)
    assert [path.name for path in (definition.store / "batch" / "nightly").iterdir()] == [".lock"]
    monkeypatch.undo()
    assert score(definition, "nightly", version=1).rows == 400


def test_rows_that_lack_a_value_get_no_prediction_and_are_counted(make_definition, real_bundle, ingest, flights):
    real_bundle(1)
    ingest(
        "flights",
        flights.with_columns(pl.when(pl.col("id") % 10 == 0).then(None).otherwise("carrier").alias("carrier")),
    )
    scored = score(make_definition(nightly()), "nightly", version=1)
    output = pl.read_parquet(scored.path)
    assert (scored.rows, scored.unscored) == (400, 40)
    assert output.filter(pl.col("prediction").is_null())["id"].to_list() == list(range(0, 400, 10))
    assert json.loads(scored.manifest.read_text())["unscored"] == 40


def test_features_are_joined_as_of_each_rows_time(make_definition, real_bundle, ingest, trained):
    real_bundle(1)
    day = [datetime(2026, 1, number, tzinfo=UTC) for number in range(1, 8)]
    ingest("weather", pl.DataFrame({"station": ["A", "A", "B"], "at": [day[0], day[3], day[1]], "x": [-3.0, 3.0, 0.0]}))
    ingest(
        "flights",
        pl.DataFrame(
            {
                "id": [1, 2, 3, 4],
                "station": ["A", "A", "B", "A"],
                "at": [day[1], day[3], day[0], day[2]],
                "carrier": "UA",
            }
        ),
    )
    definition = make_definition(nightly(chunk_rows=3))
    flights = definition.sources["flights"].model_copy(update={"timestamp": "at"})
    weather = flights.model_copy(update={"key": []})
    view = {"source": "weather", "keys": ["station"], "features": ["x"], "transform": None, "ttl": None, "online": True}
    training = definition.training.model_copy(update={"inputs": ["carrier"], "views": ["weather"]})
    definition = make_definition(
        nightly(chunk_rows=3),
        sources={"flights": flights.model_dump(), "weather": weather.model_dump()},
        views={"weather": view},
        training=training.model_dump(),
    )
    output = pl.read_parquet(score(definition, "nightly", version=1).path)
    rows = trained.rows.head(4).assign(x=np.float32([-3, 3, np.nan, -3]), carrier="UA")
    np.testing.assert_allclose(output["score"], trained.model.predict_proba(rows)[:, 1], atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"keep_columns": ["gate"]}, "keep_columns names gate, and source flights has no such column; it has id, x"),
        ({"source": "planes"}, "source planes has no accepted snapshot yet"),
        ({"name": "daily"}, "nightly is no batch endpoint; batch endpoints of the spec: daily"),
    ],
)
def test_settings_that_do_not_fit_are_named(make_definition, real_bundle, ingest, flights, settings, message):
    real_bundle(1)
    ingest("flights", flights)
    with pytest.raises(BadInputError, match=message):
        score(make_definition(nightly(**settings)), "nightly", version=1)


def test_a_column_named_like_the_output_is_not_kept(make_definition, real_bundle, ingest, flights):
    real_bundle(1)
    ingest("flights", flights.with_columns(score=1.0))
    with pytest.raises(BadInputError, match="column score can't be kept"):
        score(make_definition(nightly(keep_columns=["score"])), "nightly", version=1)


def test_without_a_deployed_version_there_is_nothing_to_score_with(make_definition, ingest, flights):
    ingest("flights", flights)
    with pytest.raises(BadInputError, match="has no deployed version yet"):
        score(make_definition(nightly()), "nightly")


def test_a_table_without_an_input_is_refused(make_definition, real_bundle, ingest, flights, store):
    real_bundle(1)
    ingest("flights", flights.drop("carrier"))
    with pytest.raises(BadDataError, match="input carrier is no column"):
        score(make_definition(nightly()), "nightly", version=1)
