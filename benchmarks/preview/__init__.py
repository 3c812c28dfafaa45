"""`pulumi preview` of many models in one program, beside the same resources written by hand.

The peers know nothing of specs: their inputs lie ready in a file, taken from our own program, and a check before the
clock starts compares every resource of all programs (type, name, inputs). `handwritten` registers all that we register,
components included; `flat` the resources of the provider only, without components. Programs take turns, so that a busy
moment of the machine meets all of them; the fastest of the turns counts.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import BenchmarkError, figure, table, write_results
from benchmarks.preview.projects import declared, line, preview, project

MODELS = (10, 30, 100)
TURNS = 3
PROGRAMS = ("stacks", "handwritten", "flat")
HERE = Path(__file__).parent
ANYWHERE = "/project"  # stands for the folder of a program where programs are compared


def run(out: Path) -> dict[str, float]:
    """Run the benchmark.

    Arguments:
        out: folder for `preview.json` and `preview.png`.

    Returns:
        Ratios by name. `preview-overhead`: time of the same resources by hand to ours at 100 models, also as CPU time,
        which other work on the machine disturbs less. `preview-overhead-flat`: the same, by hand without components.
        `preview-linearity`: time per further model from 10 to 30 to that from 30 to 100; 1 is a straight line, less
        bends upwards.
    """
    if shutil.which("pulumi") is None:
        raise BenchmarkError("no Pulumi engine on PATH; `make bench` brings one")
    with tempfile.TemporaryDirectory(prefix="bench-preview-") as folder:
        projects = {name: project(Path(folder), name, _program(name)) for name in PROGRAMS}
        _same_resources(projects)
        resources: dict[str, int] = {}
        seconds: dict[str, dict[int, float]] = {name: {} for name in PROGRAMS}
        cpu: dict[str, dict[int, float]] = {name: {} for name in PROGRAMS}
        for turn in range(TURNS + 1):
            for models in MODELS:
                for name, made in projects.items():
                    wall, worked, resources[f"{name}-{models}"] = preview(made, **_size(name, models))
                    if turn > 0:  # the first turn compiles and fills caches
                        seconds[name][models] = min(wall, seconds[name].get(models, wall))
                        cpu[name][models] = min(worked, cpu[name].get(models, worked))
    few, some, many = MODELS
    ours = seconds["stacks"]
    slope, determination = line(ours)
    early, late = (ours[some] - ours[few]) / (some - few), (ours[many] - ours[some]) / (many - some)
    sizes = [f"{models} models" for models in MODELS]
    rows = [
        (
            name,
            *(f"{seconds[name][models]:.2f}" for models in MODELS),
            f"{cpu[name][many]:.2f}",
            resources[f"{name}-{many}"],
        )
        for name in PROGRAMS
    ]
    print(table(["seconds", *sizes, f"CPU, {many}", f"resources of {many}"], rows))
    print(
        f"a further model: {1000 * slope:.1f} ms (R² {determination:.4f}); {1000 * early:.1f} ms from {few} to {some},"
    )
    print(f"{1000 * late:.1f} ms from {some} to {many}")
    further = {"slope_ms": 1000 * slope, "r_squared": determination, "early_ms": 1000 * early, "late_ms": 1000 * late}
    write_results(
        out, "preview", {"seconds": seconds, "cpu_seconds": cpu, "resources": resources, "further_model": further}
    )
    figure(
        out / "preview.png",
        [(f"preview of {models} models, s", {name: seconds[name][models] for name in PROGRAMS}) for models in MODELS],
    )
    return {
        "preview-overhead": seconds["handwritten"][many] / ours[many],
        "preview-overhead-cpu": cpu["handwritten"][many] / cpu["stacks"][many],
        "preview-overhead-flat": seconds["flat"][many] / ours[many],
        "preview-linearity": early / late,
    }


def _program(name: str) -> Path:
    # One program for both ways by hand.
    return HERE / ("stacks.py" if name == "stacks" else "handwritten.py")


def _size(name: str, models: int) -> dict[str, str]:
    return {"BENCH_MODELS": str(models), "BENCH_COMPONENTS": "0" if name == "flat" else "1"}


def _same_resources(projects: dict[str, Path]) -> None:
    """Give the programs by hand their inputs, and compare what all of them declare."""
    ours = _declared(projects["stacks"])
    for name in ("handwritten", "flat"):
        inputs = {f"{resource['type']} {resource['name']}": resource["inputs"] for resource in ours}
        (projects[name] / "inputs.json").write_text(json.dumps(inputs).replace(ANYWHERE, str(projects[name])))
        expected = [each for each in ours if name == "handwritten" or each["type"].startswith("mlops-local:")]
        if sorted(map(json.dumps, _declared(projects[name]))) != sorted(map(json.dumps, expected)):
            raise BenchmarkError(f"the program {name} does not declare the same resources as ours")


def _declared(made: Path) -> list[dict[str, Any]]:
    """All resources of the largest program; data directories get one name."""
    text = declared(made, **_size(made.name, MODELS[-1]))
    return [
        {key: value for key, value in each.items() if key in ("type", "name", "inputs", "outputs")}
        for each in json.loads(text.replace(str(made), ANYWHERE))
    ]
