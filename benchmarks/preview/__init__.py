"""`pulumi preview` of many models in one program, beside the same resources written by hand.

The peers know nothing of specs: their inputs lie ready in a file, taken from our own program, and a check before the
clock starts compares every resource of all programs (type, name, inputs). `handwritten` registers all that we register,
components included; `flat` the resources of the provider only, without components. Programs take turns, so that a busy
moment of the machine meets all of them; the fastest of the turns counts.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import BenchmarkError, environment, figure, table, write_results

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
        projects = {name: _project(Path(folder), name) for name in PROGRAMS}
        _same_resources(projects)
        resources: dict[str, int] = {}
        seconds: dict[str, dict[int, float]] = {name: {} for name in PROGRAMS}
        cpu: dict[str, dict[int, float]] = {name: {} for name in PROGRAMS}
        for turn in range(TURNS + 1):
            for models in MODELS:
                for name, project in projects.items():
                    wall, worked, resources[f"{name}-{models}"] = _preview(project, models)
                    if turn > 0:  # the first turn compiles and fills caches
                        seconds[name][models] = min(wall, seconds[name].get(models, wall))
                        cpu[name][models] = min(worked, cpu[name].get(models, worked))
    few, some, many = MODELS
    ours = seconds["stacks"]
    slope, determination = _line(ours)
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
    line = {"slope_ms": 1000 * slope, "r_squared": determination, "early_ms": 1000 * early, "late_ms": 1000 * late}
    write_results(
        out, "preview", {"seconds": seconds, "cpu_seconds": cpu, "resources": resources, "further_model": line}
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


def _line(seconds: dict[int, float]) -> tuple[float, float]:
    """Slope of the least-squares line, and the coefficient of determination."""
    slope, _ = statistics.linear_regression(list(seconds), list(seconds.values()))
    return slope, statistics.correlation(list(seconds), list(seconds.values())) ** 2


def _project(folder: Path, name: str) -> Path:
    project = folder / name
    project.mkdir()
    # One program for both ways by hand.
    program = HERE / ("stacks.py" if name == "stacks" else "handwritten.py")
    (project / "__main__.py").write_text(program.read_text())
    plugin = f"plugins:\n  providers:\n    - name: mlops-local\n      path: {Path(sys.executable).parent}\n"
    (project / "Pulumi.yaml").write_text(f"name: bench\nruntime: python\n{plugin}")
    (project / "backend").mkdir()
    _pulumi(project, "stack", "init", "dev")
    return project


def _same_resources(projects: dict[str, Path]) -> None:
    """Give the programs by hand their inputs, and compare what all of them declare."""
    ours = _declared(projects["stacks"])
    for name in ("handwritten", "flat"):
        inputs = {f"{resource['type']} {resource['name']}": resource["inputs"] for resource in ours}
        (projects[name] / "inputs.json").write_text(json.dumps(inputs).replace(ANYWHERE, str(projects[name])))
        expected = [each for each in ours if name == "handwritten" or each["type"].startswith("mlops-local:")]
        if sorted(map(json.dumps, _declared(projects[name]))) != sorted(map(json.dumps, expected)):
            raise BenchmarkError(f"the program {name} does not declare the same resources as ours")


def _declared(project: Path) -> list[dict[str, Any]]:
    """All resources of the largest program, without an engine; data directories get one name."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.preview.declared"],
        cwd=project,
        env=_environment(project, MODELS[-1]) | {"PYTHONPATH": str(HERE.parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BenchmarkError(f"{project.name} fails without an engine:\n{done.stderr.strip()[-2000:]}")
    return list(json.loads(done.stdout.replace(str(project), ANYWHERE).splitlines()[-1]))


def _preview(project: Path, models: int) -> tuple[float, float, int]:
    """Seconds of a preview, CPU seconds of all its processes, and how many resources it would make."""
    began, worked = time.perf_counter(), _cpu_of_children()
    text = _pulumi(project, "preview", "--stack", "dev", models=models)
    taken, worked = time.perf_counter() - began, _cpu_of_children() - worked
    created = [
        line.split()[1] for line in text.splitlines() if line.strip().endswith("to create") and line.split()[0] == "+"
    ]
    return taken, worked, int(created[-1])


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _pulumi(project: Path, *arguments: str, models: int = 0) -> str:
    done = subprocess.run(
        ["pulumi", *arguments, "--non-interactive"],
        cwd=project,
        env=_environment(project, models),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BenchmarkError(f"pulumi {arguments[0]} of {project.name} failed:\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def _environment(project: Path, models: int) -> dict[str, str]:
    return {
        **environment(),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PULUMI_BACKEND_URL": (project / "backend").as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": "benchmark",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_MLOPS_PYTHON": sys.executable,
        "BENCH_MODELS": str(models),
        "BENCH_COMPONENTS": "0" if project.name == "flat" else "1",
    }
