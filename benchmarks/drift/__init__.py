"""Drift of a window of 1,000,000 rows and 20 features from a reference of as many rows, beside Evidently.

Ours is the code of the monitor: the window comes from Parquet in chunks, goes into sketches, and those are compared
with the sketches that training left; reading is in its time. The peer has both tables in memory when its clock starts,
and its imports are outside of it. Everybody runs in a process of its own, whose peak resident memory counts. Times are
compared as processor time, which other work on the machine changes least; of the peer's, elapsed time where it is less.

Eight features have drifted; the verdicts on all twenty must be the same: with the same statistic and threshold (PSI,
0.25), and with what Evidently chooses by default (normed Wasserstein and Jensen-Shannon distances, 0.1).
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.common import BenchmarkError, environment, figure, peer_python, table, write_results

ROWS = 1_000_000
HERE = Path(__file__).parent


def run(out: Path) -> dict[str, float]:
    """Run the benchmark.

    Arguments:
        out: folder for `drift.json` and `drift.png`.

    Returns:
        Ratios by name: how many times better than the peer we are.

    Raises:
        BenchmarkError: the peer can't be had, or the verdicts differ.
    """
    with tempfile.TemporaryDirectory(prefix="bench-drift-") as folder:
        root = Path(folder)
        drifted = make_data(root, ROWS)
        ours = _run([sys.executable, str(HERE / "ours.py"), str(root)])
        python = str(peer_python("drift"))
        default, psi = (
            _run([python, str(HERE / "evidently_peer.py"), str(root), preset]) for preset in ("default", "psi")
        )
    verdicts = {
        name: {column: bool(found[1]) for column, found in sorted(result["columns"].items())}
        for name, result in (("ours", ours), ("default", default), ("psi", psi))
    }
    expected = {column: column in drifted for column in sorted(verdicts["ours"])}
    wrong = {name: found for name, found in verdicts.items() if found != expected}
    if len(expected) != 20 or wrong:
        raise BenchmarkError(f"the verdicts differ from what was made: {wrong or expected}")
    window = statistics.median(ours["windows_s"])
    seconds = {"ours": window, "Evidently PSI": psi["seconds"], "Evidently": default["seconds"]}
    processor = {"ours": ours["window_cpu_s"], "Evidently PSI": psi["cpu_s"], "Evidently": default["cpu_s"]}
    counted = {name: min(seconds[name], processor[name]) for name in seconds} | {"ours": processor["ours"]}
    whole = ours["baseline_cpu_s"] + counted["ours"]
    ratios = {
        "drift-default": counted["Evidently"] / counted["ours"],
        "drift-psi": counted["Evidently PSI"] / counted["ours"],
        "drift-memory": min(default["peak_bytes"], psi["peak_bytes"]) / ours["peak_bytes"],
        "drift-psi-with-baseline": counted["Evidently PSI"] / whole,
    }
    memory = {"ours": ours["peak_bytes"], "Evidently PSI": psi["peak_bytes"], "Evidently": default["peak_bytes"]}
    megabytes = {name: round(size / 2**20, 1) for name, size in memory.items()}
    results: dict[str, Any] = {
        "rows": ROWS,
        "features": len(expected),
        "drifted": sorted(drifted),
        "seconds": seconds,
        "processor_seconds": {**processor, "ours, baseline made too": whole},
        "peak_mib": megabytes,
        "columns": {"ours": ours["columns"], "Evidently PSI": psi["columns"], "Evidently": default["columns"]},
        "ratios": ratios,
    }
    write_results(out, "drift", results)
    figure(out / "drift.png", [("processor seconds", counted), ("peak memory, MiB", megabytes)])
    rows = [[name, f"{seconds[name]:.2f}", f"{processor[name]:.2f}", f"{megabytes[name]:,.0f}"] for name in seconds]
    print(table(["", "seconds", "processor s", "peak MiB"], rows))
    print(f"all three found the same {len(drifted)} of {len(expected)} features drifted")
    return ratios


def make_data(root: Path, rows: int) -> set[str]:
    """Write reference and window, and say which features have drifted."""
    generator = np.random.default_rng(0)
    drifted = {"num0", "num1", "skewed0", "uniform0", "count0", "hour0", "cat0", "cat1"}

    def table(now: bool) -> pl.DataFrame:
        def shift(name: str, amount: float) -> float:
            return amount if now and name in drifted else 0.0

        columns: dict[str, Any] = {}
        for name in (f"num{number}" for number in range(8)):
            columns[name] = generator.normal(shift(name, 0.8), 1, rows)
        for name in ("skewed0", "skewed1"):
            columns[name] = generator.lognormal(shift(name, 1.0), 0.7, rows)
        for name in ("uniform0", "uniform1"):
            columns[name] = generator.uniform(shift(name, 0.4), 1 + shift(name, 0.4), rows)
        for name in ("count0", "count1"):
            columns[name] = generator.poisson(5 + shift(name, 4), rows).astype(np.int64)
        for name in ("hour0", "hour1"):
            columns[name] = (generator.triangular(0, 12 + shift(name, 10), 24, rows)).astype(np.int64)
        for name in (f"cat{number}" for number in range(4)):
            weights = np.array([8, 7, 6, 5, 4, 3, 2, 1.0])
            columns[name] = generator.choice(
                np.array([f"value {number}" for number in range(8)]),
                rows,
                p=(weights[::-1] if shift(name, 1) else weights) / weights.sum(),
            )
        return pl.DataFrame(columns)

    for part in ("reference", "current"):
        found = table(part == "current")
        # As a service that writes now and then would: many row groups.
        found.write_parquet(root / f"{part}.parquet", compression="zstd", row_group_size=65_536)
    types = {pl.Float64: "float64", pl.Int64: "int64", pl.String: "string"}
    (root / "dtypes.json").write_text(json.dumps({name: types[type(kind)] for name, kind in found.schema.items()}))
    return drifted


def _run(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(
        command, env={**environment(), "DO_NOT_TRACK": "1"}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise BenchmarkError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result
