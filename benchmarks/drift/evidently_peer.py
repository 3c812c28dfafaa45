"""Evidently's part of the benchmark, in a process of its own: its default preset, or PSI with our threshold."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset


def peak_bytes() -> int:
    """Largest resident memory so far; `ru_maxrss` would count what the parent had when it forked, where it can."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(root: Path, preset: str) -> None:
    dtypes = json.loads((root / "dtypes.json").read_text())
    definition = DataDefinition(
        numerical_columns=[name for name, dtype in dtypes.items() if dtype != "string"],
        categorical_columns=[name for name, dtype in dtypes.items() if dtype == "string"],
    )
    reference, current = (
        Dataset.from_pandas(pd.read_parquet(root / f"{part}.parquet"), data_definition=definition)
        for part in ("reference", "current")
    )
    settings = {} if preset == "default" else {"method": "psi", "threshold": 0.25}
    began, cpu = time.perf_counter(), time.process_time()
    result = Report([DataDriftPreset(**settings)]).run(current, reference)
    document = json.loads(result.json())
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    columns = {}
    for metric in document["metrics"]:
        config = metric["config"]
        if config["type"].endswith(":ValueDrift"):
            # Both of its default statistics for this many rows are distances: larger is drift.
            columns[config["column"]] = [metric["value"], metric["value"] >= config["threshold"], config["method"]]
    print(json.dumps({"seconds": seconds, "cpu_s": cpu, "peak_bytes": peak_bytes(), "columns": columns}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
