"""Previews of the real engine with policy packs, over stand-in providers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import ROOT, BenchmarkError, environment

HERE = Path(__file__).parent
STANDINS = ROOT.parent / "tools" / "standins" / "bin"
TURNS = 3


def previews(folder: Path, count: int, packs: dict[str, Sequence[str]], found: int) -> dict[str, float]:
    """Seconds of a preview with each pack, the fastest of some turns.

    Arguments:
        folder: where project and backend are made.
        count: how many resources.
        packs: by name, the arguments that choose a pack.
        found: how many violations the last of them must report.

    Raises:
        BenchmarkError: there is no engine, a preview fails, or a pack reports another number of violations.
    """
    if shutil.which("pulumi") is None:
        raise BenchmarkError("no Pulumi engine on PATH; `make bench` brings one")
    project = folder / "program"
    shutil.copytree(HERE / "program", project)
    (folder / "backend").mkdir()
    _pulumi(project, count, "stack", "init", "dev")
    seconds: dict[str, float] = {}
    for turn in range(TURNS + 1):
        for name, arguments in packs.items():
            began = time.perf_counter()
            text = _pulumi(project, count, "preview", "--stack", "dev", *arguments)
            taken = time.perf_counter() - began
            if turn > 0:  # the first turn compiles and fills caches
                seconds[name] = min(taken, seconds.get(name, taken))
    if (reported := text.count("[advisory]")) != found:
        raise BenchmarkError(f"the pack reports {reported} violations under the engine, and not {found}")
    return seconds


def _pulumi(project: Path, count: int, *arguments: str) -> str:
    done = subprocess.run(
        ["pulumi", *arguments, "--non-interactive"],
        cwd=project,
        env={
            **environment(),
            "PATH": os.pathsep.join((str(STANDINS), str(Path(sys.executable).parent), os.environ["PATH"])),
            "PYTHONPATH": str(ROOT.parent),
            "PULUMI_BACKEND_URL": (project.parent / "backend").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "benchmark",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_MLOPS_PYTHON": sys.executable,
            "BENCH_RESOURCES": str(count),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BenchmarkError(f"pulumi {arguments[0]} failed:\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout
