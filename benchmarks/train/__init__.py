"""The quickstart's pipeline on all 336,776 flights, end to end: seconds and memory of each step.

There is no peer. The store is empty, so the time holds everything that a first run does, MLflow's database included.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, BenchmarkError, environment, figure, table, write_results

SPEC = ROOT.parent / "stacks" / "quickstart" / "mlops.yaml"
MEMORY_LIMIT = 2 * 2**30
"""The pipeline's processes together may hold this much, bytes; the run itself enforces it."""


def run(out: Path) -> dict[str, float]:
    """Run the benchmark.

    Arguments:
        out: folder for `train.json` and `train.png`.

    Returns:
        `memory`, how many times the peak fits into 2 GiB.

    Raises:
        BenchmarkError: the run failed.
    """
    with tempfile.TemporaryDirectory(prefix="bench-train-") as folder:
        path = Path(folder) / "definition.json"
        path.write_text(json.dumps(definition(Path(folder) / "store")))
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "mlops_runtime", "pipeline", "--definition", str(path), "--json"],
            capture_output=True,
            text=True,
            env=environment(),
            check=False,
        )
        seconds = time.monotonic() - began
        if done.returncode != 0:
            raise BenchmarkError(f"the pipeline failed ({done.returncode}):\n{done.stdout}{done.stderr}")
        result = json.loads(done.stdout.splitlines()[-1])
        runs = Path(folder) / "store" / "runs" / result["model"] / result["run_id"]
        steps = json.loads((runs / "run.json").read_text())["steps"]
        features = json.loads((runs / "featurize" / "step.json").read_text())["outputs"]
        metrics = json.loads((runs / "evaluate" / "evaluation.json").read_text())["metrics"]
    mebibytes = {name: step["peak_memory"] / 2**20 for name, step in steps.items()}
    took = {name: step["seconds"] for name, step in steps.items()}
    lines = [(name, f"{took[name]:.1f}", f"{mebibytes[name]:,.0f}") for name in steps]
    lines.append(("all, with start", f"{seconds:.1f}", f"{max(mebibytes.values()):,.0f}"))
    print(table(("step", "seconds", "peak MiB"), lines))
    print(
        f"{features['rows']:,} rows to learn from, {features['holdout_rows']:,} held out, {len(features['columns'])} "
        f"features; roc_auc {metrics['roc_auc']['value']:.4f}"
    )
    write_results(
        out,
        "train",
        {
            "seconds": {**took, "all": round(seconds, 3)},
            "peak_mebibytes": {name: round(value, 1) for name, value in mebibytes.items()},
            "rows": {"training": features["rows"], "holdout": features["holdout_rows"]},
            "roc_auc": metrics["roc_auc"],
        },
    )
    figure(out / "train.png", [("Seconds", took), ("Peak memory, MiB", mebibytes)])
    return {"memory": MEMORY_LIMIT / max(step["peak_memory"] for step in steps.values())}


def definition(store: Path) -> dict[str, Any]:
    """The quickstart's pipeline definition, without its window of three months, and held to the memory limit."""
    from pulumi_mlops.spec import load
    from pulumi_mlops.testing import pipeline_definition

    made = pipeline_definition(load(SPEC), store).model_dump(mode="json")
    made["training"]["window"] = {"start": None, "end": None, "last": None}
    made["training"]["compute"]["memory"] = MEMORY_LIMIT
    return made
