"""Materialization in a pod: an empty working copy each time, the bucket in between."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import polars as pl
import pytest
from data_definitions import definition, source, view

from mlops_runtime.definition import Bucket, Definition
from mlops_runtime.pipeline.single import run_command
from mlops_runtime.steps.materialize import materialize
from mlops_runtime.stores.bucket import ObjectStore

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)
ROWS = [("north", NOW - 3 * DAY, 1.0), ("south", NOW - 2 * DAY, 7.0)]


@pytest.fixture
def uploads(monkeypatch):
    """Paths of what is uploaded."""
    seen: list[str] = []
    upload = ObjectStore.upload

    def noted(self, local, path, **options):
        seen.append(path)
        return upload(self, local, path, **options)

    monkeypatch.setattr(ObjectStore, "upload", noted)
    return seen


def put(root: Path, rows: list[tuple]) -> None:
    schema = {"shop": pl.String, "at": pl.Datetime("us", "UTC"), "price": pl.Float64}
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(root / "prices.parquet")


def project(root: Path, bucket: Bucket, **fields) -> Definition:
    distribution = {"statistic": "psi", "threshold": 100.0, "columns": None}
    prices = source(
        str(root / "prices.parquet"),
        timestamp="at",
        checks={"allow_future": True, "distribution": distribution},
        **fields,
    )
    made = definition(
        root,
        {"prices": prices, "unused": source(str(root / "nowhere.csv"))},
        views={"prices": view("prices", ["shop"], ["price"])},
        training={"label": "price", "inputs": [], "views": []},
    )
    return made.model_copy(update={"bucket": bucket})


def run(made: Definition) -> None:
    shutil.rmtree(made.store, ignore_errors=True)
    run_command(made, "materialize", lambda: materialize(made))


@pytest.mark.parametrize("incremental", [False, True])
def test_history_and_snapshots_go_to_the_bucket_once(tmp_path, bucket, uploads, incremental):
    made = project(tmp_path, bucket, incremental=incremental)
    put(tmp_path, ROWS)
    run(made)
    offline = "features/offline/prices"
    assert {f"{offline}/data.parquet", f"{offline}/state.json", f"{offline}/online.parquet"} <= set(uploads)
    assert {"features/verification/report.json", "snapshots/prices/index.json"} <= set(uploads)
    assert not [path for path in uploads if path.endswith(".db") or "unused" in path]

    uploads.clear()
    run(made)
    assert f"{offline}/data.parquet" not in uploads
    assert not [path for path in uploads if path.startswith("snapshots/") and path.endswith(".parquet")]

    uploads.clear()
    added = ("south", NOW - DAY, 8.0)
    put(tmp_path, [added] if incremental else [*ROWS, added])
    run(made)
    assert f"{offline}/data.parquet" in uploads
    assert pl.read_parquet(made.store / offline / "data.parquet").height == 3
    assert len([path for path in uploads if path.startswith("snapshots/") and path.endswith(".parquet")]) == 1
