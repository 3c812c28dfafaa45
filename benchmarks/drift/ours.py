"""The monitor's part of the benchmark, in a process of its own: sketch a window from Parquet and judge it."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from mlops_runtime.monitoring.baseline import Baseline
from mlops_runtime.monitoring.config import DriftSignal
from mlops_runtime.monitoring.drift import Comparison, compare
from mlops_runtime.monitoring.sketches import Sketch

WINDOWS = 5


def chunks(path: Path, columns: list[str]) -> Iterator[tuple[str, Any]]:
    """Each column of each row group by itself, with no read-ahead: no more memory than one of them takes."""
    with pq.ParquetFile(path, pre_buffer=False) as file:
        for group in range(file.num_row_groups):
            for name in columns:
                for chunk in file.read_row_group(group, columns=[name], use_threads=False).column(0).chunks:
                    yield name, chunk


def sketch(path: Path, dtypes: dict[str, str]) -> dict[str, Sketch]:
    sketches = {name: Sketch(dtype) for name, dtype in dtypes.items()}
    for name, chunk in chunks(path, list(dtypes)):
        sketches[name].update(chunk)
    return sketches


def peak_bytes() -> int:
    """Largest resident memory so far; `ru_maxrss` would count what the parent had when it forked, where it can."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(root: Path) -> None:
    dtypes = json.loads((root / "dtypes.json").read_text())
    began = time.process_time()
    reference = sketch(root / "reference.parquet", dtypes)
    document = json.dumps(Baseline(reference, Sketch.of([0.0], "float64")).to_json())
    baseline_cpu = time.process_time() - began
    windows = []
    found: dict[str, Comparison] = {}
    cpu = time.process_time()
    for _ in range(WINDOWS):
        began = time.perf_counter()
        baseline = Baseline.from_json(json.loads(document))
        found = compare(
            baseline.features,
            sketch(root / "current.parquet", dtypes),
            DriftSignal(statistic="psi", threshold=0.25),
        )
        windows.append(time.perf_counter() - began)
    cpu = time.process_time() - cpu
    print(
        json.dumps(
            {
                "baseline_cpu_s": baseline_cpu,
                "windows_s": windows,
                "window_cpu_s": cpu / WINDOWS,
                "peak_bytes": peak_bytes(),
                "columns": {name: [column.distance, column.drifted] for name, column in found.items()},
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
