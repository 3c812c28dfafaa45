"""Previews of stacks on one platform, beside the same resources by hand: the quickstart, and many models.

The peer knows nothing of specs: types, names, inputs, parents and dependencies lie ready in a file, taken from our own
program, and a check before the clock starts compares what both declare. The provider is a stand-in that accepts
everything, so that nobody's service is measured; the checks of `mlops preflight`, which our programs make where the
platform answers, are off. Programs take turns; the fastest of the turns counts.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.common import BenchmarkError, table
from benchmarks.preview.projects import declared, line, preview, project

MODELS = (10, 25, 50)
TURNS = {0: 8, 10: 3, 25: 2, 50: 2}
"""By number of models, 0 for the quickstart: the shorter, the more a busy machine disturbs."""
SIZES = {0: "the quickstart", **{models: f"{models} models" for models in MODELS}}
HERE = Path(__file__).parent
OURS, PEER = "stacks", "handwritten"
COMPARED = ("type", "name", "inputs", "parent")


@dataclass
class Beside:
    """What was measured.

    Arguments:
        platform: the platform, as specs and ratios name it.
        seconds: wall time by program and number of models.
        cpu: the same as CPU time of all processes.
        resources: how many resources that were, by number of models.
    """

    platform: str
    seconds: dict[str, dict[int, float]] = field(default_factory=lambda: {OURS: {}, PEER: {}})
    cpu: dict[str, dict[int, float]] = field(default_factory=lambda: {OURS: {}, PEER: {}})
    resources: dict[int, int] = field(default_factory=dict)

    @property
    def further_model(self) -> tuple[float, float]:
        """Seconds of a further model by our program, and the coefficient of determination."""
        return line({models: self.seconds[OURS][models] for models in MODELS})

    def ratios(self) -> dict[str, float]:
        """Ratios by name. `PLATFORM-quickstart-overhead`: time of the quickstart's resources by hand to ours.
        `PLATFORM-preview-overhead`: the same for 50 models on one platform, also as CPU time.
        `PLATFORM-preview-linearity`: time per further model from 10 to 25 to that from 25 to 50; 1 is a straight line,
        less bends upwards."""
        ours, peer, (few, some, many) = self.seconds[OURS], self.seconds[PEER], MODELS
        early, late = (ours[some] - ours[few]) / (some - few), (ours[many] - ours[some]) / (many - some)
        return {
            f"{self.platform}-quickstart-overhead": peer[0] / ours[0],
            f"{self.platform}-preview-overhead": peer[many] / ours[many],
            f"{self.platform}-preview-overhead-cpu": self.cpu[PEER][many] / self.cpu[OURS][many],
            f"{self.platform}-preview-linearity": early / late,
        }

    def document(self) -> dict[str, Any]:
        """The measured values, for the file of results."""
        return {
            "seconds": self.seconds,
            "cpu_seconds": self.cpu,
            "resources": self.resources,
            "slope_ms": 1000 * self.further_model[0],
        }

    def panels(self) -> list[tuple[str, dict[str, float]]]:
        """The measured times, for the figure."""
        ours, peer = self.seconds[OURS], self.seconds[PEER]
        return [(f"preview of {size}, s", {"ours": ours[n], "by hand": peer[n]}) for n, size in SIZES.items()]

    def show(self) -> None:
        """Print the measured times."""
        rows = [
            (size, self.resources[n], *(f"{each[n]:.2f}" for each in (*self.seconds.values(), *self.cpu.values())))
            for n, size in SIZES.items()
        ]
        print(table(["preview", "resources", "ours, s", "by hand, s", "ours, CPU s", "by hand, CPU s"], rows))
        slope, determination = self.further_model
        print(f"a further model: {1000 * slope:.1f} ms (R² {determination:.4f})")


def measured(platform: str, by_hand: Path) -> Beside:
    """Preview our program and the one by hand, in all sizes.

    Arguments:
        platform: the platform's name, which is that of the quickstart's environment for it, too.
        by_hand: a program that makes `handwritten.declare` the platform's resources of what lies in the file.

    Raises:
        BenchmarkError: there is no engine, or the programs do not declare the same.
    """
    if shutil.which("pulumi") is None:
        raise BenchmarkError("no Pulumi engine on PATH; `make bench` brings one")
    found = Beside(platform)
    with tempfile.TemporaryDirectory(prefix=f"bench-{platform}-") as folder:
        projects = {
            OURS: project(Path(folder), OURS, HERE / "one_platform.py"),
            PEER: project(Path(folder), PEER, by_hand, beside=[HERE / "by_hand.py"]),
        }
        for models in SIZES:
            found.resources[models] = _same_resources(projects, platform, models)
        for models, turns in TURNS.items():
            for turn in range(turns + 1):
                for name, made in projects.items():
                    wall, worked, _ = preview(made, **_variables(platform, models))
                    if turn > 0:  # the first turn compiles and fills caches
                        seconds, cpu = found.seconds[name], found.cpu[name]
                        seconds[models] = min(wall, seconds.get(models, wall))
                        cpu[models] = min(worked, cpu.get(models, worked))
                if turn > 0:
                    print(f"{SIZES[models]}, turn {turn} of {turns}", flush=True)
    return found


def _same_resources(projects: dict[str, Path], platform: str, models: int) -> int:
    """Give the program by hand its inputs, and compare what both declare; returns how many resources that are."""
    variables = _variables(platform, models)
    text = declared(projects[OURS], **variables)
    (projects[PEER] / f"inputs-{models}.json").write_text(text)
    ours, peer = (
        sorted(json.dumps([each[key] for key in COMPARED]) for each in json.loads(found))
        for found in (text, declared(projects[PEER], **variables))
    )
    if ours != peer:
        raise BenchmarkError(f"the program by hand does not declare the same resources as ours{_first(ours, peer)}")
    return len(ours)


def _first(ours: list[str], peer: list[str]) -> str:
    """What is different first, of each."""
    only = [sorted({*these} - {*those})[:1] for these, those in ((ours, peer), (peer, ours))]
    return "".join(f"\n{name}: {each[0][:1500]}" for name, each in zip((OURS, PEER), only, strict=True) if each)


def _variables(platform: str, models: int) -> dict[str, str]:
    return {"BENCH_PLATFORM": platform, "BENCH_MODELS": str(models)}
