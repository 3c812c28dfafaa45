"""Feast's part of the benchmark, in a process of its own: two offline stores, and the SQLite online store."""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float64

FEATURES = [f"f{number}" for number in range(5)]
ENTITIES = 10_000


def store_of(root: Path, kind: str) -> FeatureStore:
    config = RepoConfig(
        project=f"bench_{kind}",
        provider="local",
        registry=str(root / f"{kind}.registry.db"),
        offline_store={"type": kind},
        online_store={"type": "sqlite", "path": str(root / f"{kind}.online.db")},
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    entity = Entity(name="entity", join_keys=["entity"], value_type=ValueType.INT64)
    view = FeatureView(
        name="bench",
        entities=[entity],
        ttl=timedelta(0),
        schema=[Field(name=name, dtype=Float64) for name in FEATURES],
        source=FileSource(path=str(root / "events.parquet"), timestamp_field="at"),
    )
    store.apply([entity, view])
    return store


def historical(root: Path, store: FeatureStore, kind: str, times: int) -> float:
    names = [f"bench:{name}" for name in FEATURES]
    taken = []
    for _ in range(times + 1):
        began = time.perf_counter()
        labels = pd.read_parquet(root / "labels.parquet")
        result = store.get_historical_features(entity_df=labels, features=names).to_df()
        taken.append(time.perf_counter() - began)
    result.to_parquet(root / f"{kind}.parquet")
    return statistics.median(taken[1:])


def online(store: FeatureStore, size: int, count: int) -> float:
    generator = random.Random(0)
    names = [f"bench:{name}" for name in FEATURES]
    asked = [[{"entity": generator.randrange(ENTITIES)} for _ in range(size)] for _ in range(count)]
    began = time.perf_counter()
    for rows in asked:
        store.get_online_features(features=names, entity_rows=rows).to_dict()
    return count / (time.perf_counter() - began)


def main() -> None:
    root = Path(sys.argv[1])
    duck, files = store_of(root, "duckdb"), store_of(root, "file")
    measured = {"duckdb": historical(root, duck, "duckdb", 5), "file": historical(root, files, "file", 3)}
    began = time.perf_counter()
    duck.materialize(datetime(2025, 12, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))
    measured["materialize"] = ENTITIES / (time.perf_counter() - began)
    online(duck, 1, 100)
    measured["online-1"] = online(duck, 1, 2_000)
    measured["online-100"] = online(duck, 100, 100)
    (root / "feast.json").write_text(json.dumps(measured))


if __name__ == "__main__":
    main()
