"""Projects that a benchmark previews, and how long that takes."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import BenchmarkError, environment

HERE = Path(__file__).parent
STANDINS = HERE.parents[1] / "tools" / "standins" / "bin"


def line(seconds: dict[int, float]) -> tuple[float, float]:
    """Slope of the least-squares line, and the coefficient of determination."""
    slope, _ = statistics.linear_regression(list(seconds), list(seconds.values()))
    return slope, statistics.correlation(list(seconds), list(seconds.values())) ** 2


def project(folder: Path, name: str, program: Path, *, beside: Sequence[Path] = ()) -> Path:
    """A project of a program, in a folder of its own, with modules that it imports."""
    made = folder / name
    made.mkdir()
    (made / "__main__.py").write_text(program.read_text())
    for module in beside:
        (made / module.name).write_text(module.read_text())
    plugin = f"plugins:\n  providers:\n    - name: mlops-local\n      path: {Path(sys.executable).parent}\n"
    (made / "Pulumi.yaml").write_text(f"name: bench\nruntime: python\n{plugin}")
    (made / "backend").mkdir()
    pulumi(made, "stack", "init", "dev")
    return made


def declared(made: Path, **variables: str) -> str:
    """JSON of all resources that a project declares, without an engine."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.preview.declared"],
        cwd=made,
        env=_environment(made) | variables | {"PYTHONPATH": str(HERE.parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BenchmarkError(f"{made.name} fails without an engine:\n{done.stderr.strip()[-2000:]}")
    return done.stdout.splitlines()[-1]


def preview(made: Path, **variables: str) -> tuple[float, float, int]:
    """Seconds of a preview, CPU seconds of all its processes, and how many resources it would make."""
    began, worked = time.perf_counter(), _cpu_of_children()
    text = pulumi(made, "preview", "--stack", "dev", **variables)
    taken, worked = time.perf_counter() - began, _cpu_of_children() - worked
    created = [each.split()[1] for each in text.splitlines() if each.strip().endswith("to create") and "+" in each]
    return taken, worked, int(created[-1])


def pulumi(made: Path, *arguments: str, **variables: str) -> str:
    """Run the engine on a project; returns what it prints."""
    done = subprocess.run(
        ["pulumi", *arguments, "--non-interactive"],
        cwd=made,
        env=_environment(made) | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BenchmarkError(f"pulumi {arguments[0]} of {made.name} failed:\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _environment(made: Path) -> dict[str, str]:
    folders = (Path(sys.executable).parent, STANDINS, os.environ["PATH"])
    return {
        **environment(),
        "PATH": os.pathsep.join(map(str, folders)),
        "PULUMI_BACKEND_URL": (made / "backend").as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": "benchmark",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_MLOPS_PYTHON": sys.executable,
        "MLOPS_PREFLIGHT": "off",
        "BENCH_QUICKSTART": str(HERE.parents[1] / "stacks/quickstart/mlops.yaml"),
    }
