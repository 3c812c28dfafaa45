"""`pulumi preview` of stacks for Kubernetes, beside the same resources by hand; and how fast the test bed starts.

The peer knows nothing of specs: types, names, inputs, parents and dependencies lie ready in a file, taken from our own
program, and a check before the clock starts compares what both declare. The provider is a stand-in that accepts
everything, so that no cluster is measured; the checks of `mlops preflight`, which our programs make where a cluster
answers, are off. Programs take turns; the fastest of the turns counts.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from pathlib import Path

from benchmarks.common import BenchmarkError, figure, table, write_results
from benchmarks.preview.projects import declared, line, preview, project
from tools.kubernetes import bed, crds

MODELS = (10, 25, 50)
TURNS = {0: 8, 10: 3, 25: 2, 50: 2}
"""By number of models, 0 for the quickstart: the shorter, the more a busy machine disturbs."""
HERE = Path(__file__).parent
PROGRAMS = {"stacks": HERE / "stacks.py", "handwritten": HERE / "handwritten.py"}
BED_SECONDS = 10.0


def run(out: Path) -> dict[str, float]:
    """Run the benchmark.

    Arguments:
        out: folder for `kubernetes.json` and `kubernetes.png`.

    Returns:
        Ratios by name. `kubernetes-quickstart-overhead`: time of the quickstart's resources by hand to ours.
        `kubernetes-preview-overhead`: the same for 50 models on one platform, also as CPU time.
        `kubernetes-preview-linearity`: time per further model from 10 to 25 to that from 25 to 50; 1 is a straight
        line, less bends upwards. `kubernetes-bed-start`: 10 s to the time that the test bed takes to start, warm.
    """
    if shutil.which("pulumi") is None:
        raise BenchmarkError("no Pulumi engine on PATH; `make bench` brings one")
    seconds: dict[str, dict[int, float]] = {name: {} for name in PROGRAMS}
    cpu: dict[str, dict[int, float]] = {name: {} for name in PROGRAMS}
    resources: dict[int, int] = {}
    with tempfile.TemporaryDirectory(prefix="bench-kubernetes-") as folder:
        projects = {name: project(Path(folder), name, program) for name, program in PROGRAMS.items()}
        sizes = {0: "the quickstart", **{models: f"{models} models" for models in MODELS}}
        for models in sizes:
            resources[models] = _same_resources(projects, models)
        for models, turns in TURNS.items():
            for turn in range(turns + 1):
                for name, made in projects.items():
                    wall, worked, _ = preview(made, BENCH_MODELS=str(models))
                    if turn > 0:  # the first turn compiles and fills caches
                        seconds[name][models] = min(wall, seconds[name].get(models, wall))
                        cpu[name][models] = min(worked, cpu[name].get(models, worked))
                if turn > 0:
                    print(f"{sizes[models]}, turn {turn} of {turns}", flush=True)
    start = _bed_start()
    ours, peer, many = seconds["stacks"], seconds["handwritten"], MODELS[-1]
    few, some = MODELS[:2]
    slope, determination = line({models: ours[models] for models in MODELS})
    early, late = (ours[some] - ours[few]) / (some - few), (ours[many] - ours[some]) / (many - some)
    rows = [
        (sizes[models], resources[models], f"{ours[models]:.2f}", f"{peer[models]:.2f}", f"{cpu['stacks'][models]:.2f}")
        for models in sizes
    ]
    print(table(["preview", "resources", "ours, s", "by hand, s", "ours, CPU s"], rows))
    print(f"a further model: {1000 * slope:.1f} ms (R² {determination:.4f}); the bed starts in {start:.1f} s")
    write_results(
        out,
        "kubernetes",
        {"seconds": seconds, "cpu_seconds": cpu, "resources": resources, "slope_ms": 1000 * slope, "bed_s": start},
    )
    figure(
        out / "kubernetes.png",
        [(f"preview of {sizes[models]}, s", {"ours": ours[models], "by hand": peer[models]}) for models in sizes],
    )
    return {
        "kubernetes-quickstart-overhead": peer[0] / ours[0],
        "kubernetes-preview-overhead": peer[many] / ours[many],
        "kubernetes-preview-overhead-cpu": cpu["handwritten"][many] / cpu["stacks"][many],
        "kubernetes-preview-linearity": early / late,
        "kubernetes-bed-start": BED_SECONDS / start,
    }


def _same_resources(projects: dict[str, Path], models: int) -> int:
    """Give the program by hand its inputs, and compare what both declare; returns how many resources that are."""
    text = declared(projects["stacks"], BENCH_MODELS=str(models))
    (projects["handwritten"] / f"inputs-{models}.json").write_text(text)
    ours, peer = (
        sorted(json.dumps([each["type"], each["name"], each["inputs"], each["parent"]]) for each in json.loads(found))
        for found in (text, declared(projects["handwritten"], BENCH_MODELS=str(models)))
    )
    if ours != peer:
        raise BenchmarkError("the program by hand does not declare the same resources as ours")
    return len(ours)


def _bed_start() -> float:
    """Seconds until the test bed is ready, from definitions that were established before."""
    folder = crds.folder()
    for _ in range(2):  # the first start establishes the definitions
        began = time.perf_counter()
        with bed.running(folder):
            taken = time.perf_counter() - began
    return taken
