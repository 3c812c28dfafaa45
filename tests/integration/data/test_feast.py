"""The repository over our offline store, opened by Feast itself, gives the rows that our join gives."""

from __future__ import annotations

import datetime as dt
import os
import random
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from data_definitions import definition, source, view

from mlops_runtime.steps.ingest import ingest
from mlops_runtime.steps.materialize import load_views, materialize
from mlops_runtime.stores.features import join
from mlops_runtime.stores.layout import Store

ZERO = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
READ = """
import sys
import pandas as pd
from feast import FeatureStore
asked = pd.read_parquet(sys.argv[1])
names = ["weather:temp", "weather:rain", "plane_types:seats"]
FeatureStore(repo_path=".").get_historical_features(entity_df=asked, features=names).to_df().to_parquet(sys.argv[2])
"""


@pytest.mark.slow
def test_feast_reads_the_same_history(tmp_path: Path) -> None:
    generator = random.Random(0)
    airports, planes = ["EWR", "JFK", "LGA"], ["N1", "N2", "N3"]
    hours = [(airport, hour) for airport in airports[:2] for hour in generator.sample(range(200), 60)]
    pl.DataFrame(
        {
            "origin": [airport for airport, _ in hours],
            "at": [ZERO + dt.timedelta(hours=hour) for _, hour in hours],
            "temp": [generator.random() if generator.random() > 0.1 else None for _ in hours],
            "rain": [generator.randint(0, 5) for _ in hours],
        }
    ).write_parquet(tmp_path / "weather.parquet")
    pl.DataFrame({"tailnum": planes[:2], "seats": [100, 180]}).write_parquet(tmp_path / "planes.parquet")
    made = definition(
        tmp_path,
        {
            "weather": source(str(tmp_path / "weather.parquet"), timestamp="at", key=["origin", "at"]),
            "planes": source(str(tmp_path / "planes.parquet"), key=["tailnum"]),
        },
        views={
            "weather": view("weather", ["origin"], ["temp", "rain"], ttl=6 * 3600.0),
            "plane-types": view("planes", ["tailnum"], ["seats"]),
        },
        training={"label": "rain", "inputs": ["temp"], "views": []},
    )
    materialize(made)
    asked = pl.DataFrame(
        {
            "place": range(300),
            "origin": [generator.choice(airports) for _ in range(300)],
            "tailnum": [generator.choice(planes) for _ in range(300)],
            "event_timestamp": [ZERO + dt.timedelta(minutes=30 * generator.randint(0, 420)) for _ in range(300)],
        },
        schema_overrides={"event_timestamp": pl.Datetime("us", "UTC")},
    )
    ours = asked
    for name, built in load_views(made, {name: ingest(made, name) for name in made.sources}).items():
        ours = join(ours, built, timestamp="event_timestamp", names={f: f for f in made.views[name].features})
    asked.write_parquet(tmp_path / "asked.parquet")
    repository = Store(made.store).features / "feature_repo"
    environment = {**os.environ, "FEAST_USAGE": "False", "FEAST_TELEMETRY": "False"}
    feast = [str(Path(sys.executable).with_name("feast")), "apply"]
    script = [sys.executable, "-c", READ, str(tmp_path / "asked.parquet"), str(tmp_path / "feast.parquet")]
    for command in (feast, script):
        done = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
    names = ["place", "temp", "rain", "seats"]
    theirs = pl.from_pandas(pl.read_parquet(tmp_path / "feast.parquet").to_pandas()).select(names).sort("place")
    assert ours.height == 300
    assert 0 < ours["temp"].null_count() < 300
    assert theirs.cast(ours.select(names).schema).equals(ours.select(names))
