"""Point-in-time join of 1,000,000 events to 100,000 labels, and online reads, beside DuckDB and Feast.

Everybody starts from the same Parquet files, whose rows are in no order, and ends with a table in memory; sorting and
whatever else a contender needs is in its time. `join-built` takes our offline store as a pipeline run leaves it
(sorted, one row for each key and time), as every join but a snapshot's first does.

Feast runs in a process and environment of its own, its imports and its `apply` outside the clock; telemetry is off.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl

from benchmarks.common import BenchmarkError, environment, figure, peer_python, write_results
from mlops_runtime.stores.features import View, join, one_row_a_time
from mlops_runtime.stores.online import OnlineStore, entity_key

EVENTS, LABELS, ENTITIES = 1_000_000, 100_000, 10_000
ENTITY = "entity"
FEATURES = [f"f{number}" for number in range(5)]
MONTH_US = 30 * 86_400 * 10**6


def run(out: Path) -> dict[str, float]:
    """Run the benchmark.

    Arguments:
        out: folder for `join.json` and `join.png`.

    Returns:
        Ratios by name: how many times better than the peer we are.
    """
    with tempfile.TemporaryDirectory(prefix="bench-join-") as folder:
        root = Path(folder)
        _make_data(root)
        ours, our_rows = _ours(root)
        duck, duck_rows = _duckdb(root)
        online = _our_online(root)
        peers = _feast(root)
        feast_rows = {kind: pl.read_parquet(root / f"{kind}.parquet") for kind in ("duckdb", "file")}
    exact = {
        "duckdb": our_rows.equals(duck_rows),
        "feast-duckdb": our_rows.equals(_normal(feast_rows["duckdb"])),
        "feast-file": our_rows.equals(_normal(feast_rows["file"])),
    }
    if not (exact["duckdb"] and exact["feast-duckdb"]):
        raise BenchmarkError(f"the joins differ: {exact}")
    seconds = {**ours, "duckdb": duck, "feast-duckdb": peers["duckdb"], "feast-file": peers["file"]}
    ratios = {
        "join-duckdb": duck / ours["join"],
        "join-duckdb-built": duck / ours["join-built"],
        "join-feast-duckdb": peers["duckdb"] / ours["join"],
        "join-feast-file": peers["file"] / ours["join"],
        "online-1-feast": online["read-1"] / peers["online-1"],
        "online-100-feast": online["read-100"] / peers["online-100"],
        "materialize-feast": online["entities"] / peers["materialize"],
    }
    rows = {"ours": our_rows.height, "duckdb": duck_rows.height} | {
        f"feast-{kind}": table.height for kind, table in feast_rows.items()
    }
    results: dict[str, Any] = {
        "events": EVENTS,
        "labels": LABELS,
        "seconds": seconds,
        "rows": rows,
        "equal_to_ours": exact,
        "online_calls_per_second": {
            "ours-1": online["read-1"],
            "ours-100": online["read-100"],
            "feast-1": peers["online-1"],
            "feast-100": peers["online-100"],
        },
        "materialized_entities_per_second": {"ours": online["entities"], "feast": peers["materialize"]},
        "ratios": ratios,
    }
    write_results(out, "join", results)
    calls = results["online_calls_per_second"]
    figure(
        out / "join.png",
        [
            ("join, s", {"ours": seconds["join"], "DuckDB": duck, "Feast\n(DuckDB)": peers["duckdb"]}),
            ("online, 1 entity, calls/s", {"ours": calls["ours-1"], "Feast": calls["feast-1"]}),
            ("online, 100 entities, calls/s", {"ours": calls["ours-100"], "Feast": calls["feast-100"]}),
        ],
    )
    for name, value in seconds.items():
        counted = rows.get(name, rows["ours"])
        print(f"{name:15} {value:8.3f} s   {counted:,} rows")
    for name, value in results["online_calls_per_second"].items():
        print(f"online {name:11} {value:10,.0f} calls/s")
    for name, value in results["materialized_entities_per_second"].items():
        print(f"materialize {name:6} {value:10,.0f} entities/s")
    return ratios


def _make_data(root: Path) -> None:
    generator = np.random.default_rng(0)
    start = np.datetime64("2026-01-01", "us")
    time_type = pl.Datetime("us", "UTC")
    pl.DataFrame(
        {
            ENTITY: generator.integers(0, ENTITIES, EVENTS),
            "at": start + generator.integers(0, MONTH_US, EVENTS),
            **{name: generator.normal(size=EVENTS) for name in FEATURES},
        }
    ).with_columns(pl.col("at").dt.replace_time_zone("UTC").cast(time_type)).write_parquet(root / "events.parquet")
    # A tenth of the labels ask for entities that have no event at all.
    pl.DataFrame(
        {
            "place": np.arange(LABELS),
            ENTITY: generator.integers(0, ENTITIES + ENTITIES // 9, LABELS),
            "event_timestamp": start + generator.integers(0, MONTH_US, LABELS),
        }
    ).with_columns(pl.col("event_timestamp").dt.replace_time_zone("UTC").cast(time_type)).write_parquet(
        root / "labels.parquet"
    )


def _median(work: Callable[[], Any], times: int) -> tuple[float, Any]:
    result = work()
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        result = work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken), result


def _normal(table: pl.DataFrame) -> pl.DataFrame:
    return table.select("place", *FEATURES).sort("place").cast({"place": pl.Int64})


def _ours(root: Path) -> tuple[dict[str, float], pl.DataFrame]:
    one_row_a_time(pl.read_parquet(root / "events.parquet"), [ENTITY], "at").write_parquet(root / "built.parquet")
    names = {name: name for name in FEATURES}

    def joined(events: pl.DataFrame) -> pl.DataFrame:
        view = View("bench", events, [ENTITY], "at", FEATURES, None, "")
        return join(pl.read_parquet(root / "labels.parquet"), view, timestamp="event_timestamp", names=names)

    whole, rows = _median(lambda: joined(one_row_a_time(pl.read_parquet(root / "events.parquet"), [ENTITY], "at")), 7)
    built, _ = _median(lambda: joined(pl.read_parquet(root / "built.parquet")), 7)
    return {"join": whole, "join-built": built}, _normal(rows)


def _duckdb(root: Path) -> tuple[float, pl.DataFrame]:
    query = f"""
        SELECT l.*, {", ".join(f"e.{name}" for name in FEATURES)}
        FROM '{root}/labels.parquet' AS l
        ASOF LEFT JOIN '{root}/events.parquet' AS e ON l.{ENTITY} = e.{ENTITY} AND l.event_timestamp >= e.at
    """

    def joined() -> pl.DataFrame:
        with duckdb.connect(":memory:") as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return connection.sql(query).pl()

    seconds, rows = _median(joined, 7)
    return seconds, _normal(rows)


def _our_online(root: Path) -> dict[str, float]:
    store = OnlineStore(root / "online.db")
    store.create("bench", dict.fromkeys(FEATURES, "float64"))
    # Like Feast's, the time goes from the events' file to the last entity written.
    began = time.perf_counter()
    events = one_row_a_time(pl.read_parquet(root / "events.parquet"), [ENTITY], "at")
    latest = events.unique([ENTITY], keep="last", maintain_order=True)
    written = store.write(
        "bench",
        (
            {
                "entity_key": [row[ENTITY]],
                "event_timestamp": row["at"].timestamp(),
                **{name: row[name] for name in FEATURES},
            }
            for row in latest.iter_rows(named=True)
        ),
    )
    entities = written / (time.perf_counter() - began)
    generator = random.Random(0)

    def calls(size: int, count: int) -> float:
        asked = [[entity_key([generator.randrange(ENTITIES)]) for _ in range(size)] for _ in range(count)]
        began = time.perf_counter()
        for keys in asked:
            store.read("bench", keys, FEATURES)
        return count / (time.perf_counter() - began)

    calls(1, 100)
    result = {"entities": entities, "read-1": calls(1, 20_000), "read-100": calls(100, 1_000)}
    store.close()
    return result


def _feast(root: Path) -> dict[str, float]:
    peer = Path(__file__).with_name("feast_peer.py")
    quiet = {"FEAST_USAGE": "False", "FEAST_TELEMETRY": "False", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [str(peer_python("join")), str(peer), str(root)],
        env=environment() | quiet,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BenchmarkError(f"Feast failed:\n{done.stderr[-2000:]}")
    measured: dict[str, float] = json.loads((root / "feast.json").read_text())
    return measured
